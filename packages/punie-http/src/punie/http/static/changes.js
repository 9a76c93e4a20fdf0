// The files that a session changed, each with its diffs in the order in which they were made.

import { get } from "./api.js";
import { diffView } from "./diff.js";
import { attempt, evident, h } from "./dom.js";

export class Changes {
  constructor(view) {
    this.view = view;
    this.element = h("section", { class: "changes", hidden: true, "aria-label": "Changed files" });
    this.button = null;
  }

  toggle(count) {
    this.button = count === 0 ? null : h("button", { type: "button", class: "quiet", "aria-expanded": String(!this.element.hidden), onclick: () => this.#flip() }, words(count));
    return this.button;
  }

  count(count) {
    if (count !== this.counted && !this.element.hidden) this.#fill();
    this.counted = count;
  }

  async #flip() {
    this.element.hidden = !this.element.hidden;
    this.button.setAttribute("aria-expanded", String(!this.element.hidden));
    if (this.element.hidden) return;
    await this.#fill();
    this.element.scrollIntoView({ block: "start" });
  }

  async #fill() {
    const files = new Map();
    for (const call of await this.#calls()) {
      for (const one of call.content ?? []) {
        if (one.type !== "diff") continue;
        const name = (one.changes ?? []).map((change) => change.path).join(", ");
        files.set(name, [...(files.get(name) ?? []), one]);
      }
    }
    this.element.replaceChildren(h("h2", {}, "Changed files"),
      ...[...files].map(([name, diffs]) => h("details", { open: files.size <= 3 }, h("summary", { class: "path" }, evident(name)),
        ...diffs.map((one) => (one.patch?.text ? diffView(one.patch.text) : h("p", { class: "soft" }, (one.changes ?? []).map((change) => change.operation).join(", ")))))));
  }

  // All tool calls that are over, of the whole session.
  async #calls() {
    let before = Infinity;
    const pages = [];
    while (before > 0) {
      const page = await attempt(get(`sessions/${this.view.key}?limit=500${before === Infinity ? "" : `&before=${before}`}`));
      if (!page) break;
      pages.unshift(page.items);
      before = page.first;
    }
    return pages.flat().filter((item) => item.type === "tool" && item.status === "completed");
  }
}

const words = (count) => (count === 1 ? "1 changed file" : `${count} changed files`);
