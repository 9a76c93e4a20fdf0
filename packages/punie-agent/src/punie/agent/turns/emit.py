"""From many small pieces of text to few events, in order, without holding the first one back.

Models stream words, programs stream lines; screens want tens of updates a second, not thousands.
Everything that a turn tells its readers goes through one `Emitter`, so what was said first arrives
first. Readers are awaited: a slow one slows the turn instead of filling memory.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable
from types import TracebackType

from punie.agent.events import AgentMessageChunk, AgentThoughtChunk, AnyEvent

Deliver = Callable[[AnyEvent], Awaitable[None]]

INTERVAL = 0.03
"""Seconds between updates of one text: faster than the eye, slower than the model."""
FULL = 16_384
"""Characters that may wait; more are sent at once, so that a slow reader slows the model."""


class Emitter:
    """Coalesces and orders the events of one turn. Used as an async context manager."""

    def __init__(self, deliver: Deliver, *, interval: float = INTERVAL) -> None:
        self._deliver = deliver
        self._interval = interval
        self._lock = asyncio.Lock()
        self._pending: dict[Hashable, Callable[[], AnyEvent]] = {}
        self._texts: dict[Hashable, list[str]] = {}
        self._waiting = 0
        self._last = -math.inf
        self._wake = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._flusher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Emitter:
        await self._tasks.__aenter__()
        self._flusher = self._tasks.create_task(self._flush_late())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
        await self._tasks.__aexit__(kind, error, traceback)
        await self.flush()

    async def emit(self, event: AnyEvent) -> None:
        """Deliver an event now, after everything that was said before it."""
        async with self._lock:
            await self._send_pending()
            await self._deliver(event)

    async def message(self, message_id: str, text: str) -> None:
        """Add to the answer."""
        await self._text(
            ("message", message_id),
            text,
            lambda t: AgentMessageChunk(message_id=message_id, text=t),
        )

    async def thought(self, message_id: str, text: str) -> None:
        """Add to the reasoning."""
        await self._text(
            ("thought", message_id),
            text,
            lambda t: AgentThoughtChunk(message_id=message_id, text=t),
        )

    def latest(self, key: Hashable, event: Callable[[], AnyEvent]) -> None:
        """Deliver soon, without waiting; of several with one key only the last one.

        Args:
            key: What the event is about.
            event: Makes the event when it is its turn.
        """
        self._pending[key] = event
        self._wake.set()

    async def flush(self) -> None:
        """Deliver what waits."""
        async with self._lock:
            await self._send_pending()

    async def _text(self, key: Hashable, text: str, event: Callable[[str], AnyEvent]) -> None:
        if not text:
            return
        pieces = self._texts.setdefault(key, [])
        pieces.append(text)
        self._waiting += len(text)
        self._pending.setdefault(key, lambda: event("".join(self._texts.pop(key))))
        due = asyncio.get_running_loop().time() - self._last >= self._interval
        if due or self._waiting > FULL:
            await self.flush()
        else:
            self._wake.set()

    async def _send_pending(self) -> None:
        while self._pending:
            make = self._pending.pop(next(iter(self._pending)))
            event = make()
            if not self._pending:
                self._waiting = 0
            self._last = asyncio.get_running_loop().time()
            await self._deliver(event)

    async def _flush_late(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            since = asyncio.get_running_loop().time() - self._last
            await asyncio.sleep(max(0.0, self._interval - since))
            await self.flush()
