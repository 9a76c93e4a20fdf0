// A session in time: its events are applied again, moment by moment, at the pace of then or faster.
// A moment is what belongs together: the pieces of one message, a tool call's change, a question, an
// answer.

import { get } from "./api.js";
import { Conversation } from "./conversation.js";
import { h } from "./dom.js";
import { Transcript } from "./transcript.js";

const LONGEST = 2000; // milliseconds that a pause of then lasts at most
const SHORTEST = 120;
const SPEEDS = [1, 2, 5, 20];

export class ReplayView {
  constructor(key, title, events) {
    this.key = key;
    this.moments = momentsOf(events);
    this.at = 0;
    this.playing = 0;
    this.speed = 1;
    this.conversation = new Conversation();
    this.slider = h("input", { type: "range", min: "0", max: String(this.moments.length), value: "0", step: "1", "aria-label": "Moment", oninput: () => { this.pause(); this.go(Number(this.slider.value)); } });
    this.button = h("button", { type: "button", class: "allow play", onclick: () => this.flip() });
    this.when = h("p", { class: "when", "aria-live": "polite" });
    this.scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Conversation as it was" }, h("div", { class: "column" }, this.conversation.element));
    const controls = h("div", { class: "foot replaying", role: "group", "aria-label": "Replay" },
      this.when, this.slider,
      h("div", { class: "options" },
        this.#step("First", () => 0), this.#step("Back", () => this.at - 1), this.button,
        this.#step("On", () => this.at + 1), this.#step("Last", () => this.moments.length),
        h("label", {}, "Pace ", h("select", { onchange: (event) => { this.speed = Number(event.target.value); } },
          ...SPEEDS.map((speed) => h("option", { value: String(speed) }, `${speed}×`)))),
        h("span", { class: "keys" }, h("kbd", {}, "space"), " play ", h("kbd", {}, "←"), h("kbd", {}, "→"), " step")));
    this.element = h("div", { class: "session replay" },
      h("header", { class: "head" }, h("div", { class: "title" }, h("span", { class: "chip" }, "replay"), h("h1", {}, title)),
        h("p", { class: "facts" }, h("a", { href: `#/s/${key}` }, "Back to the session"))),
      this.scroll, controls);
    this.go(Math.min(1, this.moments.length));
  }

  static async open(key) {
    const { session } = await get(`sessions/${key}?limit=1`);
    const events = [];
    for (let more = true; more;) {
      const page = (await get(`sessions/${key}/events?after=${events.at(-1)?.seq ?? 0}`)).events;
      events.push(...page);
      more = page.length > 0;
    }
    return new ReplayView(key, session.title || `Session ${key}`, events);
  }

  #step(name, to) {
    return h("button", { type: "button", onclick: () => { this.pause(); this.go(to()); } }, name);
  }

  // Shows the session as it was after a moment; 0 is before the first.
  go(to) {
    const next = Math.max(0, Math.min(this.moments.length, to));
    if (next < this.at) {
      this.at = 0;
      this.conversation.show(new Transcript());
    }
    for (; this.at < next; this.at += 1) for (const event of this.moments[this.at]) this.conversation.apply(event);
    this.conversation.draw();
    this.slider.value = String(next);
    const last = this.moments[next - 1]?.at(-1);
    const told = last ? `${new Date(last.at * 1000).toLocaleString()}` : "before it began";
    this.when.textContent = `${next} of ${this.moments.length}: ${told}`;
    this.slider.setAttribute("aria-valuetext", this.when.textContent);
    this.button.textContent = this.playing ? "Pause" : "Play";
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  flip() {
    if (this.playing) this.pause();
    else {
      if (this.at === this.moments.length) this.go(0);
      this.#play();
    }
  }

  pause() {
    clearTimeout(this.playing);
    this.playing = 0;
    this.button.textContent = "Play";
  }

  #play() {
    const [before, next] = [this.moments[this.at - 1], this.moments[this.at]];
    if (!next) return this.pause();
    const passed = before ? 1000 * (next[0].at - before.at(-1).at) : 0;
    this.playing = setTimeout(() => { this.go(this.at + 1); this.#play(); }, Math.max(SHORTEST, Math.min(LONGEST, passed) / this.speed));
    this.button.textContent = "Pause";
    return undefined;
  }

  // Handles a key; returns whether it was one of ours.
  press(event) {
    if (event.key === " " && !event.target.closest("button, summary, a")) this.flip();
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      this.pause();
      this.go(this.at + (event.key === "ArrowRight" ? 1 : -1));
    } else return false;
    return true;
  }

  leave() { this.pause(); }
}

// Events in groups that change the same item; what changes none (a state, an option) goes with the
// one before it, and what comes before all items with the first.
function momentsOf(events) {
  const tried = new Transcript();
  const moments = [];
  let current = null;
  for (const event of events) {
    const changed = tried.apply(event);
    if (moments.length === 0 || (changed !== null && current !== null && changed !== current)) moments.push([]);
    if (changed !== null) current = changed;
    moments.at(-1).push(event);
  }
  return moments;
}
