"""Who hears a session, and who can answer for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from punie.agent.events import AnyEvent
from punie.agent.permissions.gate import Ask

log = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[AnyEvent], Awaitable[None]]


class _Reader(NamedTuple):
    listener: Listener
    asker: Ask | None
    since: int
    """Place of the first event that it is told."""


class Readers:
    """The readers of one session."""

    def __init__(self) -> None:
        self._readers: dict[object, _Reader] = {}

    def add(self, listener: Listener, asker: Ask | None, *, since: int) -> Callable[[], None]:
        """Add one.

        Args:
            listener: Awaited with every event, in order.
            asker: Asked for permissions.
            since: Place of the first event that it is told; those before it has read.

        Returns:
            A function that removes it.
        """
        key = object()
        self._readers[key] = _Reader(listener, asker, since)

        def remove() -> None:
            self._readers.pop(key, None)

        return remove

    @property
    def askers(self) -> list[Ask]:
        """Those who can answer."""
        return [reader.asker for reader in self._readers.values() if reader.asker is not None]

    async def tell(self, event: AnyEvent, place: int) -> None:
        """Tell an event to everybody; a reader that breaks is dropped.

        Args:
            event: What happened.
            place: Its 0-based place in the session.
        """
        for key, reader in list(self._readers.items()):
            if reader.since > place:
                continue
            try:
                await reader.listener(event)
            except Exception:
                log.exception("reader dropped")
                self._readers.pop(key, None)
