// A session's conversation: the updates of protocol version 2 are patches by id, applied here by
// the same rules as in punie.http.transcript, from where the first items come.

const ROLES = {
  user_message: "user", user_message_chunk: "user",
  agent_message: "agent", agent_message_chunk: "agent",
  agent_thought: "thought", agent_thought_chunk: "thought",
  __proto__: null,
};
const BY_ID = {
  tool_call_update: ["tool", "toolCallId"],
  terminal_update: ["terminal", "terminalId"],
  compaction_update: ["compaction", "compactionId"],
  __proto__: null,
};
const CHUNKS = {
  tool_call_content_chunk: ["tool", "toolCallId", "content", "content"],
  terminal_output_chunk: ["terminal", "terminalId", "chunks", "data"],
  compaction_summary_chunk: ["compaction", "compactionId", "summary", "content"],
  __proto__: null,
};

export class Transcript {
  constructor(items = [], facts = {}, seq = 0) {
    this.items = new Map(items.map((item) => [item.key, item]));
    this.facts = facts;
    this.seq = seq;
  }

  // Takes an event of the log; returns the key of the item that changed, if one did.
  apply(event) {
    if (event.seq <= this.seq) return null;
    this.seq = event.seq;
    const { kind, body } = event;
    if (kind === "update") return this.#update(body, event);
    if (kind === "asked") {
      return this.#patch(this.#item(`asked:${body.id}`, "approval", event), body);
    }
    if (kind === "answered") {
      const item = this.items.get(`asked:${body.id}`);
      if (!item) return null;
      item.answer = body;
      return item.key;
    }
    if (kind === "prompts") this.facts.waiting = body.waiting;
    return null;
  }

  #update(update, event) {
    const kind = update.sessionUpdate;
    if (kind in ROLES) return this.#message(kind, update, event);
    if (kind in BY_ID) {
      const [type, id] = BY_ID[kind];
      return this.#patch(this.#item(`${type}:${update[id]}`, type, event), update);
    }
    if (kind in CHUNKS) {
      const [type, id, grows, chunk] = CHUNKS[kind];
      const item = this.#item(`${type}:${update[id]}`, type, event);
      (item[grows] ??= []).push(update[chunk]);
      return item.key;
    }
    switch (kind) {
      case "plan_update": {
        const item = this.#item(`plan:${update.plan.planId ?? ""}`, "plan", event);
        item.plan = update.plan;
        return item.key;
      }
      case "notice":
        return this.#patch(this.#item(`notice:${event.seq}`, "notice", event), update);
      case "state_update":
        return this.#state(update, event);
      case "config_option_update":
        this.facts.config_options = update.configOptions;
        return null;
      case "available_commands_update":
        this.facts.commands = update.availableCommands;
        return null;
      default:
        return null;
    }
  }

  #message(kind, update, event) {
    const item = this.#item(`message:${update.messageId}`, "message", event, { role: ROLES[kind], content: [] });
    if (kind.endsWith("_chunk")) append(item.content, update.content);
    else if ("content" in update) {
      item.content = [];
      for (const block of update.content ?? []) append(item.content, block);
    }
    return item.key;
  }

  #state(update, event) {
    this.facts.state = update.state;
    const reason = update.stopReason;
    if (update.state !== "idle" || !reason || reason === "end_turn") return null;
    const item = this.#item(`end:${event.seq}`, "end", event);
    item.reason = reason;
    item.error = update.error?.message;
    return item.key;
  }

  #item(key, type, event, initial = {}) {
    let item = this.items.get(key);
    if (!item) {
      item = { key, type, at: event.at, ...initial };
      this.items.set(key, item);
    }
    item.seq = event.seq;
    return item;
  }

  #patch(item, update) {
    for (const [name, value] of Object.entries(update)) {
      if (name === "sessionUpdate" || name === "_meta") continue;
      if (name === "output") delete item.chunks;
      if (value === null) delete item[name];
      else item[name] = value;
    }
    return item.key;
  }
}

function append(content, block) {
  const last = content.at(-1);
  if (block.type === "text" && last?.type === "text") {
    content[content.length - 1] = { type: "text", text: last.text + block.text };
  } else content.push(block);
}

export const textOf = (content) =>
  (content ?? []).filter((block) => block.type === "text").map((block) => block.text).join("");
