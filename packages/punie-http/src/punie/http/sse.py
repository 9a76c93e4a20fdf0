"""Server-sent events: what happens, told to every page that listens.

One stream carries two things. *Log* events have an id and are resumed from the store after a lost
connection, without a gap or a duplicate. *State* events (`session`, `agent`, `approval`, ...) have
none: they say how something is now, and begin with everything when a stream begins.

A queue is bounded: a page that does not read is dropped, comes back and resumes. Nothing here knows
what the events mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal

import msgspec

from punie.http.errors import TooManyError
from punie.http.store.base import Event, SessionKey, Store

QUEUE_LIMIT = 4 * 1024 * 1024
"""Bytes that wait for a page above which it is dropped."""
PAGE = 1000
"""Events read from the store at once."""
MAX_STREAMS = 64
"""Streams that are open at the same time."""
BEAT = b": still here\n\n"


def log_frame(event: Event) -> bytes:
    """Write an event of the log."""
    return b"id: %d\nevent: log\ndata: %b\n\n" % (event.seq, msgspec.json.encode(event))


def state_frame(name: str, body: bytes) -> bytes:
    """Write how something is now.

    Args:
        name: What it is, such as `session`.
        body: JSON on one line.
    """
    return b"event: %b\ndata: %b\n\n" % (name.encode(), body)


class Stream:
    """What waits for one page.

    Attributes:
        sessions: The session whose log it carries, all of them, or none.
        states: Whether it carries states.
        dropped: Whether it fell behind; it takes nothing more.
    """

    def __init__(self, sessions: SessionKey | Literal["all"] | None, *, states: bool) -> None:
        self.sessions = sessions
        self.states = states
        self.dropped = False
        self._frames: list[bytes] = []
        self._size = 0
        self._wake = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Queue bytes for the page."""
        if self.dropped:
            return
        self._size += len(frame)
        if self._size > QUEUE_LIMIT:
            self.drop()
            return
        self._frames.append(frame)
        self._wake.set()

    def drop(self) -> None:
        """End it; the page comes back and resumes."""
        self.dropped = True
        self._frames.clear()
        self._wake.set()

    async def take(self, timeout: float) -> bytes:
        """Wait for something to write.

        Args:
            timeout: Seconds after which a sign of life is due.

        Returns:
            What waited, together; a comment when nothing did; nothing when it was dropped.
        """
        if not self._wake.is_set():
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                return BEAT
        self._wake.clear()
        taken = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        return taken


class Feed:
    """Tells all streams. One per hub."""

    def __init__(self, *, max_streams: int = MAX_STREAMS) -> None:
        self._streams: set[Stream] = set()
        self._max_streams = max_streams

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, sessions: SessionKey | Literal["all"] | None, *, states: bool) -> Stream:
        """Begin to tell somebody.

        Raises:
            TooManyError: There are too many.
        """
        if len(self._streams) >= self._max_streams:
            raise TooManyError(f"{self._max_streams} streams are open: close a page")
        stream = Stream(sessions, states=states)
        self._streams.add(stream)
        return stream

    def close(self, stream: Stream) -> None:
        """Stop to tell somebody."""
        self._streams.discard(stream)

    def drop_all(self) -> None:
        """End every stream: the hub stops."""
        for stream in self._streams:
            stream.drop()

    def published(self, events: Sequence[Event]) -> None:
        """Tell of events that are safe; each is written once, however many listen."""
        if not any(stream.sessions is not None for stream in self._streams):
            return
        frames = [log_frame(event) for event in events]
        everything = b""
        by_session: dict[SessionKey, bytes] = {}
        for stream in self._streams:
            wanted = stream.sessions
            if wanted is None:
                continue
            if isinstance(wanted, str):
                everything = everything or b"".join(frames)
                stream.put(everything)
                continue
            if wanted not in by_session:
                by_session[wanted] = b"".join(
                    frame
                    for event, frame in zip(events, frames, strict=True)
                    if event.session == wanted
                )
            if by_session[wanted]:
                stream.put(by_session[wanted])

    def tell(self, frames: Iterable[bytes]) -> None:
        """Tell how things are now."""
        together = b"".join(frames)
        if together:
            for stream in self._streams:
                if stream.states:
                    stream.put(together)


async def replay(
    store: Store,
    write: Callable[[bytes], Awaitable[None]],
    *,
    after: int,
    until: int,
    session: SessionKey | None,
) -> None:
    """Write what a page missed.

    Args:
        store: Where it is.
        write: Sends bytes to the page.
        after: The last event that the page has.
        until: The last one to write; what comes later comes by the stream.
        session: Only this one's log.
    """
    while after < until:
        events = await store.events(after=after, until=until, session=session, limit=PAGE)
        if events:
            await write(b"".join(log_frame(event) for event in events))
        if len(events) < PAGE:
            return
        after = events[-1].seq
