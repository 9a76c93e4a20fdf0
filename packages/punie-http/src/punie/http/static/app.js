// The page: what is shown, the one stream that feeds it, keys, and whether somebody is needed.

import { get, post, stream } from "./api.js";
import { ago, h, say } from "./dom.js";
import { alike, card, key as inboxKey } from "./inbox.js";
import { SessionView } from "./session.js";

const state = { agents: new Map(), sessions: new Map(), inbox: new Map(), problem: "" };
const main = document.getElementById("main");
const list = document.getElementById("sessions");
const connection = document.getElementById("connection");
const notify = document.getElementById("notify");
let view = null;
let source = null;
let opening = 0;

// The stream

function listen() {
  source?.close();
  source = stream(view?.key ?? null, view?.transcript.seq ?? 0, {
    overview: (all) => {
      state.agents = new Map(all.agents.map((agent) => [agent.name, agent]));
      state.sessions = new Map(all.sessions.map((session) => [session.key, session]));
      state.inbox = new Map(all.inbox.map((asked) => [asked.id, asked]));
      state.problem = all.problem;
      changed();
    },
    agent: (agent) => { state.agents.set(agent.name, agent); changed(); },
    session: (session) => { state.sessions.set(session.key, session); changed(); },
    asked: (asked) => { state.inbox.set(asked.id, asked); need(asked); changed(); },
    answered: (answer) => { state.inbox.delete(answer.id); forget(answer.id); changed(); },
    log: (event) => view?.log(event),
    open: () => { connection.textContent = "live"; },
    error: () => { connection.textContent = "reconnecting"; },
  });
}

let drawing = 0;
function changed() {
  drawing ||= requestAnimationFrame(draw);
}

// What is shown

function draw() {
  drawing = 0;
  const inbox = [...state.inbox.values()].sort((a, b) => a.asked_at - b.asked_at);
  document.title = inbox.length ? `(${inbox.length}) Punie` : "Punie";
  drawList();
  if (view) {
    const session = state.sessions.get(view.key);
    if (session) view.summary(session, inbox);
  } else if (route() === "") drawOverview(inbox);
}

const byNeed = (a, b) => a.need - b.need || (a.waiting_since ?? Infinity) - (b.waiting_since ?? Infinity) || b.changed_at - a.changed_at;

function drawList() {
  const sessions = [...state.sessions.values()].filter((session) => session.state !== "closed").sort(byNeed);
  list.replaceChildren(...sessions.map((session) => h("a", { href: `#/s/${session.key}`, class: session.state, "aria-current": view?.key === session.key ? "page" : null },
    h("span", { class: "state" }, session.state.replace("_", " ")), " ",
    h("strong", {}, session.title || `Session ${session.key}`),
    h("small", {}, [session.agent, session.doing, session.plan && `${session.plan.done}/${session.plan.total}`, session.waiting_since && `waits ${ago(session.waiting_since)}`].filter(Boolean).join(" · ")))));
}

let drawnInbox = "";
function drawOverview(inbox) {
  const cards = main.querySelector(".inbox") ?? overview();
  const ids = inbox.map((asked) => asked.id).join();
  if (ids !== drawnInbox || cards.childElementCount === 0) {
    drawnInbox = ids;
    const focused = document.activeElement?.closest(".card")?.dataset.asked;
    cards.replaceChildren(...(inbox.length ? inbox.map((asked) => card(asked, alike(asked, inbox))) : [h("p", { class: "calm" }, "Nobody needs you.")]));
    (cards.querySelector(`[data-asked="${focused}"]`) ?? (focused && cards.querySelector(".card")))?.focus();
  }
  main.querySelector(".problem").textContent = state.problem ? `Nothing can be written down: ${state.problem}` : "";
  main.querySelector(".agents").replaceChildren(...[...state.agents.values()].map((agent) => h("li", { class: agent.condition },
    h("strong", {}, agent.name), ` ${agent.condition}`, agent.problem ? `: ${agent.problem} ` : " ",
    agent.condition === "waiting" ? h("button", { type: "button", class: "quiet", onclick: () => attempt(post(`agents/${encodeURIComponent(agent.name)}/restart`)) }, "Start now") : null)));
  const choice = main.querySelector("select[name=agent]");
  const ready = [...state.agents.values()].filter((agent) => agent.condition === "ready").map((agent) => agent.name);
  if (ready.join() !== [...choice.options].map((option) => option.value).join()) choice.replaceChildren(...ready.map((name) => h("option", { value: name }, name)));
}

function overview() {
  const inbox = h("div", { class: "inbox" });
  const start = async (event) => {
    event.preventDefault();
    const { agent, cwd, text } = event.target.elements;
    const session = await attempt(post("sessions", { agent: agent.value || null, cwd: cwd.value || null }));
    if (!session) return;
    if (text.value.trim()) await attempt(post(`sessions/${session.key}/prompts`, { text: text.value }));
    location.hash = `#/s/${session.key}`;
  };
  main.replaceChildren(
    h("p", { class: "problem", role: "alert" }), h("h1", {}, "Needs you"), inbox,
    h("h2", {}, "New session"),
    h("form", { class: "new", onsubmit: start },
      h("label", {}, "Agent ", h("select", { name: "agent" })),
      h("label", {}, "Folder ", h("input", { name: "cwd", value: document.body.dataset.folder })),
      h("label", {}, "Prompt ", h("textarea", { name: "text", rows: "2" })),
      h("button", { class: "allow" }, "Start")),
    h("h2", {}, "Agents"), h("ul", { class: "agents" }));
  return inbox;
}

async function attempt(promise) {
  try {
    return (await promise) ?? true;
  } catch (error) {
    say(error.message);
    return undefined;
  }
}

// Where we are

const route = () => location.hash.replace(/^#\/?/, "");

async function go() {
  const mine = ++opening;
  const [page, rest] = route().split("/");
  const next = page === "s" && /^\d+$/.test(rest) ? await attempt(SessionView.open(Number(rest))) : null;
  if (mine !== opening) return;
  const before = view?.key;
  view = next ?? null;
  if (view) {
    main.replaceChildren(view.element);
    view.follow();
  } else if (page === "search") await found(decodeURIComponent(rest ?? ""));
  else if (page === "audit") await answers();
  else {
    overview();
    drawnInbox = "";
  }
  if (source === null || view?.key !== before || view) listen();
  changed();
}

async function found(query) {
  const answer = await attempt(get(`search?q=${encodeURIComponent(query)}`));
  main.replaceChildren(h("h1", {}, `Found: ${query}`), h("ul", { class: "hits" }, ...(answer?.hits ?? []).map((hit) =>
    h("li", {}, h("a", { href: `#/s/${hit.session}` }, state.sessions.get(hit.session)?.title || `Session ${hit.session}`), ` ${hit.kind}: `, ...marked(hit.snippet)))));
}

const marked = (snippet) => snippet.split(/(\u0002[^\u0003]*\u0003)/).map((part) => (part.startsWith("\u0002") ? h("mark", {}, part.slice(1, -1)) : part));

async function answers() {
  const audit = await attempt(get("audit"));
  main.replaceChildren(h("h1", {}, "Who answered what"), h("div", { class: "wide" }, h("table", {}, ...(audit?.answers ?? []).map((one) =>
    h("tr", {}, h("td", {}, new Date(one.at * 1000).toLocaleString()), h("td", {}, one.title), h("td", {}, one.option ?? one.outcome), h("td", {}, one.by),
      h("td", {}, h("a", { href: `#/s/${one.session}` }, state.sessions.get(one.session)?.title || `Session ${one.session}`)))))));
}

// Whether somebody is needed

const notices = new Map();

function need(asked) {
  if (!("Notification" in window) || Notification.permission !== "granted" || !document.hidden) return;
  const notice = new Notification(asked.title, { body: asked.session_title || asked.agent, tag: asked.id });
  notice.onclick = () => { window.focus(); location.hash = "#/"; };
  notices.set(asked.id, notice);
}

function forget(id) {
  notices.get(id)?.close();
  notices.delete(id);
}

notify.hidden = !("Notification" in window) || Notification.permission !== "default";
notify.addEventListener("click", async () => { notify.hidden = (await Notification.requestPermission()) !== "default"; });

// Keys

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  if (event.key === "/") document.querySelector("#find input").focus();
  else if (event.key === "h") location.hash = "#/";
  else if (!inboxKey(event)) return;
  event.preventDefault();
});

document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#/search/${encodeURIComponent(event.target.elements.q.value)}`;
});

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-since]")) time.textContent = ago(Number(time.dataset.since));
  drawList();
}, 10_000);

main.addEventListener("scroll", () => {
  if (view) view.following = main.scrollHeight - main.scrollTop - main.clientHeight < 40;
});
window.addEventListener("hashchange", go);
go();
