// The first page: what waits for a person, a new session, the agents, and pages of other makes.

import { get, post } from "./api.js";
import { attempt, evident, h, keyed } from "./dom.js";
import { showCards } from "./inbox.js";
import { needsSomebody } from "./states.js";

export class Overview {
  constructor() {
    this.inbox = h("div", { class: "inbox" });
    this.calm = h("p", { class: "calm" });
    this.counts = h("p", { class: "counts", "aria-live": "polite" });
    this.agents = h("ul", { class: "agents" });
    this.choice = h("select", { name: "agent" });
    this.panels = h("section", { class: "panels", hidden: true });
    this.element = h("div", { class: "overview" },
      h("div", { class: "asking" },
        h("div", { class: "top" }, h("h1", {}, "Needs you"), this.counts),
        this.calm, this.inbox),
      h("div", { class: "aside" },
        h("section", {}, h("h2", {}, "New session"), this.#form()),
        h("section", {}, h("h2", {}, "Agents"), this.agents),
        this.panels,
        h("section", { class: "legend" }, h("h2", {}, "Keys"), h("dl", {}, ...LEGEND.flatMap(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)])))));
    this.#showPanels();
  }

  draw({ agents, sessions }, inbox) {
    showCards(this.inbox, inbox, inbox);
    const all = [...sessions.values()];
    const asked = new Set(inbox.map((one) => one.session));
    const elsewhere = all.filter((session) => needsSomebody(session) && !asked.has(session.key));
    this.calm.hidden = inbox.length > 0;
    this.calm.textContent = elsewhere.length
      ? `${elsewhere.length === 1 ? "An agent waits" : `${elsewhere.length} agents wait`} for an answer in the IDE.`
      : calmWords(all);
    this.counts.textContent = COUNTED.map(([state, name]) => [all.filter((session) => session.state === state).length, name])
      .filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}`).join(" · ");
    this.#drawAgents([...agents.values()]);
  }

  #drawAgents(agents) {
    keyed(this.agents, agents, {
      key: (agent) => agent.name, shows: (agent) => JSON.stringify(agent),
      make: (agent) => h("li", {},
        h("strong", {}, agent.name), h("span", { class: `chip ${agent.condition}` }, agent.condition),
        h("small", {}, [agent.title && agent.title !== agent.name ? agent.title : "", agent.version, agent.client || WHERE[agent.kind]].filter(Boolean).join(" · ")),
        agent.project ? h("small", { class: "path" }, evident(agent.project)) : null,
        agent.problem ? h("small", { class: "problem" }, agent.problem) : null,
        agent.condition === "waiting" ? h("button", { type: "button", class: "quiet", onclick: () => attempt(post(`agents/${encodeURIComponent(agent.name)}/restart`)) }, "Start now") : null),
    });
    const ready = agents.filter((agent) => agent.condition === "ready").map((agent) => agent.name);
    if (ready.join() === [...this.choice.options].map((option) => option.value).join()) return;
    const chosen = this.choice.value;
    this.choice.replaceChildren(...ready.map((name) => h("option", { value: name, selected: name === chosen }, name)));
  }

  #form() {
    const start = async (event) => {
      event.preventDefault();
      const { agent, cwd, text } = event.target.elements;
      const session = await attempt(post("sessions", { agent: agent.value || null, cwd: cwd.value || null }));
      if (!session) return;
      if (text.value.trim()) await attempt(post(`sessions/${session.key}/prompts`, { text: text.value }));
      location.hash = `#/s/${session.key}`;
    };
    const sends = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
    };
    return h("form", { class: "new", onsubmit: start },
      h("label", {}, "Prompt", h("textarea", { name: "text", rows: "3", placeholder: "What shall it do?", onkeydown: sends })),
      h("label", {}, "Agent", this.choice),
      h("label", {}, "Folder", h("input", { name: "cwd", value: document.body.dataset.folder, spellcheck: "false" })),
      h("button", { class: "allow" }, "Start"));
  }

  async #showPanels() {
    const panels = (await attempt(get("panels")))?.panels ?? [];
    this.panels.hidden = panels.length === 0;
    this.panels.replaceChildren(h("h2", {}, "Panels"), h("ul", {}, ...panels.map((name) => h("li", {}, h("a", { href: `/panels/${encodeURIComponent(name)}/` }, name)))));
  }
}

function calmWords(sessions) {
  if (sessions.length === 0) return "Nobody needs you. Start a session here, or open one in an IDE that attaches: it shows up on the left.";
  return sessions.some((session) => session.state === "running") ? "Nobody needs you. The agents work." : "Nobody needs you.";
}

const COUNTED = [["failed", "failed"], ["running", "running"], ["idle", "idle"], ["gone", "gone"]];
const WHERE = { in_process: "in the hub", command: "a command", dialled: "dialled in" };
const LEGEND = [
  ["a", "allow once"], ["A", "allow always"], ["r", "reject"], ["R", "reject always"], ["1…9", "that option"],
  ["j k", "next, previous card"], ["/", "search"], ["h", "this page"],
];
