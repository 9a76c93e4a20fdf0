"""Connections that only hold a place: those that never finish a request, and too many at all.

aiohttp limits bodies and what idles between two requests, not how long a first request may take to
arrive. A look at all connections now and then does that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary, WeakSet

import structlog
from aiohttp import web

log = structlog.get_logger()

HEAD_TIMEOUT = 10.0
"""Seconds in which the head of a connection's first request must have come."""
BODY_TIMEOUT = 30.0
"""Seconds in which a request's body must have come."""
MAX_CONNECTIONS = 1024
SWEEP = 1.0
"""Seconds between two looks."""


class Connections:
    """Ends connections that ask for nothing.

    Args:
        head_timeout: Seconds for a first request.
        most: Connections at the same time; the newest go first.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        head_timeout: float = HEAD_TIMEOUT,
        most: int = MAX_CONNECTIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._head_timeout = head_timeout
        self._most = most
        self._clock = clock
        self._asked: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._since: WeakKeyDictionary[asyncio.BaseTransport, float] = WeakKeyDictionary()

    def asked(self, request: web.Request) -> None:
        """A request's head has come."""
        if request.transport is not None:
            self._asked.add(request.transport)

    async def watch(self, server: web.Server) -> None:
        """Look at a server's connections until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            self.sweep([one.transport for one in server.connections if one.transport is not None])

    def sweep(self, transports: list[asyncio.Transport]) -> None:
        """End those that are too slow, and the newest of too many."""
        now = self._clock()
        for transport in transports:
            since = self._since.setdefault(transport, now)
            if transport not in self._asked and now - since >= self._head_timeout:
                transport.abort()
        surplus = len(transports) - self._most
        if surplus > 0:
            log.warning("too many connections: the newest are closed", count=surplus)
            for transport in sorted(transports, key=self._since.__getitem__)[-surplus:]:
                transport.abort()
