// What waits for a person: a card each, answered with one key.
//
//   a  allow once        A  allow always (session or project, as the agent offers it)
//   r  reject once       R  reject always
//   1-9 the nth option   j k  next and previous card

import { post } from "./api.js";
import { ago, h, say } from "./dom.js";
import { toolContent } from "./items.js";

const KEYS = { a: "allow_once", A: "allow_always", r: "reject_once", R: "reject_always" };
const HINTS = { allow_once: "a", allow_always: "A", reject_once: "r", reject_always: "R" };

export function card(asked, same = []) {
  const body = asked.what === "question" ? form(asked) : [...subject(asked), options(asked, same)];
  return h("section", { class: "card", tabindex: "0", data: { asked: asked.id }, "aria-label": asked.title },
    h("h2", {}, asked.title),
    h("p", { class: "where" },
      h("a", { href: `#/s/${asked.session}` }, asked.session_title || `session ${asked.session}`),
      ` · ${asked.agent} · ${asked.cwd} · waits `, h("time", { data: { since: asked.asked_at } }, ago(asked.asked_at))),
    asked.description ? h("p", {}, asked.description) : null,
    ...body);
}

function subject(asked) {
  if (asked.subject?.type === "command") return [h("pre", { class: "input" }, `$ ${asked.subject.command}`)];
  return asked.tool_call ? toolContent(asked.tool_call) : [];
}

function options(asked, same) {
  const buttons = asked.options.map((option, at) => h("button", {
    type: "button", class: option.kind.startsWith("allow") ? "allow" : "reject",
    data: { option: option.optionId, kind: option.kind },
    onclick: () => select(asked, option.optionId),
  }, option.name, h("kbd", {}, HINTS[option.kind] ?? String(at + 1))));
  const bulk = same.length === 0 ? [] : asked.options.filter((option) => option.kind.endsWith("_once")).map((option) =>
    h("button", { type: "button", class: "quiet", onclick: () => select(asked, option.optionId, same) },
      `${option.name}: all ${same.length + 1} like this`));
  return h("div", { class: "options" }, ...buttons, ...bulk);
}

async function select(asked, optionId, also = []) {
  try {
    const { answers } = await post(`inbox/${asked.id}/select`, { option_id: optionId, also });
    const failed = answers.filter((answer) => answer.error);
    if (failed.length) say(failed.map((answer) => answer.error).join("; "));
  } catch (error) {
    say(error.message);
  }
}

function form(asked) {
  const fields = Object.entries(asked.form?.properties ?? {});
  const submit = async (content) => {
    try {
      await post(`inbox/${asked.id}/submit`, { content });
    } catch (error) {
      say(error.message);
    }
  };
  return [h("form", {
    onsubmit: (event) => {
      event.preventDefault();
      submit(Object.fromEntries(fields.map(([name, field]) => [name, valueOf(event.target.elements[name], field)]).filter(([, value]) => value !== undefined)));
    },
  },
  ...fields.map(([name, field]) => h("label", {}, field.title ?? name, field.description ? h("small", {}, field.description) : null, input(name, field, asked.form.required?.includes(name)))),
  h("div", { class: "options" }, h("button", { class: "allow" }, "Answer"),
    h("button", { type: "button", class: "reject", onclick: () => submit(null) }, "Decline")))];
}

function input(name, field, required) {
  const choices = field.enum?.map((value) => ({ const: value, title: value })) ?? field.oneOf;
  if (choices) return h("select", { name, required }, ...choices.map((one) => h("option", { value: one.const, selected: one.const === field.default }, one.title ?? one.const)));
  if (field.type === "array") {
    const items = field.items?.enum?.map((value) => ({ const: value, title: value })) ?? field.items?.anyOf ?? [];
    return h("select", { name, multiple: true }, ...items.map((one) => h("option", { value: one.const }, one.title ?? one.const)));
  }
  if (field.type === "boolean") return h("input", { name, type: "checkbox", checked: field.default === true });
  const type = field.type === "string" ? "text" : "number";
  return h("input", { name, type, required, value: field.default, step: field.type === "integer" ? "1" : "any" });
}

function valueOf(element, field) {
  if (field.type === "boolean") return element.checked;
  if (field.type === "array") return [...element.selectedOptions].map((option) => option.value);
  if (element.value === "") return undefined;
  return field.type === "string" ? element.value : Number(element.value);
}

// Approvals that ask for the same, so that one answer can do for all: what a card shows is equal, not
// only its title, which an agent may give to anything.
export function alike(asked, all) {
  const told = (one) => JSON.stringify([one.title, one.description ?? "", one.cwd, one.subject?.command ?? "",
    one.tool_call?.rawInput ?? null, one.tool_call?.content ?? [], one.options]);
  return all.filter((other) => other.id !== asked.id && other.what === "approval" && told(other) === told(asked)).map((other) => other.id);
}

// Handles a key; returns whether it was one of ours.
export function key(event) {
  const cards = [...document.querySelectorAll(".card")];
  if (cards.length === 0) return false;
  const current = document.activeElement?.closest(".card") ?? null;
  if (event.key === "j" || event.key === "k") {
    const step = event.key === "j" ? 1 : -1;
    const at = current === null ? 0 : (cards.indexOf(current) + step + cards.length) % cards.length;
    cards[at].focus();
    return true;
  }
  const buttons = [...(current ?? cards[0]).querySelectorAll("button[data-option]")];
  const wanted = event.key in KEYS
    ? buttons.find((button) => button.dataset.kind === KEYS[event.key])
    : /^[1-9]$/.test(event.key) && current !== null ? buttons[Number(event.key) - 1] : undefined;
  wanted?.click();
  return wanted !== undefined;
}
