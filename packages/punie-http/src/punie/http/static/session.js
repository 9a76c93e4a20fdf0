// One session: its conversation, streamed, what it asks, and a composer.

import { get, remove } from "./api.js";
import { Changes } from "./changes.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { attempt, evident, h, lasted } from "./dom.js";
import { showCards } from "./inbox.js";
import { STATES } from "./states.js";
import { Transcript } from "./transcript.js";

export class SessionView {
  constructor(key, loaded) {
    this.key = key;
    this.first = loaded.first;
    this.conversation = new Conversation(new Transcript(loaded.items, { ...loaded.facts, waiting: loaded.waiting }, loaded.seq));
    this.changes = new Changes(this);
    this.drawing = 0;
    this.following = true;
    this.older = h("button", { type: "button", class: "quiet", hidden: this.first === 0, onclick: () => this.loadOlder() }, "Show what was said before");
    this.head = h("header", { class: "head" });
    this.asked = h("div", { class: "asked" });
    this.waiting = h("ul", { class: "waiting", "aria-label": "Prompts that wait" });
    this.composer = new Composer(this.key);
    this.empty = h("p", { class: "calm" }, "Nothing was said yet.");
    this.scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Conversation and questions", onscroll: () => this.#scrolled() },
      h("div", { class: "column" }, this.changes.element, this.older, this.empty, this.conversation.element, this.asked));
    this.element = h("div", { class: "session" }, this.head, this.scroll, h("div", { class: "foot" }, this.waiting, this.composer.element));
    this.draw();
    this.drawFacts();
  }

  static async open(key) {
    return new SessionView(key, await get(`sessions/${key}`));
  }

  get seen() { return this.conversation.transcript.seq; }

  log(event) {
    if (event.session !== this.key) return;
    const changed = this.conversation.apply(event);
    if (event.kind !== "update" || changed === null) this.drawFacts();
    this.drawing ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = 0;
    this.conversation.draw();
    this.empty.hidden = this.conversation.transcript.items.size > 0;
    this.follow();
  }

  // Stays at the end, unless the person scrolled up to read.
  follow() {
    if (this.following) this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    this.following = scrollHeight - scrollTop - clientHeight < 40;
  }

  drawFacts() {
    const { waiting = [], config_options: options = [], commands = [] } = this.conversation.transcript.facts;
    this.waiting.replaceChildren(...waiting.map((prompt) => h("li", {}, h("span", { class: "chip" }, "next"), h("span", { class: "what" }, prompt.text),
      h("button", { type: "button", class: "quiet", onclick: () => attempt(remove(`sessions/${this.key}/prompts/${prompt.id}`)) }, "Take back"))));
    this.composer.offer(options, commands);
  }

  // What the overview knows of this session, and what it asks.
  summary(session, inbox) {
    this.composer.become(session);
    this.changes.count(session.files.length);
    const shown = JSON.stringify([session.title, session.state, session.doing, session.used, session.size, session.plan, session.error, session.files.length, session.cost]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.head.replaceChildren(...this.#head(session).filter(Boolean));
    }
    const before = this.asked.childElementCount;
    showCards(this.asked, inbox.filter((asked) => asked.session === this.key), inbox);
    if (before !== this.asked.childElementCount) this.follow();
  }

  #head(session) {
    const facts = [
      h("span", {}, session.agent), h("span", { class: "path" }, evident(session.cwd)),
      session.doing && session.state !== "idle" ? h("span", { class: "doing" }, evident(session.doing)) : null,
      session.plan ? h("span", {}, `plan ${session.plan.done}/${session.plan.total}`) : null,
      session.size ? h("span", {}, `${Math.round((100 * session.used) / session.size)}% of ${tokens(session.size)} tokens`) : null,
      typeof session.cost?.amount === "number" ? h("span", {}, `${session.cost.amount.toFixed(2)} ${session.cost.currency}`) : null,
      session.turn_seconds >= 1 ? h("span", {}, `worked ${lasted(session.turn_seconds)}`) : null,
    ];
    return [
      h("div", { class: "title" }, h("span", { class: `chip ${session.state}` }, STATES[session.state]), h("h1", {}, session.title || `Session ${session.key}`)),
      h("p", { class: "facts" }, ...facts),
      session.state === "failed" && session.error ? h("p", { class: "problem" }, session.error) : null,
      h("p", { class: "facts links" },
        this.changes.toggle(session.files.length),
        h("a", { href: `#/s/${this.key}/replay` }, "Replay"),
        h("span", {}, "Save as ", ...["md", "html", "jsonl"].flatMap((format) => [h("a", { href: `/api/sessions/${this.key}/export?format=${format}`, download: "" }, NAMES[format]), " "])),
        session.state === "closed" ? null : h("button", { type: "button", class: "quiet", onclick: () => attempt(remove(`sessions/${this.key}`)) }, "Close session")),
    ];
  }

  async loadOlder() {
    const loaded = await attempt(get(`sessions/${this.key}?before=${this.first}`));
    if (!loaded) return;
    this.first = loaded.first;
    this.older.hidden = this.first === 0;
    const { scroll } = this;
    const fromEnd = scroll.scrollHeight - scroll.scrollTop;
    this.conversation.prepend(loaded.items);
    scroll.scrollTop = scroll.scrollHeight - fromEnd;
  }
}

const NAMES = { md: "Markdown", html: "HTML", jsonl: "events" };
const tokens = (count) => (count >= 1000 ? `${Math.round(count / 1000)}k` : String(count));
