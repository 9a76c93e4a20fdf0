// What sessions are doing, in the order of need, and how that is called.

export const STATES = {
  needs_approval: "needs approval", needs_answer: "needs an answer", failed: "failed",
  running: "running", idle: "idle", gone: "gone", closed: "closed",
};

export const needsSomebody = (session) => session.state === "needs_approval" || session.state === "needs_answer";

export const byNeed = (a, b) =>
  a.need - b.need || (a.waiting_since ?? Infinity) - (b.waiting_since ?? Infinity) || b.changed_at - a.changed_at;

export const nameOf = (sessions, key) => sessions.get(key)?.title || `Session ${key}`;
