// One session: its conversation, streamed, and a composer.

import { get, post, remove } from "./api.js";
import { h, say } from "./dom.js";
import { alike, card } from "./inbox.js";
import { itemView } from "./items.js";
import { Transcript } from "./transcript.js";

export class SessionView {
  constructor(key, loaded) {
    this.key = key;
    this.first = loaded.first;
    this.transcript = new Transcript(loaded.items, { ...loaded.facts, waiting: loaded.waiting }, loaded.seq);
    this.views = new Map();
    this.dirty = new Set(this.transcript.items.keys());
    this.drawing = 0;
    this.following = true;
    this.items = h("div", { class: "items", role: "log", "aria-label": "Conversation" });
    this.older = h("button", { type: "button", class: "quiet", hidden: this.first === 0, onclick: () => this.loadOlder() }, "Earlier");
    this.head = h("div", { class: "head" });
    this.asked = h("div", { class: "asked" });
    this.waiting = h("ul", { class: "waiting" });
    this.composer = new Composer(this);
    this.element = h("div", { class: "session" }, this.head, this.older, this.items, this.asked, this.waiting, this.composer.element);
    this.draw();
    this.drawFacts();
  }

  static async open(key) {
    return new SessionView(key, await get(`sessions/${key}`));
  }

  log(event) {
    if (event.session !== this.key) return;
    const changed = this.transcript.apply(event);
    if (changed) this.dirty.add(changed);
    if (event.kind !== "update" || changed === null) this.drawFacts();
    this.drawing ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = 0;
    for (const key of this.dirty) {
      const item = this.transcript.items.get(key);
      const old = this.views.get(key);
      const view = itemView(item);
      if (old) {
        keepOpen(old, view);
        old.replaceWith(view);
      } else this.items.append(view);
      this.views.set(key, view);
    }
    this.dirty.clear();
    this.follow();
  }

  // Stays at the end, unless the person scrolled up to read.
  follow() {
    const main = document.getElementById("main");
    if (this.following) main.scrollTop = main.scrollHeight;
  }

  drawFacts() {
    const { waiting = [], config_options: options = [] } = this.transcript.facts;
    this.waiting.replaceChildren(...waiting.map((prompt) => h("li", {}, "next: ", prompt.text, " ",
      h("button", { type: "button", class: "quiet", onclick: () => attempt(remove(`sessions/${this.key}/prompts/${prompt.id}`)) }, "Take back"))));
    this.composer.offer(options, this.transcript.facts.commands ?? []);
  }

  // What the overview knows of this session, and what it asks.
  summary(session, inbox) {
    this.composer.working(session.working !== "idle");
    const facts = [session.state.replace("_", " "), session.doing, session.cwd];
    if (session.size) facts.push(`${Math.round((100 * session.used) / session.size)}% of ${session.size} tokens`);
    if (session.plan) facts.push(`plan ${session.plan.done}/${session.plan.total}`);
    if (session.files.length) facts.push(`${session.files.length} files changed`);
    this.head.replaceChildren(h("h1", {}, session.title || `Session ${session.key}`),
      h("p", { class: "facts" }, facts.filter(Boolean).join(" · "), " ",
        ...["md", "html", "jsonl"].map((format) => h("a", { href: `/api/sessions/${this.key}/export?format=${format}`, download: "" }, `${format} `))));
    const mine = inbox.filter((asked) => asked.session === this.key);
    const known = [...this.asked.children].map((child) => child.dataset.asked).join();
    if (known !== mine.map((asked) => asked.id).join()) {
      this.asked.replaceChildren(...mine.map((asked) => card(asked, alike(asked, inbox))));
      this.follow();
    }
  }

  async loadOlder() {
    const loaded = await get(`sessions/${this.key}?before=${this.first}`);
    this.first = loaded.first;
    this.older.hidden = this.first === 0;
    const views = loaded.items.filter((item) => !this.views.has(item.key)).map((item) => {
      const view = itemView(item);
      this.views.set(item.key, view);
      return view;
    });
    this.items.prepend(...views);
  }
}

function keepOpen(old, view) {
  const before = old.querySelectorAll("details");
  view.querySelectorAll("details").forEach((details, at) => {
    if (before[at]) details.open = before[at].open;
  });
}

async function attempt(promise) {
  try {
    return await promise;
  } catch (error) {
    say(error.message);
    return undefined;
  }
}

class Composer {
  constructor(view) {
    this.view = view;
    this.text = h("textarea", { name: "text", rows: "3", placeholder: "What next?  / for commands, @ for files", "aria-label": "Prompt",
      onkeydown: (event) => this.#key(event), oninput: () => this.#complete() });
    this.send = h("button", { class: "allow" }, "Send");
    this.steer = h("button", { type: "button", hidden: true, onclick: () => this.#submit("now") }, "Steer");
    this.stop = h("button", { type: "button", class: "reject", hidden: true, onclick: () => attempt(post(`sessions/${this.view.key}/stop`)) }, "Stop");
    this.options = h("span", { class: "config" });
    this.offers = h("ul", { class: "offers", hidden: true });
    this.commands = [];
    this.element = h("form", { class: "composer", onsubmit: (event) => { event.preventDefault(); this.#submit("next"); } },
      this.offers, this.text, h("div", { class: "options" }, this.send, this.steer, this.stop, this.options));
  }

  working(yes) {
    this.send.textContent = yes ? "Queue" : "Send";
    this.steer.hidden = !yes;
    this.stop.hidden = !yes;
  }

  offer(options, commands) {
    this.commands = commands;
    const drawn = JSON.stringify(options);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.options.replaceChildren(...options.map((option) => this.#option(option)).filter(Boolean));
  }

  #option(option) {
    const choose = (value) => attempt(post(`sessions/${this.view.key}/config`, { config_id: option.configId, value }));
    if (option.type === "boolean") {
      return h("label", {}, h("input", { type: "checkbox", checked: option.currentValue, onchange: (event) => choose(event.target.checked) }), option.name);
    }
    if (option.type !== "select") return null;
    const values = option.options.flatMap((one) => one.options ?? [one]);
    return h("label", {}, `${option.name} `, h("select", { onchange: (event) => choose(event.target.value) },
      ...values.map((one) => h("option", { value: one.value, selected: one.value === option.currentValue, title: one.description }, one.name))));
  }

  async #submit(when) {
    const text = this.text.value;
    if (!text.trim()) return;
    const files = [...text.matchAll(/(?:^|\s)@([^\s@]+)/g)].map((match) => match[1]).filter((path) => this.mentioned?.has(path));
    const sent = await attempt(post(`sessions/${this.view.key}/prompts`, { text, files, when }));
    if (sent) this.text.value = "";
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit(event.ctrlKey || event.metaKey ? "now" : "next");
    } else if (event.key === "Escape" && !this.stop.hidden) this.stop.click();
    else if (event.key === "Tab" && !this.offers.hidden) {
      event.preventDefault();
      this.offers.querySelector("button").click();
    }
  }

  async #complete() {
    const before = this.text.value.slice(0, this.text.selectionStart);
    const command = /^\/(\S*)$/.exec(before);
    const mention = /(?:^|\s)@(\S*)$/.exec(before);
    let found = [];
    if (command) found = this.commands.filter((one) => one.name?.startsWith(command[1])).map((one) => ({ text: `/${one.name} `, note: one.description, from: 0 }));
    else if (mention) {
      const answer = await attempt(get(`sessions/${this.view.key}/files?q=${encodeURIComponent(mention[1])}`));
      const from = before.length - mention[1].length - 1;
      found = (answer?.files ?? []).slice(0, 8).map((path) => ({ text: `@${path} `, note: "", from, path }));
    }
    this.offers.hidden = found.length === 0;
    this.offers.replaceChildren(...found.map((one) => h("li", {}, h("button", { type: "button", class: "quiet", onclick: () => this.#take(one) }, one.text, " ", h("small", {}, one.note)))));
  }

  #take(one) {
    const end = this.text.selectionStart;
    this.text.setRangeText(one.text, one.from, end, "end");
    if (one.path) (this.mentioned ??= new Set()).add(one.path);
    this.offers.hidden = true;
    this.text.focus();
  }
}
