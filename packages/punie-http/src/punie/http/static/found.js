// Lists to read: what a search found, and who answered what.

import { get } from "./api.js";
import { attempt, evident, h } from "./dom.js";
import { nameOf } from "./states.js";

export async function found(query, sessions) {
  const hits = (query.trim() && (await attempt(get(`search?q=${encodeURIComponent(query)}`)))?.hits) || [];
  return h("div", { class: "reading" }, h("h1", {}, query.trim() ? `Found: ${query}` : "Search all sessions"),
    hits.length === 0 ? h("p", { class: "calm" }, query.trim() ? "Nothing that was said in any session has these words." : "Type words that were said in a session.") : null,
    h("ul", { class: "hits" }, ...hits.map((hit) => h("li", {},
      h("a", { href: `#/s/${hit.session}` }, nameOf(sessions, hit.session)), h("span", { class: "chip" }, hit.kind.replaceAll("_", " ")),
      h("p", {}, ...marked(hit.snippet))))));
}

const marked = (snippet) => snippet.split(/(\u0002[^\u0003]*\u0003)/).map((part) => (part.startsWith("\u0002") ? h("mark", {}, part.slice(1, -1)) : part));

export async function answers(sessions) {
  const audit = (await attempt(get("audit")))?.answers ?? [];
  const columns = ["When", "Asked", "Answer", "By", "Session"];
  return h("div", { class: "reading" }, h("h1", {}, "Who answered what"),
    audit.length === 0 ? h("p", { class: "calm" }, "Nothing was answered yet.") : h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Answers" }, h("table", {},
      h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...audit.map((one) => h("tr", {},
        h("td", {}, new Date(one.at * 1000).toLocaleString()), h("td", {}, evident(one.title)), h("td", {}, evident(one.option ?? one.outcome)), h("td", {}, one.by),
        h("td", {}, h("a", { href: `#/s/${one.session}` }, nameOf(sessions, one.session)))))))));
}
