"""The store in SQLite: the one home of SQL.

One thread writes, in groups: whatever came while the last group was written is the next one. The
journal is a WAL with `synchronous=NORMAL`, so a committed event survives the death of the process;
a loss of power may take the last moments. Reads have a connection of their own, in worker threads.

When nothing can be written (the disk is full), events wait in memory and the group is tried again;
`room` holds back whoever brings more.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog
from msgspec import Raw

from punie.http.errors import StoreError
from punie.http.store.base import (
    Checkpoint,
    Event,
    Hit,
    Kind,
    Published,
    SessionKey,
    SessionRow,
)
from punie.http.store.migrations import migrate

log = structlog.get_logger()
T = TypeVar("T")

GATHER = 0.003
"""Seconds in which further writes may join a group."""
GROUP = 2000
"""Writes in one group at most."""
BACKLOG = 20_000
"""Unwritten events above which `room` waits."""
BACKLOG_SIZE = 64 * 1024 * 1024
"""Bytes of unwritten events above which it does, too."""
CLOSING = 2.0
"""Seconds in which what is left must be written when the store is closed."""
RETRY = 0.5
"""Seconds until a group that could not be written is tried again."""

_EVENT = "INSERT INTO events (seq, session, at, kind, body) VALUES (?, ?, ?, ?, ?)"
_SESSION = "INSERT INTO sessions (key, agent, session_id, cwd, opened_at) VALUES (?, ?, ?, ?, ?)"
_TEXT = "INSERT INTO texts (session, seq, kind, text) VALUES (?, ?, ?, ?)"
_CHECKPOINT = (
    "INSERT INTO checkpoints (session, seq, body) VALUES (?, ?, ?) "
    "ON CONFLICT (session) DO UPDATE SET seq = excluded.seq, body = excluded.body"
)


class _Write(NamedTuple):
    """One thing for the writer to do."""

    sql: str
    values: tuple[Any, ...]
    event: Event | None = None
    done: Callable[[], object] | None = None


class SqliteStore:
    """See `punie.http.store.base.Store`. Made by `open_store`."""

    def __init__(self, path: Path, *, writer: sqlite3.Connection, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._writer = writer
        self._reader = _connect(path, read_only=True)
        self._reading = threading.Lock()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._unwritten = 0
        self._unwritten_size = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._published: Published = lambda events: None
        self._problem: Callable[[str], None] = lambda problem: None
        self._closed = False
        self.problem = ""
        self.last_seq: int = self._one("SELECT coalesce(max(seq), 0) FROM events")
        self.published_seq = self.last_seq
        self._keys: dict[tuple[str, str], SessionKey] = {
            (row[0], row[1]): SessionKey(row[2])
            for row in self._reader.execute(
                "SELECT agent, session_id, key FROM sessions WHERE forgotten = 0"
            )
        }
        self._last_key = self._one("SELECT coalesce(max(key), 0) FROM sessions")
        self._thread = threading.Thread(target=self._write_groups, name="punie-store", daemon=True)
        self._thread.start()

    # Writing, on the event loop

    def listen(
        self, published: Published, problem: Callable[[str], None] = lambda problem: None
    ) -> None:
        """Name who is told of events that are safe, and when `problem` becomes another one."""
        self._published, self._problem = published, problem

    def key_of(self, agent: str, session_id: str, *, cwd: str, at: float) -> SessionKey:
        """Find a session's number, or give it one."""
        known = self._keys.get((agent, session_id))
        if known is not None:
            return known
        self._last_key += 1
        key = self._keys[agent, session_id] = SessionKey(self._last_key)
        self._put(_Write(_SESSION, (key, agent, session_id, cwd, at)))
        return key

    def append(self, session: SessionKey, kind: Kind, body: bytes, *, at: float) -> int:
        """Take an event."""
        self.last_seq += 1
        event = Event(seq=self.last_seq, session=session, at=at, kind=kind, body=Raw(body))
        self._put(_Write(_EVENT, (event.seq, session, at, kind, body), event=event))
        return event.seq

    def index(self, session: SessionKey, seq: int, kind: str, text: str) -> None:
        """Make a text findable."""
        self._put(_Write(_TEXT, (session, seq, kind, text)))

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a summary."""
        values = (checkpoint.session, checkpoint.seq, bytes(checkpoint.body))
        self._put(_Write(_CHECKPOINT, values))

    async def room(self) -> None:
        """Wait until few events are unwritten."""
        if not self._has_room.is_set():
            await self._has_room.wait()

    async def flush(self) -> None:
        """Wait until everything appended so far is safe."""
        await self._execute("", ())

    async def squash(self, session: SessionKey, *, first: int, last: int, body: bytes) -> None:
        """Put one update in the place of several that it sums up."""
        # In this order: after a crash between the two nothing is missing.
        await self._execute(
            "UPDATE events SET body = ?, at = (SELECT at FROM events WHERE seq = ?) "
            "WHERE seq = ? AND session = ?",
            (body, first, last, session),
        )
        await self._execute(
            "DELETE FROM events WHERE session = ? AND seq >= ? AND seq < ?", (session, first, last)
        )

    async def forget(self, session: SessionKey, *, keep: Sequence[Kind] = ("answered",)) -> None:
        """Remove a session and its events."""
        self._keys = {name: key for name, key in self._keys.items() if key != session}
        # The row stays, under a name that no agent uses: what is kept still names the session.
        await self._execute(
            "UPDATE sessions SET forgotten = 1, session_id = session_id || ' ' || key "
            "WHERE key = ? AND forgotten = 0",
            (session,),
        )
        kept = ", ".join("?" * len(keep))
        await self._execute(
            f"DELETE FROM events WHERE session = ? AND kind NOT IN ({kept})", (session, *keep)
        )
        await self._execute("DELETE FROM texts WHERE session = ?", (session,))
        await self._execute("DELETE FROM checkpoints WHERE session = ?", (session,))

    async def aclose(self) -> None:
        """Write what is left and close."""
        if self._closed:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await self.flush()  # what follows from the last events is written, too
        self._closed = True
        self._published = lambda events: None
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        with self._reading:
            self._reader.close()

    async def _execute(self, sql: str, values: tuple[Any, ...]) -> None:
        done = self._loop.create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        self._put(_Write(sql, values, done=lambda: self._loop.call_soon_threadsafe(wake)))
        await done

    def _put(self, write: _Write) -> None:
        if self._closed:
            raise StoreError("the store is closed")
        self._unwritten += 1
        self._unwritten_size += _size(write.event)
        if self._unwritten > BACKLOG or self._unwritten_size > BACKLOG_SIZE:
            self._has_room.clear()
        self._queue.put(write)

    def _committed(self, events: list[Event], count: int) -> None:
        self._unwritten -= count
        self._unwritten_size -= sum(map(_size, events))
        self._failed("")
        if self._unwritten <= BACKLOG // 2 and self._unwritten_size <= BACKLOG_SIZE // 2:
            self._has_room.set()
        if events:
            self.published_seq = events[-1].seq
            self._published(events)

    def _failed(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._problem(problem)

    # Writing, in the writer's thread

    def _write_groups(self) -> None:
        try:
            while (first := self._queue.get()) is not None:
                group = self._gather(first)
                self._commit([write for write in group if write is not None])
                if group[-1] is None:
                    return
        finally:
            self._writer.close()

    def _gather(self, first: _Write) -> list[_Write | None]:
        group: list[_Write | None] = [first]
        if self._queue.empty():
            time.sleep(GATHER)
        while len(group) < GROUP:
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                break
            group.append(write)
            if write is None:
                break
        return group

    def _commit(self, group: list[_Write]) -> None:
        while True:
            try:
                self._try(group)
                break
            except sqlite3.Error as error:
                reason = str(error)
                log.error("the store cannot write", reason=reason, waiting=len(group))
                self._loop.call_soon_threadsafe(self._failed, reason)
                if self._closed:
                    log.error("events are lost", count=len(group))
                    return
                time.sleep(RETRY)
        events = [write.event for write in group if write.event is not None]
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._committed, events, len(group))
        for write in group:
            if write.done is not None:
                write.done()

    def _try(self, group: list[_Write]) -> None:
        with self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            for write in group:
                if write.sql:
                    self._writer.execute(write.sql, write.values)

    # Reading, in worker threads

    async def sessions(self) -> list[SessionRow]:
        """All sessions, the oldest first."""
        rows = await self._read(
            "SELECT key, agent, session_id, cwd, opened_at FROM sessions "
            "WHERE forgotten = 0 ORDER BY key"
        )
        return [
            SessionRow(key=row[0], agent=row[1], session_id=row[2], cwd=row[3], opened_at=row[4])
            for row in rows
        ]

    async def checkpoints(self) -> list[Checkpoint]:
        """The newest summary of each session that has one."""
        rows = await self._read("SELECT session, seq, body FROM checkpoints")
        return [Checkpoint(session=row[0], seq=row[1], body=Raw(row[2])) for row in rows]

    async def events(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        session: SessionKey | None = None,
        kinds: Sequence[Kind] = (),
        limit: int = 1000,
    ) -> list[Event]:
        """Read a page of events in order."""
        where, values = ["seq > ?"], [after]
        if until is not None:
            where.append("seq <= ?")
            values.append(until)
        if session is not None:
            where.append("session = ?")
            values.append(session)
        if kinds:
            where.append(f"kind IN ({', '.join('?' * len(kinds))})")
        rows = await self._read(
            f"SELECT seq, session, at, kind, body FROM events WHERE {' AND '.join(where)} "
            "ORDER BY seq LIMIT ?",
            (*values, *kinds, limit),
        )
        return [_event(row) for row in rows]

    async def latest(self, kinds: Sequence[Kind], *, limit: int) -> list[Event]:
        """Read the newest events of some kinds, the newest first."""
        rows = await self._read(
            "SELECT seq, session, at, kind, body FROM events WHERE kind <> 'update' "
            f"AND kind IN ({', '.join('?' * len(kinds))}) ORDER BY seq DESC LIMIT ?",
            (*kinds, limit),
        )
        return [_event(row) for row in rows]

    async def search(self, query: str, *, limit: int = 50) -> list[Hit]:
        """Find where all words of a query were said."""
        words = query.split()
        if not words:
            return []
        # Quoted, a word is a word and no operator; the last one may be unfinished.
        match = " ".join('"' + word.replace('"', '""') + '"' for word in words) + "*"
        rows = await self._read(
            "SELECT session, seq, kind, snippet(texts, 0, char(2), char(3), ' … ', 24) "
            "FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?",
            (match, limit),
        )
        return [Hit(session=row[0], seq=row[1], kind=row[2], snippet=row[3]) for row in rows]

    async def _read(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        def run() -> list[tuple[Any, ...]]:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()

        return await asyncio.to_thread(run)

    def _one(self, sql: str) -> Any:
        return self._reader.execute(sql).fetchone()[0]


async def open_store(path: Path) -> SqliteStore:
    """Open the hub's database, or make it; only its owner may read it.

    Args:
        path: The file; missing folders are made.

    Raises:
        StoreError: It cannot be opened, is damaged, or was written by a newer Punie.
    """

    def prepare() -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        connection = _connect(path, read_only=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection)
        return connection

    try:
        writer = await asyncio.to_thread(prepare)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot open {path}: {error}. Move it away to begin anew") from error
    return SqliteStore(path, writer=writer, loop=asyncio.get_running_loop())


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10.0,
    )


def _size(event: Event | None) -> int:
    return 0 if event is None else len(memoryview(event.body))


def _event(row: tuple[Any, ...]) -> Event:
    return Event(seq=row[0], session=row[1], at=row[2], kind=row[3], body=Raw(row[4]))
