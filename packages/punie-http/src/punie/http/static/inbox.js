// What waits for a person: a card each. `keys.js` says which one of them the keys answer.

import { post } from "./api.js";
import { attempt, evident, h, keyed, say, since } from "./dom.js";
import { form } from "./form.js";
import { toolContent } from "./items.js";

export const KEYS = { a: "allow_once", A: "allow_always", r: "reject_once", R: "reject_always", __proto__: null };
const HINTS = { allow_once: "a", allow_always: "A", reject_once: "r", reject_always: "R", __proto__: null };
const SETTLING = 500;

// The cards of some of all that waits; one that stays stays as it is. Buttons that slid to another
// place take no click for a moment: it was meant for what stood there before.
export function showCards(place, inbox, all) {
  if (place.of === all) return; // nothing was asked or answered since
  place.of = all;
  const same = alike(all);
  const hadFocus = place.contains(document.activeElement);
  const tops = new Map([...place.children].map((child) => [child, child.offsetTop]));
  const cards = keyed(place, inbox, {
    key: (asked) => asked.id,
    shows: (asked) => JSON.stringify(asked),
    make: card,
  });
  inbox.forEach((asked, at) => together(cards[at], asked, same(asked)));
  for (const one of cards) {
    if (tops.has(one) && tops.get(one) !== one.offsetTop) settle(one);
  }
  if (hadFocus && document.activeElement === document.body) cards[0]?.focus();
}

function settle(one) {
  one.classList.add("settling");
  clearTimeout(one.settled);
  one.settled = setTimeout(() => one.classList.remove("settling"), SETTLING);
}

function card(asked) {
  const question = asked.what === "question";
  return h("section", { class: "card", tabindex: "0", data: { asked: asked.id }, "aria-label": `${question ? "Question" : "Approval"}: ${asked.title}` },
    h("header", {},
      h("p", { class: "where" }, h("span", { class: "chip needs" }, question ? "question" : "approval"),
        h("a", { href: `#/s/${asked.session}` }, asked.session_title || `Session ${asked.session}`),
        h("span", {}, asked.agent), h("span", { class: "path" }, evident(asked.cwd)), h("span", {}, "waits ", since(asked.asked_at))),
      h("h2", {}, evident(asked.title))),
    asked.description ? h("p", { class: "plain" }, evident(asked.description)) : null,
    ...body(asked, question));
}

// What one agent asks in a way that cannot be drawn must not keep the page from showing the others'.
function body(asked, question) {
  try {
    return question ? [form(asked)] : [...subject(asked), options(asked)];
  } catch {
    const decline = () => attempt(post(`inbox/${asked.id}/submit`, { content: null }));
    const rejects = { ...asked, options: asked.options.filter((option) => option.kind.startsWith("reject")) };
    return [h("p", { class: "problem" }, "This cannot be shown here, so it can only be refused. Answer it where the agent runs."),
      question ? h("div", { class: "options" }, h("button", { type: "button", class: "reject", onclick: decline }, "Decline")) : options(rejects)];
  }
}

function subject(asked) {
  if (asked.subject?.type === "command") return [h("pre", { class: "input" }, `$ ${evident(asked.subject.command)}`)];
  return asked.tool_call ? toolContent(asked.tool_call) : [];
}

function options(asked) {
  const buttons = asked.options.map((option, at) => h("button", {
    type: "button", class: option.kind.startsWith("allow") ? "allow" : "reject",
    data: { option: option.optionId, kind: option.kind },
    onclick: () => select(asked, option.optionId),
  }, evident(option.name), h("kbd", {}, HINTS[option.kind] ?? String(at + 1))));
  return h("div", { class: "options" }, ...buttons, h("span", { class: "together" }));
}

// Buttons that answer all that ask for the same; the card itself stays as it is.
function together(shown, asked, same) {
  const place = shown.querySelector(".together");
  if (!place || place.dataset.ids === same.join()) return;
  place.dataset.ids = same.join();
  place.replaceChildren(...(same.length === 0 ? [] : asked.options.filter((option) => option.kind.endsWith("_once")).map((option) =>
    h("button", { type: "button", class: "quiet", onclick: () => select(asked, option.optionId, same) },
      `${evident(option.name)}: all ${same.length + 1} like this`))));
}

async function select(asked, optionId, also = []) {
  const answer = await attempt(post(`inbox/${asked.id}/select`, { option_id: optionId, also }));
  const failed = (answer?.answers ?? []).filter((one) => one.error);
  if (failed.length) say(failed.map((one) => one.error).join("; "));
}

// Approvals that ask for the same, so that one answer can do for all: what a card shows is equal, not
// only its title, which an agent may give to anything.
function alike(all) {
  const told = (one) => JSON.stringify([one.title, one.description ?? "", one.cwd, one.subject?.command ?? "",
    one.tool_call?.rawInput ?? null, one.tool_call?.content ?? [], one.options]);
  const groups = new Map();
  for (const one of all.filter((asked) => asked.what === "approval")) {
    const shown = told(one);
    groups.set(shown, [...(groups.get(shown) ?? []), one.id]);
  }
  return (asked) => (asked.what === "approval" ? groups.get(told(asked)).filter((id) => id !== asked.id) : []);
}
