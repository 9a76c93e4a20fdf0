// All sessions in the order of need, in groups.

import { ago, evident, h, keyed } from "./dom.js";
import { byNeed, needsSomebody, STATES } from "./states.js";

const GROUPS = [
  ["Needs you", ["needs_approval", "needs_answer"]], ["Failed", ["failed"]], ["Working", ["running"]],
  ["Idle", ["idle"]], ["Gone", ["gone"]],
];

export function drawSessions(place, sessions, current) {
  const open = [...sessions.values()].filter((session) => session.state !== "closed").sort(byNeed);
  const entries = GROUPS.flatMap(([name, states]) => {
    const members = open.filter((session) => states.includes(session.state));
    return members.length ? [{ group: name, count: members.length }, ...members] : [];
  });
  keyed(place, entries, {
    key: (one) => one.group ?? one.key,
    shows: (one) => (one.group ? String(one.count) : JSON.stringify([one.title, one.state, noteOf(one), one.key === current])),
    make: (one) => (one.group ? h("h2", {}, one.group, h("span", { class: "count" }, String(one.count))) : link(one, current)),
  });
  place.classList.toggle("empty", open.length === 0);
}

function link(session, current) {
  return h("a", { href: `#/s/${session.key}`, class: session.state, "aria-current": session.key === current ? "page" : null },
    h("strong", {}, session.title || `Session ${session.key}`),
    h("small", {}, needsSomebody(session) ? h("span", { class: "state" }, STATES[session.state]) : null, noteOf(session)));
}

// What its group does not say: who waits and for how long, what is under way, why it failed.
function noteOf(session) {
  const waits = session.waiting_since ? ` ${ago(session.waiting_since)}` : "";
  const plan = session.plan ? `${session.plan.done}/${session.plan.total}` : "";
  const queued = session.waiting ? `${session.waiting} queued` : "";
  const doing = session.state === "running" ? evident(session.doing) : "";
  const why = session.state === "failed" ? session.error : "";
  return [waits, session.agent, plan, queued, why || doing].filter(Boolean).join(" · ");
}
