// A conversation on the page: the items of a transcript, drawn again when they change.

import { h } from "./dom.js";
import { itemView, keepFolds } from "./items.js";
import { Transcript } from "./transcript.js";

export class Conversation {
  constructor(transcript = new Transcript()) {
    this.element = h("div", { class: "items", role: "log", "aria-label": "Conversation" });
    this.show(transcript);
  }

  // Another transcript in place of this one.
  show(transcript) {
    this.transcript = transcript;
    this.views = new Map();
    this.owners = new Map();
    this.dirty = new Set(transcript.items.keys());
    this.element.replaceChildren();
    this.draw();
  }

  // Takes an event of the log; returns the key of the item that changed, if one did.
  apply(event) {
    const changed = this.transcript.apply(event);
    if (changed) this.dirty.add(changed);
    return changed;
  }

  draw() {
    for (const key of this.dirty) this.#draw(this.transcript.items.get(key));
    this.dirty.clear();
  }

  #draw(item) {
    if (item.type === "terminal" && this.owners.has(item.key)) {
      this.#place(this.transcript.items.get(this.owners.get(item.key)));
      return;
    }
    for (const one of item.type === "tool" ? item.content ?? [] : []) {
      if (one.type === "terminal") this.#own(`terminal:${one.terminalId}`, item.key);
    }
    this.#place(item);
  }

  // A terminal that a tool call shows is not shown by itself.
  #own(terminal, tool) {
    this.owners.set(terminal, tool);
    this.views.get(terminal)?.remove();
    this.views.delete(terminal);
  }

  #place(item) {
    const old = this.views.get(item.key);
    const view = itemView(item, (key) => this.transcript.items.get(key));
    if (old) {
      keepFolds(old, view);
      old.replaceWith(view);
    } else this.element.append(view);
    this.views.set(item.key, view);
  }

  // Items from before those that are shown.
  prepend(items) {
    const views = items.filter((item) => !this.views.has(item.key) && !this.owners.has(item.key)).map((item) => {
      const view = itemView(item, (key) => items.find((other) => other.key === key));
      this.views.set(item.key, view);
      return view;
    });
    this.element.prepend(...views);
  }
}
