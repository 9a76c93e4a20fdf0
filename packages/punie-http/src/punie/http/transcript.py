"""A session's events as a conversation: messages, tool calls, plans, approvals, in their order.

The updates of protocol version 2 are patches by id; here they are applied. What comes out is plain
JSON, which the page shows, an export writes, and a replay after a reconnect is compared with. The
page's `transcript.js` applies live events to the same items by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from punie.http.store.base import Event

Item: TypeAlias = dict[str, Any]
"""`key` (unique), `type`, `at` (seconds since the epoch), `seq`, and what the type has."""

_ROLES = {
    "user_message": "user",
    "user_message_chunk": "user",
    "agent_message": "agent",
    "agent_message_chunk": "agent",
    "agent_thought": "thought",
    "agent_thought_chunk": "thought",
}
_FACTS = {
    "config_option_update": ("configOptions", "config_options"),
    "available_commands_update": ("availableCommands", "commands"),
}
_BY_ID = {
    "tool_call_update": ("tool", "toolCallId"),
    "terminal_update": ("terminal", "terminalId"),
    "compaction_update": ("compaction", "compactionId"),
}
"""Patches: the type of the item and the field that names it."""
_CHUNKS = {
    "tool_call_content_chunk": ("tool", "toolCallId", "content", "content"),
    "terminal_output_chunk": ("terminal", "terminalId", "chunks", "data"),
    "compaction_summary_chunk": ("compaction", "compactionId", "summary", "content"),
}
"""What is appended: type, field that names it, field that grows, field that is added."""
_SKIP = {"sessionUpdate", "_meta"}


class Transcript(Struct, kw_only=True):
    """A conversation so far."""

    items: dict[str, Item] = field(default_factory=dict[str, Item])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """What holds for the whole session: `config_options`, `commands`, `usage`, `state`."""
    seq: int = 0
    """The last event that was applied."""

    def apply(self, event: Event) -> None:
        """Take an event; those that came before are passed over."""
        if event.seq <= self.seq:
            return
        self.seq = event.seq
        body = msgspec.json.decode(event.body)
        match event.kind:
            case "update":
                self.update(body, seq=event.seq, at=event.at)
            case "asked":
                key = f"asked:{body['id']}"
                self._item(key, "approval", seq=event.seq, at=event.at).update(body)
            case "answered":
                item = self.items.get(f"asked:{body['id']}")
                if item is not None:
                    item["answer"] = body
            case "prompts":
                self.facts["waiting"] = body["waiting"]
            case "opened" | "closed":
                pass

    def update(self, update: dict[str, Any], *, seq: int = 0, at: float = 0.0) -> None:
        """Take a `session/update`, as it is on the wire."""
        kind = update.get("sessionUpdate", "")
        if kind in _ROLES:
            self._message(kind, update, seq=seq, at=at)
        elif kind in _FACTS:
            told, name = _FACTS[kind]
            self.facts[name] = update[told]
        else:
            self._other(kind, update, seq=seq, at=at)

    def _message(self, kind: str, update: dict[str, Any], *, seq: int, at: float) -> None:
        key = f"message:{update['messageId']}"
        item = self._item(key, "message", seq=seq, at=at, role=_ROLES[kind], content=[])
        if kind.endswith("_chunk"):
            append(item["content"], update["content"])
        elif "content" in update:
            content: list[dict[str, Any]] = []
            for block in update["content"] or ():
                append(content, block)
            item["content"] = content

    def _other(self, kind: str, update: dict[str, Any], *, seq: int, at: float) -> None:
        if kind in _BY_ID:
            name, of = _BY_ID[kind]
            self._patch(self._item(f"{name}:{update[of]}", name, seq=seq, at=at), update)
        elif kind in _CHUNKS:
            name, of, grows, chunk = _CHUNKS[kind]
            item = self._item(f"{name}:{update[of]}", name, seq=seq, at=at)
            item.setdefault(grows, []).append(update[chunk])
        else:
            self._whole(kind, update, seq=seq, at=at)

    def _whole(self, kind: str, update: dict[str, Any], *, seq: int, at: float) -> None:
        match kind:
            case "plan_update":
                key = f"plan:{update['plan'].get('planId', '')}"
                self._item(key, "plan", seq=seq, at=at)["plan"] = update["plan"]
            case "notice":
                self._patch(self._item(f"notice:{seq}", "notice", seq=seq, at=at), update)
            case "state_update":
                self._state(update, seq=seq, at=at)
            case "usage_update":
                self._patch(self.facts.setdefault("usage", {}), update)
            case "session_info_update":
                self._patch(self.facts, {k: v for k, v in update.items() if k == "title"})
            case _:
                pass  # an update of a later version: kept, not shown

    def _state(self, update: dict[str, Any], *, seq: int, at: float) -> None:
        self.facts["state"] = update["state"]
        reason = update.get("stopReason")
        if update["state"] == "idle" and reason not in {None, "end_turn"}:
            item = self._item(f"end:{seq}", "end", seq=seq, at=at)
            error: dict[str, Any] = update.get("error") or {}
            item["reason"], item["error"] = reason, error.get("message")

    def _item(self, key: str, kind: str, *, seq: int, at: float, **initial: Any) -> Item:
        item = self.items.get(key)
        if item is None:
            item = self.items[key] = {"key": key, "type": kind, "at": at, **initial}
        item["seq"] = seq
        return item

    def _patch(self, item: dict[str, Any], update: dict[str, Any]) -> None:
        for name, value in update.items():
            if name in _SKIP:
                continue
            if name == "output":
                item.pop("chunks", None)
            if value is None:
                item.pop(name, None)
            else:
                item[name] = value


def append(content: list[dict[str, Any]], block: dict[str, Any]) -> None:
    """Add a block to a message's content; a text joins the text before it."""
    if block.get("type") == "text" and content and content[-1].get("type") == "text":
        content[-1] = {"type": "text", "text": content[-1]["text"] + block["text"]}
    else:
        content.append(block)


def text_of(content: Iterable[dict[str, Any]]) -> str:
    """The text of a message's content."""
    return "".join(block["text"] for block in content if block.get("type") == "text")


def missing(known: Transcript, replayed: Transcript) -> list[dict[str, Any]]:
    """What a replayed conversation has and the known one lacks, as updates that add it.

    Args:
        known: What the store has.
        replayed: What the agent told when it was joined.

    Returns:
        Updates of version 2 in the replay's order; messages come whole. What the session is doing
        is not among them.
    """
    updates = [
        update
        for item in replayed.items.values()
        if (update := _difference(known.items.get(item["key"]), item)) is not None
    ]
    for kind, (told, name) in _FACTS.items():
        if name in replayed.facts and replayed.facts[name] != known.facts.get(name):
            updates.append({"sessionUpdate": kind, told: replayed.facts[name]})
    return updates


_UPDATES = {
    "tool": "tool_call_update",
    "terminal": "terminal_update",
    "compaction": "compaction_update",
}
_MESSAGES = {"user": "user_message", "agent": "agent_message", "thought": "agent_thought"}
_OURS = {"key", "type", "at", "seq", "chunks"}


def _difference(known: Item | None, item: Item) -> dict[str, Any] | None:
    match item["type"]:
        case "message":
            if known is not None and known["content"] == item["content"]:
                return None
            kind = _MESSAGES[item["role"]]
            message_id = item["key"].partition(":")[2]
            return {"sessionUpdate": kind, "messageId": message_id, "content": item["content"]}
        case "plan":
            if known is not None and known["plan"] == item["plan"]:
                return None
            return {"sessionUpdate": "plan_update", "plan": item["plan"]}
        case "tool" | "terminal" | "compaction" as kind:
            told = {name: value for name, value in item.items() if name not in _OURS}
            if known is not None and all(known.get(name) == told[name] for name in told):
                return None
            return {"sessionUpdate": _UPDATES[kind], **told}
        case _:
            return None
