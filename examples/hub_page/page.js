// A page of one's own on the hub's API: every session in a line, a button for each answer.

const list = document.getElementById("sessions");
const sessions = new Map();
const questions = new Map();

function draw() {
  const lines = [...sessions.values()].sort((a, b) => a.need - b.need).map((session) => {
    const line = document.createElement("li");
    line.append(`${session.state}: ${session.title} `);
    for (const asked of questions.values()) {
      if (asked.session === session.key) line.append(asked.title, " ", ...asked.options.map((option) => button(asked, option)));
    }
    return line;
  });
  list.replaceChildren(...lines);
}

function button(asked, option) {
  const made = document.createElement("button");
  made.textContent = option.name;
  made.onclick = () => fetch(`/api/inbox/${asked.id}/select`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ option_id: option.optionId }),
  });
  return made;
}

const on = (name, take) => events.addEventListener(name, (event) => { take(JSON.parse(event.data)); draw(); });
const events = new EventSource("/api/events");
on("overview", (all) => {
  all.sessions.forEach((session) => sessions.set(session.key, session));
  all.inbox.forEach((asked) => questions.set(asked.id, asked));
});
on("session", (session) => sessions.set(session.key, session));
on("asked", (asked) => questions.set(asked.id, asked));
on("answered", (answer) => questions.delete(answer.id));
