"""Following one session's events: what a reader has not taken yet, in order, without a gap.

A reader that keeps up gets events as they are published; what one that is slow did not take is
dropped here and read from the store, so it costs no memory and holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from punie.http.store.base import Event, SessionKey, Store

MOST = 1000
"""Events that wait for a reader above which they are read from the store, and read at once."""
MOST_SIZE = 4 * 1024 * 1024
"""Bytes of events that wait above which they are, too."""


class Tail:
    """One reader's place in the log of a session; made by `Tails.open`.

    Attributes:
        seq: The last event that was taken.
    """

    def __init__(self, store: Store, session: SessionKey, *, after: int) -> None:
        self.session = session
        self.seq = after
        self._store = store
        self._waiting: list[Event] = []
        self._size = 0
        self._behind = after < store.published_seq
        self._wake = asyncio.Event()
        if self._behind:
            self._wake.set()

    def put(self, events: Sequence[Event]) -> None:
        """Take events that were published."""
        if not self._behind:
            self._waiting += events
            self._size += sum(len(memoryview(event.body)) for event in events)
            if len(self._waiting) > MOST or self._size > MOST_SIZE:
                self._fall_behind()
        self._wake.set()

    def wake(self) -> None:
        """Let `take` return, even with nothing."""
        self._wake.set()

    async def take(self) -> list[Event]:
        """Wait until something happens.

        Returns:
            What came after the last call; nothing when it was woken for another reason.
        """
        await self._wake.wait()
        if not self._behind:
            self._wake.clear()
            taken, self._waiting, self._size = self._waiting, [], 0
        else:
            self._behind = False  # from here on what is published waits
            until = self._store.published_seq
            taken = await self._store.events(
                after=self.seq, until=until, session=self.session, limit=MOST
            )
            if len(taken) == MOST:
                self._fall_behind()
        taken = [event for event in taken if event.seq > self.seq]
        if taken:
            self.seq = taken[-1].seq
        return taken

    def _fall_behind(self) -> None:
        self._waiting, self._size, self._behind = [], 0, True


class Tails:
    """All readers. One per hub."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tails: dict[SessionKey, set[Tail]] = {}

    def open(self, session: SessionKey, *, after: int) -> Tail:
        """Begin to follow a session behind an event."""
        tail = Tail(self._store, session, after=after)
        self._tails.setdefault(session, set()).add(tail)
        return tail

    def close(self, tail: Tail) -> None:
        """Stop to follow."""
        tails = self._tails.get(tail.session, set())
        tails.discard(tail)
        if not tails:
            self._tails.pop(tail.session, None)

    def published(self, events: Sequence[Event]) -> None:
        """Hand on events that are safe."""
        if not self._tails:
            return
        by_session: dict[SessionKey, list[Event]] = {}
        for event in events:
            if event.session in self._tails:
                by_session.setdefault(event.session, []).append(event)
        for session, some in by_session.items():
            for tail in self._tails[session]:
                tail.put(some)

    def wake(self, session: SessionKey) -> None:
        """Something about a session changed that is no event."""
        for tail in self._tails.get(session, ()):
            tail.wake()
