// Tells who is needed outside of the page: the title's number, and notifications of the desktop,
// which go away when somebody answered, here or elsewhere.

import { needsSomebody } from "./states.js";

const notices = new Map();
let known = null;

export function tell(inbox, sessions) {
  const asked = new Set(inbox.map((one) => one.session));
  const elsewhere = [...sessions.values()].filter((session) => needsSomebody(session) && !asked.has(session.key));
  const count = inbox.length + elsewhere.length;
  document.title = count ? `(${count}) Punie` : "Punie";
  const waiting = new Map([
    ...inbox.map((one) => [one.id, { title: one.title, body: `${one.session_title || `Session ${one.session}`} · ${one.agent}`, to: `#/s/${one.session}` }]),
    ...elsewhere.map((session) => [`session-${session.key}`, { title: session.title || `Session ${session.key}`, body: "asks in its IDE", to: `#/s/${session.key}` }]),
  ]);
  for (const [id, notice] of notices) {
    if (waiting.has(id)) continue;
    notice.close();
    notices.delete(id);
  }
  for (const [id, about] of waiting) if (known !== null && !known.has(id)) notify(id, about);
  known = new Set(waiting.keys());
}

// Nobody is told of what he looks at.
function notify(id, { title, body, to }) {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  if (!document.hidden && document.hasFocus()) return;
  const notice = new Notification(title, { body, tag: id });
  notice.onclick = () => { window.focus(); location.hash = to; };
  notices.set(id, notice);
}

export function offerNotices(button) {
  button.hidden = !("Notification" in window) || Notification.permission !== "default";
  button.addEventListener("click", async () => { button.hidden = (await Notification.requestPermission()) !== "default"; });
}
