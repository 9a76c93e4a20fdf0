// The items of a conversation as elements. All that an agent wrote ends in a text node.

import { h } from "./dom.js";
import { diffView } from "./diff.js";
import { markdown } from "./markdown.js";
import { textOf } from "./transcript.js";

export function itemView(item) {
  const draw = DRAW[item.type] ?? unknown;
  return h("article", { class: `item ${item.type} ${item.role ?? ""}`, data: { key: item.key } }, ...draw(item));
}

const DRAW = {
  message: (item) => (item.role === "thought" ? thought(item) : message(item)),
  tool: toolCall,
  plan: (item) => [h("h3", {}, "Plan"), h("ul", { class: "plan" }, ...(item.plan.entries ?? []).map((entry) =>
    h("li", { class: entry.status }, `${MARKS[entry.status] ?? "·"} ${entry.content}`)))],
  notice: (item) => [h("strong", {}, item.title ?? ""), item.description ? h("p", {}, item.description) : null],
  compaction: (item) => [`The conversation was shortened (${item.status ?? ""}).`],
  terminal: (item) => [h("strong", {}, item.command ?? "terminal"), h("pre", {}, terminalText(item))],
  approval: (item) => [answerText(item)],
  end: (item) => [item.error ? `Failed: ${item.error}` : `Stopped: ${item.reason}`],
};
const MARKS = { completed: "✓", in_progress: "▸", pending: "○", cancelled: "✗" };
const unknown = (item) => [item.type];

function message(item) {
  const blocks = item.content.map((block) => {
    if (block.type === "text") return item.role === "user" ? h("p", { class: "plain" }, block.text) : markdown(block.text);
    if (block.type === "resource_link") return h("p", {}, "@", block.title ?? block.name);
    if (block.type === "image" && /^image\/(png|jpeg|gif|webp)$/.test(block.mimeType)) {
      return h("img", { src: `data:${block.mimeType};base64,${block.data}`, alt: "A picture from the agent" });
    }
    return h("p", {}, `[${block.type}]`);
  });
  return [h("h3", { class: "who" }, item.role === "user" ? "You" : "Agent"), ...blocks.flat()];
}

function thought(item) {
  return [h("details", {}, h("summary", {}, "Thought"), ...markdown(textOf(item.content)))];
}

function toolCall(item) {
  const status = item.status ?? "pending";
  const open = status !== "completed" || (item.content ?? []).some((one) => one.type === "diff");
  return [h("details", { open },
    h("summary", {}, h("span", { class: `status ${status}` }, status.replace("_", " ")), " ", item.title ?? item.name ?? "tool"),
    ...toolContent(item))];
}

// What a tool call does or did, in full: diffs, texts, and else what it was given.
export function toolContent(item) {
  const shown = (item.content ?? []).map(contentView).filter(Boolean);
  if (item.rawInput !== undefined && !(item.content ?? []).some((one) => one.type === "diff")) {
    shown.unshift(h("pre", { class: "input" }, inputText(item.rawInput)));
  }
  if (item.rawOutput !== undefined && !shown.some((one) => one.classList?.contains("output"))) {
    shown.push(h("details", {}, h("summary", {}, "Result"), h("pre", {}, pretty(item.rawOutput))));
  }
  return shown;
}

function contentView(one) {
  if (one.type === "diff") {
    const patch = one.patch?.text;
    return patch ? diffView(patch) : h("p", {}, (one.changes ?? []).map((change) => `${change.operation} ${change.path}`).join(", "));
  }
  if (one.type === "content" && one.content.type === "text") return h("pre", { class: "output" }, one.content.text);
  if (one.type === "terminal") return h("p", {}, `terminal ${one.terminalId}`);
  return h("p", {}, `[${one.type}]`);
}

function inputText(input) {
  if (typeof input?.command !== "string") return pretty(input);
  const { command, ...rest } = input;
  return Object.keys(rest).length ? `$ ${command}\n${pretty(rest)}` : `$ ${command}`;
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

function terminalText(item) {
  const decode = (data) => new TextDecoder().decode(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)));
  return [item.output?.data, ...(item.chunks ?? [])].filter(Boolean).map(decode).join("");
}

function answerText(item) {
  if (!item.answer) return `Waits for an answer: ${item.title}`;
  const { outcome, option, by } = item.answer;
  return `${item.title}: ${option ?? outcome}, by the ${by}`;
}
