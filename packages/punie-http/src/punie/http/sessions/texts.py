"""What becomes searchable: each message when it is whole, and the titles of tool calls."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from punie.http.store.base import SessionKey, Store
from punie.http.transcript import text_of

LONGEST = 100_000
"""Characters of one message that are searched."""
_CHUNKS = {
    "user_message_chunk": "user",
    "agent_message_chunk": "agent",
    "agent_thought_chunk": "thought",
}
_WHOLE = {"user_message": "user", "agent_message": "agent", "agent_thought": "thought"}


class _Open(Struct):
    message_id: str
    kind: str
    seq: int
    parts: list[str] = field(default_factory=list[str])
    size: int = 0
    """Characters in the parts; what is above `LONGEST` is not kept."""


class Texts:
    """Collects the texts of all sessions and hands them to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[SessionKey, _Open] = {}

    def take(self, session: SessionKey, seq: int, update: dict[str, Any]) -> None:
        """See an update."""
        kind = update.get("sessionUpdate", "")
        if kind in _CHUNKS:
            self._chunk(session, seq, _CHUNKS[kind], update)
            return
        if kind in {"usage_update", "config_option_update", "available_commands_update"}:
            return  # told in the middle of a message
        self.finish(session)
        if kind in _WHOLE:
            self._put(session, seq, _WHOLE[kind], text_of(update.get("content") or ()))
        elif kind == "tool_call_update" and update.get("status", "pending") == "pending":
            self._put(session, seq, "tool", update.get("title") or "")

    def finish(self, session: SessionKey) -> None:
        """The message that was under way is whole."""
        message = self._open.pop(session, None)
        if message is not None:
            self._put(session, message.seq, message.kind, "".join(message.parts))

    def _chunk(self, session: SessionKey, seq: int, kind: str, update: dict[str, Any]) -> None:
        message = self._open.get(session)
        if message is None or message.message_id != update["messageId"]:
            self.finish(session)
            message = self._open[session] = _Open(update["messageId"], kind, seq)
        if message.size < LONGEST:
            text = text_of([update["content"]])
            message.parts.append(text)
            message.size += len(text)

    def _put(self, session: SessionKey, seq: int, kind: str, text: str) -> None:
        if text.strip():
            self._store.index(session, seq, kind, text[:LONGEST])
