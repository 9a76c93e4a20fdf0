"""The file of sessions: SQLite, events only ever added, readable by several processes at once.

Every method is one transaction, so a process that is killed at any moment leaves whole events. What
was committed survives the process; a power cut may take back the last moments (`synchronous=NORMAL`
in WAL mode), never the file. Used from one thread; `sessions.journal` owns that thread. What the
events and messages mean is not known here.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from punie.agent.errors import SessionBusyError, StoreError
from punie.agent.sessions import changes
from punie.agent.sessions.changes import Change
from punie.agent.sessions.schema import VERSION, migrate, newer

MEMORY = ":memory:"
BUSY = 5.0
"""Seconds to wait for another process that writes."""
PAGE = 50
"""Sessions of one page of a list."""
FORGOTTEN = 24 * 3600.0
"""Seconds after which a session in which nothing was ever said is dropped."""


class Row(NamedTuple):
    """One event as it is stored."""

    seq: int
    """0-based place in its session."""
    at: float
    """When, seconds since 1970."""
    event: bytes
    """JSON."""


class Stored(Struct, frozen=True, kw_only=True):
    """What a list shows of a session."""

    session_id: str
    cwd: str
    title: str = ""
    created: float
    updated: float
    """Both in seconds since 1970."""
    settings: str = "{}"
    """JSON object, such as `{"mode": "ask"}`."""
    parent: str = ""
    """The session that this one was forked from."""
    owner: str = ""
    """The process in which it is open, as `sessions.owners` names it."""
    told: int = 0
    """How many events the stored messages include."""


class Store:
    """An open file of sessions."""

    def __init__(self, path: Path | None) -> None:
        """Open the file, or make it, readable by its owner only.

        Args:
            path: The file; `None` keeps everything in memory.

        Raises:
            StoreError: It cannot be used; the message says why and what to do.
        """
        self.path = path or Path(MEMORY)
        with self._explained():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA synchronous = NORMAL")
        mode = str(run("PRAGMA journal_mode = WAL").fetchone()[0]).lower()
        if mode not in {"wal", "memory"}:
            raise StoreError(f"{self.path} lies where SQLite cannot share files: move it")
        migrate(self._connection, str(self.path))
        # An IDE opens a session for every chat window; most never hear a word.
        run(
            "DELETE FROM sessions WHERE updated < ? AND owner = ''"
            " AND NOT EXISTS (SELECT 1 FROM events WHERE session = id)",
            (time.time() - FORGOTTEN,),
        )

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        self._connection.close()

    def begin(self, session: Stored) -> None:
        """Add a session, unless it is there."""
        with self._transaction() as run:
            run(
                "INSERT OR IGNORE INTO sessions(id, cwd, title, created, updated, settings, parent, owner)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.session_id,
                    session.cwd,
                    session.title,
                    session.created,
                    session.updated,
                    session.settings,
                    session.parent,
                    session.owner,
                ),
            )

    def append(
        self, session_id: str, rows: Sequence[Row], *, title: str = "", texts: Iterable[str] = ()
    ) -> None:
        """Add events; those that are there already are left as they are.

        Args:
            session_id: Where to.
            rows: Events with their places.
            title: The session's title, if it changed.
            texts: What a search should find.
        """
        with self._transaction() as run:
            for seq, at, event in rows:
                run(
                    "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)", (session_id, seq, at, event)
                )
            if rows:
                run("UPDATE sessions SET updated = ? WHERE id = ?", (rows[-1].at, session_id))
            if title:
                run("UPDATE sessions SET title = ? WHERE id = ?", (title, session_id))
            for text in texts:
                run("INSERT INTO texts VALUES (?, ?)", (text, session_id))

    def keep(self, session_id: str, first: int, messages: Sequence[bytes], *, told: int) -> None:
        """Replace the model's messages from a place on.

        Args:
            session_id: Where.
            first: 0-based place of the first of `messages`; those from there on are dropped.
            messages: JSON, one each.
            told: How many events of the session they include.
        """
        with self._transaction() as run:
            run("DELETE FROM messages WHERE session = ? AND seq >= ?", (session_id, first))
            for seq, message in enumerate(messages, first):
                run("INSERT INTO messages VALUES (?, ?, ?)", (session_id, seq, message))
            run("UPDATE sessions SET told = ? WHERE id = ?", (told, session_id))

    def set_settings(self, session_id: str, settings: str) -> None:
        """Replace a session's settings, a JSON object."""
        with self._transaction() as run:
            run("UPDATE sessions SET settings = ? WHERE id = ?", (settings, session_id))

    def find(self, session_id: str) -> Stored | None:
        """Look a session up."""
        found = self._sessions("WHERE id = ?", (session_id,))
        return found[0] if found else None

    def starting_with(self, beginning: str) -> list[Stored]:
        """Find the sessions whose ids begin like this; an id that is the whole of it comes alone."""
        if (whole := self.find(beginning)) is not None:
            return [whole]
        return self._sessions(
            "WHERE substr(id, 1, ?) = ? AND ? != '' ORDER BY id LIMIT 10",
            (len(beginning), beginning, beginning),
        )

    def page(
        self, *, cwd: str | None = None, after: tuple[float, str] | None = None, limit: int = PAGE
    ) -> list[Stored]:
        """List sessions in which something was said, the latest first.

        Args:
            cwd: Only those of this folder.
            after: `updated` and id of the last one of the page before.
            limit: At most so many.
        """
        wheres, values = ["EXISTS (SELECT 1 FROM events WHERE session = id)"], list[Any]()
        if cwd is not None:
            wheres.append("cwd = ?")
            values.append(cwd)
        if after is not None:
            wheres.append("(updated < ? OR (updated = ? AND id > ?))")
            values += [after[0], after[0], after[1]]
        where = f"WHERE {' AND '.join(wheres)} ORDER BY updated DESC, id LIMIT ?"
        return self._sessions(where, (*values, limit))

    def search(self, words: str) -> list[Stored]:
        """Find sessions in which all words were said, the best first."""
        quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
        if not quoted:
            return []
        with self._explained():
            found = self._connection.execute(
                "SELECT session FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT 200", (quoted,)
            ).fetchall()
        stored = (self.find(session_id) for session_id in dict.fromkeys(row[0] for row in found))
        return [session for session in stored if session is not None]

    def events(self, session_id: str) -> list[Row]:
        """Read all events of a session, in order."""
        with self._explained():
            rows = self._connection.execute(
                "SELECT seq, at, event FROM events WHERE session = ? ORDER BY seq", (session_id,)
            ).fetchall()
        return [Row(*row) for row in rows]

    def messages(self, session_id: str) -> list[bytes]:
        """Read the model's messages of a session, in order."""
        with self._explained():
            rows = self._connection.execute(
                "SELECT message FROM messages WHERE session = ? ORDER BY seq", (session_id,)
            ).fetchall()
        return [row[0] for row in rows]

    def claim(self, session_id: str, owner: str, alive: Callable[[str], bool]) -> Stored | None:
        """Make a session this process's own, if nobody who is alive has it.

        Args:
            session_id: Which.
            owner: This process, as `sessions.owners` names it.
            alive: Tells whether another owner still lives.

        Returns:
            The session; `None` when there is none of that id.

        Raises:
            SessionBusyError: Another process has it open.
        """
        with self._transaction() as run:
            stored = self.find(session_id)
            if stored is None:
                return None
            if stored.owner and stored.owner != owner and alive(stored.owner):
                raise SessionBusyError(session_id, int(stored.owner.partition("-")[0]))
            run("UPDATE sessions SET owner = ? WHERE id = ?", (owner, session_id))
            return stored

    def release(self, session_id: str, owner: str) -> None:
        """Give a session up, so that another process may open it."""
        with self._transaction() as run:
            run("UPDATE sessions SET owner = '' WHERE id = ? AND owner = ?", (session_id, owner))

    def fork(self, session_id: str, copy: Stored) -> None:
        """Copy a session's events and messages under another id."""
        self.begin(copy)
        with self._transaction() as run:
            new = copy.session_id
            for columns, table in (("seq, at, event", "events"), ("seq, message", "messages")):
                run(
                    f"INSERT INTO {table}(session, {columns})"
                    f" SELECT ?, {columns} FROM {table} WHERE session = ?",
                    (new, session_id),
                )
            run("INSERT INTO texts SELECT text, ? FROM texts WHERE session = ?", (new, session_id))
            run("UPDATE sessions SET told = ? WHERE id = ?", (copy.told, new))

    def save_changes(self, session_id: str, made: Sequence[Change]) -> None:
        """Write what is about to be changed, or what became of it."""
        with self._transaction() as run:
            for change in made:
                changes.save(run, session_id, change)

    def drop_changes(self, session_id: str, made: Sequence[Change]) -> None:
        """Forget changes that changed nothing."""
        with self._transaction() as run:
            for change in made:
                run(
                    "DELETE FROM changes WHERE session = ? AND checkpoint = ? AND path = ?",
                    (session_id, change.checkpoint, change.path),
                )

    def changes(self, session_id: str, checkpoint: int | None = None) -> list[Change]:
        """Read what a session changed, oldest first.

        Args:
            session_id: Which.
            checkpoint: Only what this one changed; -1 is the latest one.
        """
        with self._explained():
            rows = self._connection.execute(
                "SELECT checkpoint, path, what, before, data, text, after FROM changes"
                " WHERE session = :session AND (:checkpoint IS NULL OR checkpoint = :checkpoint OR"
                " :checkpoint = -1 AND checkpoint ="
                " (SELECT max(checkpoint) FROM changes WHERE session = :session))"
                " ORDER BY checkpoint, path",
                {"session": session_id, "checkpoint": checkpoint},
            ).fetchall()
        return changes.read(rows)

    def last_checkpoint(self, session_id: str) -> int:
        """Tell the number of the latest turn or undo that changed something; 0 before the first."""
        with self._explained():
            found = self._connection.execute(
                "SELECT max(checkpoint) FROM changes WHERE session = ?", (session_id,)
            ).fetchone()
        return found[0] or 0

    def delete(self, session_id: str) -> bool:
        """Remove a session and everything that was kept of it.

        Returns:
            Whether there was one.
        """
        with self._transaction() as run:
            for table in ("events", "messages", "texts", "changes"):
                run(f"DELETE FROM {table} WHERE session = ?", (session_id,))
            return run("DELETE FROM sessions WHERE id = ?", (session_id,)).rowcount > 0

    def _sessions(self, where: str, values: tuple[Any, ...]) -> list[Stored]:
        with self._explained():
            rows = self._connection.execute(
                "SELECT id, cwd, title, created, updated, settings, parent, owner, told"
                f" FROM sessions {where}",
                values,
            ).fetchall()
        return [Stored(**dict(zip(Stored.__struct_fields__, row, strict=True))) for row in rows]

    @contextmanager
    def _transaction(self) -> Generator[Callable[..., sqlite3.Cursor]]:
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Say what a database error means to the person."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreError(_sentence(self.path, error)) from error
        except OSError as error:
            raise StoreError(f"{self.path} cannot be opened: {error.strerror or error}") from error


def problem_of(path: Path) -> str:
    """Look at a file of sessions without changing it; empty when it can be used.

    Args:
        path: An existing file.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            state = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return _sentence(path, error)
    if version > VERSION:
        return newer(str(path), version)
    return "" if state == "ok" else f"{path} is damaged ({state})"


def _sentence(path: Path, error: sqlite3.DatabaseError) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return f"the disk is full, so nothing more fits into {path}"
    if name.startswith("SQLITE_READONLY"):
        return f"{path} may not be written: check who owns it"
    if name.startswith("SQLITE_BUSY"):
        return f"{path} is locked by another process"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "malformed" in str(error):
        return f"{path} is damaged ({error}): move it away, and Punie begins a new one"
    return f"{path} cannot be used: {error}"
