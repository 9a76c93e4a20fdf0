// The items of a conversation as elements. All that an agent wrote ends in a text node; what becomes
// a class or an attribute is one of the words that are known here.

import { diffView } from "./diff.js";
import { evident, h } from "./dom.js";
import { markdown } from "./markdown.js";
import { textOf } from "./transcript.js";

// `find` gives another item by its key: a tool call shows the terminal it ran in.
export function itemView(item, find = () => undefined) {
  const draw = DRAW[item.type] ?? ((other) => [other.type]);
  return h("article", { class: `item ${item.type} ${ROLES[item.role] ?? ""} ${item.type === "approval" && !item.answer ? "open" : ""}`.trim(), data: { key: item.key } }, ...draw(item, find));
}

const ROLES = { user: "user", agent: "agent", thought: "thought", __proto__: null };
const DRAW = {
  __proto__: null,
  message: (item) => (item.role === "thought" ? thought(item) : message(item)),
  tool: toolCall,
  plan: (item) => [h("h3", {}, "Plan"), h("ul", { class: "plan" }, ...(item.plan.entries ?? []).map((entry) =>
    h("li", { class: MARKS[entry.status] ? entry.status : "" }, h("span", { class: "mark", "aria-hidden": "true" }, MARKS[entry.status] ?? "·"), entry.content)))],
  notice: (item) => [h("strong", {}, item.title ?? ""), item.description ? h("p", {}, item.description) : null],
  compaction: (item) => [`The conversation was shortened (${item.status ?? ""}).`],
  terminal: (item) => [terminal(item)],
  approval: (item) => [answerText(item)],
  end: (item) => [item.error ? `Failed: ${item.error}` : `Stopped: ${item.reason}`],
};
const MARKS = { completed: "✓", in_progress: "▸", pending: "○", cancelled: "✗", __proto__: null };
const STATUS = { pending: "waits", in_progress: "runs", completed: "done", failed: "failed", cancelled: "cancelled", __proto__: null };

function message(item) {
  const blocks = item.content.map((block) => {
    if (block.type === "text") return item.role === "user" ? h("p", { class: "plain" }, block.text) : markdown(block.text);
    return otherBlock(block);
  });
  return [h("h3", { class: "who" }, item.role === "user" ? "You" : "Agent"), ...blocks.flat()];
}

function otherBlock(block) {
  if (block.type === "resource_link") return h("p", { class: "mention" }, "@", block.title ?? block.name);
  if (block.type === "image" && /^image\/(png|jpeg|gif|webp)$/.test(block.mimeType) && /^[\w+/\s]+=*\s*$/.test(block.data)) {
    return h("img", { src: `data:${block.mimeType};base64,${block.data}`, alt: "A picture from the agent" });
  }
  if (block.type === "resource" && typeof block.resource?.text === "string") return preformatted("output", block.resource.text);
  return h("p", { class: "soft" }, `[${block.type}]`);
}

function thought(item) {
  return [fold(false, ["Thought"], markdown(textOf(item.content)))];
}

function toolCall(item, find) {
  const status = item.status in STATUS ? item.status : "pending";
  const diffs = (item.content ?? []).some((one) => one.type === "diff");
  const open = status === "failed" || (status === "in_progress") || (diffs && status === "completed");
  const head = [h("span", { class: `chip ${status}` }, STATUS[status]), evident(item.title ?? item.name ?? "tool")];
  return [fold(open, head, toolContent(item, find))];
}

// What is folded or not; `wanted` is how it was made, so that a redrawn one knows what a person changed.
function fold(open, head, body) {
  const filled = body.some(Boolean);
  if (!filled) return h("div", { class: "fold empty" }, ...head);
  return h("details", { class: "fold", open, data: { made: open ? "open" : "closed" } }, h("summary", {}, ...head), h("div", { class: "body" }, ...body));
}

// Opens and closes the folds of a redrawn element as a person had them.
export function keepFolds(old, view) {
  const before = old.querySelectorAll("details");
  view.querySelectorAll("details").forEach((details, at) => {
    const was = before[at];
    if (was && was.open !== (was.dataset.made === "open")) details.open = was.open;
  });
}

// What a tool call does or did, in full: diffs, texts, and else what it was given.
export function toolContent(item, find = () => undefined) {
  const shown = (item.content ?? []).map((one) => contentView(one, find)).filter(Boolean);
  const tells = (item.content ?? []).some((one) => one.type === "diff" || (one.type === "terminal" && find(`terminal:${one.terminalId}`)));
  if (item.rawInput !== undefined && !tells) shown.unshift(preformatted("input", inputText(item.rawInput)));
  if (item.rawOutput !== undefined && shown.every((one) => !one.classList.contains("output"))) {
    shown.push(h("details", { data: { made: "closed" } }, h("summary", {}, "Result"), preformatted("", pretty(item.rawOutput))));
  }
  return shown;
}

function contentView(one, find) {
  if (one.type === "diff") {
    const patch = one.patch?.text;
    return patch ? diffView(patch) : h("p", {}, evident((one.changes ?? []).map((change) => `${change.operation} ${change.path}`).join(", ")));
  }
  if (one.type === "content" && one.content.type === "text") return preformatted("output", one.content.text);
  if (one.type === "content") return otherBlock(one.content);
  if (one.type === "terminal") {
    const ran = find(`terminal:${one.terminalId}`);
    return ran ? terminal(ran) : h("p", { class: "soft" }, `terminal ${one.terminalId}`);
  }
  return h("p", { class: "soft" }, `[${one.type}]`);
}

const preformatted = (kind, text) => h("pre", { class: kind || null, tabindex: "0" }, kind === "input" ? evident(text) : text);

function inputText(input) {
  if (typeof input?.command !== "string") return pretty(input);
  const { command, ...rest } = input;
  return Object.keys(rest).length ? `$ ${command}\n${pretty(rest)}` : `$ ${command}`;
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

function terminal(item) {
  const code = item.exitStatus?.exitCode;
  return h("div", { class: "terminal" },
    h("div", { class: "bar" }, h("code", { class: "path" }, `$ ${evident(item.command ?? "terminal")}`),
      code !== undefined && code !== null ? h("span", { class: code === 0 ? "added" : "removed" }, `exit ${code}`) : null),
    h("pre", { class: "output", tabindex: "0" }, terminalText(item)));
}

// Its bytes as text, without the escapes that colour it or move a cursor.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

function terminalText(item) {
  const decoder = new TextDecoder();
  const decode = (data) => {
    try {
      return decoder.decode(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), { stream: true });
    } catch {
      return "\ufffd"; // the agent sent something else than base64
    }
  };
  return [item.output?.data, ...(item.chunks ?? [])].filter(Boolean).map(decode).join("").replace(ESCAPES, "");
}

function answerText(item) {
  if (!item.answer) return `Waits for an answer: ${item.title}`;
  const { outcome, option, by } = item.answer;
  return `${item.title}: ${option ?? outcome}, by the ${by}`;
}
