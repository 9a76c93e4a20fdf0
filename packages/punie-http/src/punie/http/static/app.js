// The page: what is known, the one stream that feeds it, where we are, and keys.

import { stream } from "./api.js";
import { ago, attempt } from "./dom.js";
import { answers, found } from "./found.js";
import { aim, key as cardKey } from "./keys.js";
import { offerNotices, tell } from "./notices.js";
import { Overview } from "./overview.js";
import { ReplayView } from "./replay.js";
import { SessionView } from "./session.js";
import { drawSessions } from "./sidebar.js";

let waiting = null; // the inbox in order, made anew when somebody asks or answers
const state = { agents: new Map(), sessions: new Map(), inbox: new Map(), problem: "" };
const main = document.getElementById("main");
const list = document.getElementById("sessions");
const problem = document.getElementById("problem");
const connection = document.getElementById("connection");
let view = null; // what fills the page, when it changes by itself
let source = null;
let heard = false;
let opening = 0;

// The stream

function listen() {
  source?.close();
  const mine = (source = stream(view?.log ? view.key : null, view?.log ? view.seen : 0, {
    overview: (all) => {
      state.agents = new Map(all.agents.map((agent) => [agent.name, agent]));
      state.sessions = new Map(all.sessions.map((session) => [session.key, session]));
      state.inbox = new Map(all.inbox.map((asked) => [asked.id, asked]));
      waiting = null;
      state.problem = all.problem;
      heard = true;
      changed();
    },
    agent: (agent) => {
      if (agent.condition === "gone") state.agents.delete(agent.name);
      else state.agents.set(agent.name, agent);
      changed();
    },
    session: (session) => { state.sessions.set(session.key, session); changed(); },
    problem: ({ problem }) => { state.problem = problem; changed(); },
    forgotten: ({ key }) => { state.sessions.delete(key); changed(); },
    asked: (asked) => { state.inbox.set(asked.id, asked); waiting = null; changed(); },
    answered: (answer) => { state.inbox.delete(answer.id); waiting = null; changed(); },
    log: (event) => view?.log?.(event),
    open: () => connected("live"),
    error: () => {
      if (mine.readyState !== EventSource.CLOSED) connected("reconnecting");
      else if (mine === source) connected("signed out: open the link that punie serve printed");
    },
  }));
}

function connected(how) {
  connection.textContent = how;
  connection.classList.toggle("live", how === "live");
}

// Frames do not come while nobody looks, and somebody may be needed then.
let drawing = false;
function changed() {
  if (drawing) return;
  drawing = true;
  if (document.hidden) setTimeout(draw);
  else requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  if (!heard) return;
  const inbox = (waiting ??= [...state.inbox.values()].sort((a, b) => a.asked_at - b.asked_at));
  tell(inbox, state.sessions);
  problem.textContent = state.problem ? `Nothing can be written down: ${state.problem}` : "";
  problem.hidden = !state.problem;
  drawSessions(list, state.sessions, view?.key);
  if (view instanceof Overview) view.draw(state, inbox);
  else if (view instanceof SessionView && state.sessions.has(view.key)) view.summary(state.sessions.get(view.key), inbox);
  aim();
}

// Where we are

const route = () => location.hash.replace(/^#\/?/, "");

async function go() {
  const mine = ++opening;
  const [page, rest, part] = route().split("/");
  const numbered = page === "s" && /^\d+$/.test(rest);
  let next = null;
  let element = null;
  if (numbered) next = await attempt(part === "replay" ? ReplayView.open(Number(rest)) : SessionView.open(Number(rest)));
  else if (page === "search") element = await found(decoded(rest ?? ""), state.sessions);
  else if (page === "audit") element = await answers(state.sessions);
  if (mine !== opening) return;
  if (!next && !element) next = new Overview();
  view?.leave?.();
  view = next;
  document.body.dataset.view = next instanceof Overview ? "overview" : next ? "session" : "reading";
  main.replaceChildren(element ?? next.element);
  main.scrollTop = 0;
  view?.follow?.();
  for (const link of document.querySelectorAll("header nav a")) link.toggleAttribute("aria-current", link.hash === location.hash);
  listen();
  changed();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Its target is no place of the page's own.
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });

offerNotices(document.getElementById("notify"));

// Keys

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select")) return;
  if (event.key === "/") document.querySelector("#find input").focus();
  else if (event.key === "h") location.hash = "#/";
  else if (!view?.press?.(event) && !cardKey(event)) return;
  event.preventDefault();
});

document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#/search/${encodeURIComponent(event.target.elements.q.value)}`;
});

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-since]")) time.textContent = ago(Number(time.dataset.since));
  if (heard) drawSessions(list, state.sessions, view?.key);
}, 10_000);

document.addEventListener("visibilitychange", () => { if (drawing) draw(); });
window.addEventListener("hashchange", go);
go();
