"""The ordered inbox: what must be handled one by one, and what waits behind it.

Work is done by one task that lives as long as there is some. While much is waiting, the transport
brings nothing more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from punie.acp.transports.base import Transport

_HIGH = 1000
"""Items waiting above which the transport is paused."""
_LOW = 100
_HIGH_SIZE = 4 * 1024 * 1024
"""Bytes waiting above which the transport is paused."""
_LOW_SIZE = 1024 * 1024


class Inbox:
    """Handles items in order.

    Args:
        transport: Paused while too much is waiting.
        spawn: Starts the task that works.
    """

    def __init__(
        self,
        transport: Transport,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self.worker: asyncio.Task[None] | None = None
        """The task that works; `None` while there is nothing to do."""
        self._transport = transport
        self._spawn = spawn
        self._items: deque[tuple[Callable[[], Awaitable[None] | None], int]] = deque()
        self._size = 0
        self._paused = False

    def put(self, item: Callable[[], Awaitable[None] | None], *, size: int = 0) -> None:
        """Add an item.

        Args:
            item: Called in its turn; what it returns is awaited before the next one is called.
            size: Bytes that it holds.
        """
        self._items.append((item, size))
        self._size += size
        if self.worker is None:
            self.worker = self._spawn(self._work())
        if (len(self._items) > _HIGH or self._size > _HIGH_SIZE) and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def gate(self) -> asyncio.Future[None] | None:
        """A future that is done once all that is in here now was handled; `None` for nothing."""
        if self.worker is None:
            return None
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def pass_gate() -> None:
            if not gate.done():
                gate.set_result(None)

        self.put(pass_gate)
        return gate

    async def _work(self) -> None:
        try:
            while self._items:
                item, size = self._items.popleft()
                waiting = item()
                if waiting is not None:
                    await waiting
                self._size -= size
                if self._paused and len(self._items) < _LOW and self._size < _LOW_SIZE:
                    self._paused = False
                    self._transport.resume_reading()
        finally:
            self.worker = None
