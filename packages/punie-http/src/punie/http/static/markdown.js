// Markdown as elements, for text that nobody vouches for: it becomes text nodes inside a few known
// elements, and links lead only to http(s). What is half written (a fence without an end) shows as
// what it will be. Left out: HTML, pictures, reference links.

import { h } from "./dom.js";

const FENCE = /^\s{0,3}(```+|~~~+)\s*([\w+#.-]*)/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const RULE = /^\s{0,3}([-*_])(\s*\1){2,}\s*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

export function markdown(text) {
  return blocks(text.split("\n"));
}

function blocks(lines) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    if (!line.trim()) at += 1;
    else if (fence) at = code(lines, at, fence, found);
    else if (RULE.test(line)) { found.push(h("hr")); at += 1; }
    else if (HEADING.test(line)) {
      const [, marks, title] = HEADING.exec(line);
      found.push(h(`h${Math.min(6, marks.length + 2)}`, {}, ...inline(title)));
      at += 1;
    } else if (line.startsWith(">")) {
      const end = until(lines, at, (other) => !other.startsWith(">"));
      found.push(h("blockquote", {}, ...blocks(lines.slice(at, end).map((other) => other.replace(/^>\s?/, "")))));
      at = end;
    } else if (ITEM.test(line)) at = list(lines, at, found);
    else if (line.includes("|") && at + 1 < lines.length && DIVIDER.test(lines[at + 1])) at = table(lines, at, found);
    else {
      const end = until(lines, at + 1, (other) => !other.trim() || begins(other));
      found.push(h("p", {}, ...inline(lines.slice(at, end).join("\n"))));
      at = end;
    }
  }
  return found;
}

const begins = (line) => FENCE.test(line) || HEADING.test(line) || ITEM.test(line) || line.startsWith(">");

function until(lines, from, stops) {
  let at = from;
  while (at < lines.length && !stops(lines[at])) at += 1;
  return at;
}

function code(lines, at, fence, found) {
  const end = until(lines, at + 1, (line) => line.trim().startsWith(fence[1]));
  found.push(h("pre", {}, h("code", { data: { language: fence[2] } }, lines.slice(at + 1, end).join("\n"))));
  return end + 1;
}

function list(lines, at, found) {
  const [, indent, mark] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(mark);
  const items = [];
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length !== indent.length || /\d/.test(item[2]) !== ordered) break;
    const end = until(lines, at + 1, (line) => (line.trim() ? leading(line) <= indent.length : false));
    const inner = [item[3], ...lines.slice(at + 1, end).map((line) => line.slice(Math.min(leading(line), indent.length + 2)))];
    items.push(h("li", {}, ...tight(blocks(inner))));
    at = end;
  }
  found.push(h(ordered ? "ol" : "ul", ordered ? { start: parseInt(mark, 10) } : {}, ...items));
  return at;
}

const leading = (line) => line.length - line.trimStart().length;
const tight = (found) => (found[0]?.tagName === "P" ? [...found[0].childNodes, ...found.slice(1)] : found);

function table(lines, at, found) {
  const end = until(lines, at + 2, (line) => !line.includes("|"));
  const row = (line, tag) => h("tr", {}, ...cells(line).map((cell) => h(tag, {}, ...inline(cell))));
  found.push(h("div", { class: "wide" }, h("table", {},
    h("thead", {}, row(lines[at], "th")),
    h("tbody", {}, ...lines.slice(at + 2, end).map((line) => row(line, "td"))))));
  return end;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

const SPANS = /(`+)([\s\S]*?[^`])\1(?!`)|\*\*([^\s*](?:[\s\S]*?[^\s*])?)\*\*|(?<![\w*])\*([^\s*](?:[^*]*[^\s*])?)\*(?![\w*])|\[([^\]\n]+)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"])/g;

function inline(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(SPANS)) {
    if (match.index > at) found.push(text.slice(at, match.index));
    const [whole, , span, strong, emphasis, label, target, bare] = match;
    if (span !== undefined) found.push(h("code", {}, span.trim()));
    else if (strong !== undefined) found.push(h("strong", {}, ...inline(strong)));
    else if (emphasis !== undefined) found.push(h("em", {}, ...inline(emphasis)));
    else found.push(link(label ?? bare, target ?? bare, whole));
    at = match.index + whole.length;
  }
  if (at < text.length) found.push(text.slice(at));
  return found;
}

function link(label, target, whole) {
  if (!/^https?:\/\//i.test(target)) return whole;
  return h("a", { href: target, rel: "noopener noreferrer", target: "_blank" }, label);
}
