"""What the tools of one session keep open between calls: language servers, sandboxes.

Each thing is opened by the first call that needs it and closed with the session. Nothing here knows
what it keeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

CLOSING = 2.0
"""Seconds that closing all of them may take; what runs in a process group is killed after that."""


class Service(Protocol):
    """Something that is open until it is closed."""

    async def aclose(self) -> None:
        """Close it; never fails."""
        ...


S = TypeVar("S", bound=Service)


class Services:
    """The open things of one session, one of each kind."""

    def __init__(self) -> None:
        self._open: dict[type[Any], Service] = {}

    def get(self, kind: type[S], make: Callable[[], S]) -> S:
        """Give the one of a kind, made now if there is none.

        Args:
            kind: Its class.
            make: Makes it; must not block.
        """
        found = self._open.get(kind)
        if not isinstance(found, kind):
            found = self._open[kind] = make()
        return found

    def find(self, kind: type[S]) -> S | None:
        """Give the one of a kind if it was made."""
        found = self._open.get(kind)
        return found if isinstance(found, kind) else None

    async def aclose(self) -> None:
        """Close everything, side by side, in a bounded time."""
        services = list(self._open.values())
        self._open.clear()
        if not services:
            return
        tasks = [asyncio.ensure_future(service.aclose()) for service in services]
        _, late = await asyncio.wait(tasks, timeout=CLOSING)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
