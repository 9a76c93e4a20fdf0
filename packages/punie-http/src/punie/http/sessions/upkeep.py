"""What keeps the store small: chunks of old messages become whole messages, old sessions go.

A message that was streamed is hundreds of events that say one thing. Once its session is quiet, each
run of chunks is replaced by one event that carries the message so far, in the place of the last of
them. Updates are patches by id, so a page that had seen half of the run ends with the same text.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import structlog

from punie.http.errors import ApiError
from punie.http.sessions.registry import Sessions
from punie.http.store.base import Event, SessionKey, Store
from punie.http.transcript import Transcript

log = structlog.get_logger()

EVERY = 3600.0
"""Seconds between two rounds."""
QUIET = 600.0
"""Seconds without an event after which a session's messages are put together."""
KEEP = 180 * 86400.0
"""Seconds without an event after which a session is forgotten; who answered what stays."""

_WHOLE = {
    "user_message_chunk": "user_message",
    "agent_message_chunk": "agent_message",
    "agent_thought_chunk": "agent_thought",
}


class Upkeep:
    """Looks after the store of one hub.

    Args:
        store: What is kept small.
        sessions: Tells which sessions are quiet.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, store: Store, sessions: Sessions, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._done: dict[SessionKey, int] = {}

    async def run(self) -> None:
        """Do a round now and then, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.round()

    async def round(self) -> None:
        """Go through all sessions once."""
        now = self._clock()
        for summary in self._sessions.all():
            if summary.working != "idle" or summary.asked:
                continue
            age = now - summary.changed_at
            if age > KEEP:
                await self._forget(summary.key, days=int(age / 86400))
            elif age > QUIET and self._done.get(summary.key) != summary.seq:
                await self.compact(summary.key)
                self._done[summary.key] = summary.seq

    async def _forget(self, key: SessionKey, *, days: int) -> None:
        try:
            await self._sessions.forget(key)
        except ApiError as error:
            log.warning("an old session cannot be closed", session=key, reason=str(error))
        else:
            log.info("a session is forgotten", session=key, days=days)

    async def compact(self, key: SessionKey) -> int:
        """Put the messages of a session together.

        Returns:
            How many events went.
        """
        transcript = Transcript()
        run: list[Event] = []
        saved = 0
        message: tuple[str, str] | None = None
        async for event in self._events(key):
            told = _chunk_of(event)
            if told is None or told != message:
                saved += await self._squash(run, message, transcript)
                run, message = [], told
            if told is not None:
                run.append(event)
            transcript.apply(event)
        return saved + await self._squash(run, message, transcript)

    async def _squash(
        self, run: list[Event], message: tuple[str, str] | None, transcript: Transcript
    ) -> int:
        if message is None or len(run) < 2:
            return 0
        kind, message_id = message
        content = transcript.items[f"message:{message_id}"]["content"]
        whole = {"sessionUpdate": _WHOLE[kind], "messageId": message_id, "content": content}
        first, last = run[0], run[-1]
        body = msgspec.json.encode(whole)
        await self._store.squash(last.session, first=first.seq, last=last.seq, body=body)
        return len(run) - 1

    async def _events(self, key: SessionKey) -> AsyncIterator[Event]:
        after = 0
        while events := await self._store.events(after=after, session=key):
            for event in events:
                yield event
            after = events[-1].seq


def _chunk_of(event: Event) -> tuple[str, str] | None:
    """The kind and message of a chunk; `None` for any other event."""
    if event.kind != "update":
        return None
    update: dict[str, Any] = msgspec.json.decode(event.body)
    kind = update.get("sessionUpdate")
    return (kind, update["messageId"]) if kind in _WHOLE else None
