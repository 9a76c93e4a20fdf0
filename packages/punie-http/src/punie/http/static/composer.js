// Where a person writes to a session: send, queue or steer, stop, choose mode and model, and complete
// commands and files.

import { get, post } from "./api.js";
import { attempt, h } from "./dom.js";

export class Composer {
  constructor(key) {
    this.key = key;
    this.commands = [];
    this.mentioned = new Set();
    this.chosen = -1;
    this.offers = h("ul", { class: "offers", id: "offers", role: "listbox", "aria-label": "Completions", hidden: true });
    this.text = h("textarea", {
      name: "text", rows: "2", placeholder: "What next?  / for commands, @ for files", "aria-label": "Prompt",
      "aria-autocomplete": "list", "aria-controls": "offers",
      onkeydown: (event) => this.#key(event), oninput: () => this.#complete(), onblur: () => setTimeout(() => this.#offer([]), 150),
    });
    this.send = h("button", { class: "allow" });
    this.steer = h("button", { type: "button", hidden: true, title: "Put it into the running turn, or stop that and go first", onclick: () => this.#submit("now") },
      "Steer now", h("kbd", {}, "Ctrl Enter"));
    this.stop = h("button", { type: "button", class: "reject", hidden: true, onclick: () => attempt(post(`sessions/${key}/stop`)) }, "Stop", h("kbd", {}, "Esc"));
    this.options = h("span", { class: "config" });
    this.closed = h("p", { class: "calm", hidden: true });
    this.form = h("form", { class: "composer", onsubmit: (event) => { event.preventDefault(); this.#submit("next"); } },
      this.offers, this.text, h("div", { class: "options" }, this.send, this.steer, this.stop, this.options));
    this.element = h("div", {}, this.closed, this.form);
  }

  // How the session is: whether a prompt waits its turn, and whether there is anybody to write to.
  become(session) {
    const working = session.working !== "idle";
    const away = session.state === "gone" || session.state === "closed";
    if (this.working === working && this.away === away) return;
    [this.working, this.away] = [working, away];
    this.send.replaceChildren(working ? "Queue" : "Send", h("kbd", {}, "Enter"));
    this.send.title = working ? "Goes out when the running turn is over" : "";
    this.steer.hidden = this.stop.hidden = !working;
    this.closed.hidden = !away;
    this.closed.textContent = session.state === "closed" ? "This session is closed." : `The agent ${session.agent} is not connected: its sessions can be read, not prompted.`;
    this.form.hidden = away;
  }

  offer(options, commands) {
    this.commands = commands;
    const drawn = JSON.stringify(options);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.options.replaceChildren(...options.map((option) => this.#option(option)).filter(Boolean));
  }

  #option(option) {
    const choose = (value) => attempt(post(`sessions/${this.key}/config`, { config_id: option.configId, value }));
    if (option.type === "boolean") {
      return h("label", {}, h("input", { type: "checkbox", checked: option.currentValue, onchange: (event) => choose(event.target.checked) }), ` ${option.name}`);
    }
    if (option.type !== "select") return null;
    const draw = (one) => (one.options
      ? h("optgroup", { label: one.name }, ...one.options.map(draw))
      : h("option", { value: one.value, selected: one.value === option.currentValue, title: one.description }, one.name));
    return h("label", {}, `${option.name} `, h("select", { onchange: (event) => choose(event.target.value) }, ...option.options.map(draw)));
  }

  async #submit(when) {
    const text = this.text.value;
    if (!text.trim()) return;
    this.#offer([]);
    const files = [...text.matchAll(/(?:^|\s)@([^\s@]+)/g)].map((match) => match[1]).filter((path) => this.mentioned.has(path));
    this.text.value = "";
    const sent = await attempt(post(`sessions/${this.key}/prompts`, { text, files, when }));
    if (!sent && this.text.value === "") this.text.value = text;
  }

  #key(event) {
    if (!this.offers.hidden && this.#choose(event)) event.preventDefault();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit(event.ctrlKey || event.metaKey ? "now" : "next");
    } else if (event.key === "Escape" && !this.stop.hidden) this.stop.click();
  }

  // Keys while completions are offered; returns whether it was one of theirs.
  #choose(event) {
    const offers = [...this.offers.children];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.#mark((this.chosen + step + offers.length) % offers.length);
    } else if (event.key === "Tab" || (event.key === "Enter" && !event.ctrlKey && !event.metaKey)) offers[Math.max(0, this.chosen)].click();
    else if (event.key === "Escape") this.#offer([]);
    else return false;
    return true;
  }

  async #complete() {
    const mine = (this.completing = (this.completing ?? 0) + 1);
    const before = this.text.value.slice(0, this.text.selectionStart);
    const command = /^\/(\S*)$/.exec(before);
    const mention = /(?:^|\s)@(\S*)$/.exec(before);
    let found = [];
    if (command) {
      const begun = this.commands.filter((one) => one.name?.startsWith(command[1]) && one.name !== command[1]);
      found = begun.map((one) => ({ text: `/${one.name} `, note: one.description, from: 0 }));
    } else if (mention) {
      const answer = await attempt(get(`sessions/${this.key}/files?q=${encodeURIComponent(mention[1])}`));
      const from = before.length - mention[1].length - 1;
      found = (answer?.files ?? []).slice(0, 8).map((path) => ({ text: `@${path} `, note: "", from, path }));
    }
    if (mine === this.completing) this.#offer(found);
  }

  #offer(found) {
    this.offers.hidden = found.length === 0;
    this.offers.replaceChildren(...found.map((one, at) => h("li", { role: "option", id: `offer-${at}`, onpointerdown: (event) => event.preventDefault(), onclick: () => this.#take(one) },
      one.text, one.note ? h("small", {}, one.note) : null)));
    this.#mark(found.length ? 0 : -1);
  }

  #mark(chosen) {
    this.chosen = chosen;
    [...this.offers.children].forEach((offer, at) => offer.setAttribute("aria-selected", String(at === chosen)));
    if (chosen < 0) this.text.removeAttribute("aria-activedescendant");
    else this.text.setAttribute("aria-activedescendant", `offer-${chosen}`);
    this.offers.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  #take(one) {
    this.text.setRangeText(one.text, one.from, this.text.selectionStart, "end");
    if (one.path) this.mentioned.add(one.path);
    this.#offer([]);
    this.text.focus();
  }
}
