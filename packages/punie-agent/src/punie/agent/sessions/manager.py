"""The sessions of one process, and those that other processes left: opened, found, loaded, ended.

A session is open in one process at a time. One that is open here is joined; one that is open in
another process that lives is refused; one whose process died is taken over as it was left.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from punie.agent.errors import StoreError
from punie.agent.mcp.server import McpServer
from punie.agent.permissions.gate import Standing
from punie.agent.permissions.policy import Mode
from punie.agent.sessions.brain import OpenBrain, SessionWorkspace
from punie.agent.sessions.recovery import Past, read_events
from punie.agent.sessions.session import Session, new_id

if TYPE_CHECKING:
    from punie.agent.sessions.journal import Journal
    from punie.agent.sessions.owners import Owner
    from punie.agent.sessions.store import Store, Stored


def new_session_id() -> str:
    """Make an id for a session that is about to be opened."""
    return f"punie-{new_id()}"


class UnknownSessionError(LookupError):
    """No session has this id."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session {session_id!r}")
        self.session_id = session_id


class UnknownCursorError(ValueError):
    """A list was asked to go on from where no list of ours ended."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"no list ended at {cursor!r}: ask again without a cursor")
        self.cursor = cursor


class Page(NamedTuple):
    """A part of the list of sessions, the latest first."""

    sessions: list[Stored]
    next_cursor: str | None
    """Where the next page begins; `None` after the last one."""


class Parts(NamedTuple):
    """What a session is put together from when it is opened or loaded."""

    workspace: SessionWorkspace
    """Closed with the session."""
    mode: Mode
    open_brain: OpenBrain
    standing: Standing | None = None
    """The rules and answers that hold in it."""
    model: str = ""
    """The model that was chosen for it; empty leaves it to the settings."""
    thought: str = ""
    """How much the model is to reason; empty leaves it to the model."""
    servers: tuple[McpServer, ...] = ()
    """The MCP servers that it had when it was kept."""
    traces: Path | None = None
    """The folder of traces, if the person wants them."""


class Sessions:
    """Manages the lifetime of sessions."""

    def __init__(self, journal: Journal | None = None) -> None:
        """Begin.

        Args:
            journal: Where sessions are kept; without it they end with the process.
        """
        self._journal = journal
        self._by_id: dict[str, Session] = {}
        self._loading = asyncio.Lock()
        self._servers: dict[str, tuple[McpServer, ...]] = {}
        """Of closed sessions, with the secrets that are not written."""
        self._watchers: list[tuple[Callable[[Session], None], Callable[[str], None]]] = []

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    def open(
        self,
        session_id: str,
        *,
        workspace: SessionWorkspace,
        mode: Mode,
        open_brain: OpenBrain,
        standing: Standing | None = None,
        model: str = "",
        thought: str = "",
        servers: tuple[McpServer, ...] = (),
        traces: Path | None = None,
    ) -> Session:
        """Begin a session in a workspace.

        Args:
            session_id: From `new_session_id`.
            workspace: Closed with the session.
            mode: How much it may do without asking.
            open_brain: Opens its model when the first turn begins.
            standing: The rules and answers that hold in it; none by default.
            model: The model that was chosen for it; empty leaves it to the settings.
            thought: How much the model is to reason; empty leaves it to the model.
            servers: The MCP servers that it begins with.
            traces: The folder of traces, if the person wants them.
        """
        parts = Parts(workspace, mode, open_brain, standing, model, thought, servers, traces)
        fresh = _fresh(session_id, workspace, mode, model=model)
        session = self._made(fresh, parts)
        self._add(session)
        return session

    def get(self, session_id: str) -> Session:
        """Find an open session.

        Raises:
            UnknownSessionError: None of that id is open here.
        """
        try:
            return self._by_id[session_id]
        except KeyError:
            raise UnknownSessionError(session_id) from None

    def is_open(self, session_id: str) -> bool:
        """Whether a session is open here."""
        return session_id in self._by_id

    def watch(
        self, opened: Callable[[Session], None], closed: Callable[[str], None]
    ) -> Callable[[], None]:
        """Hear of every session that is opened and closed here from now on.

        Args:
            opened: Called with it at once.
            closed: Called with its id at once.

        Returns:
            A function that ends this.
        """
        watcher = (opened, closed)
        self._watchers.append(watcher)

        def unwatch() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return unwatch

    def _add(self, session: Session) -> None:
        self._by_id[session.id] = session
        for opened, _ in list(self._watchers):
            opened(session)

    async def page(self, *, cwd: Path | None = None, cursor: str | None = None) -> Page:
        """List sessions of all processes, a page at a time.

        Args:
            cwd: Only those of this folder.
            cursor: `next_cursor` of the page before.

        Raises:
            UnknownCursorError: The cursor is none of ours.
        """
        from punie.agent.sessions.store import PAGE

        after = None if cursor is None else _read_cursor(cursor)
        folder = None if cwd is None else str(cwd)
        stored: list[Stored] = []
        if self._journal is not None:
            try:
                stored = await self._journal.run(
                    lambda store, _: store.page(cwd=folder, after=after, limit=PAGE)
                )
            except StoreError:
                stored = []  # those that are open here are listed all the same
        more = _cursor(stored[-1]) if len(stored) == PAGE else None
        if cursor is None:
            known = {one.session_id for one in stored}
            stored[:0] = [
                _fresh(session.id, session.workspace, session.mode, title=session.title)
                for session in reversed(self._by_id.values())
                if session.id not in known
                and (not session.events or self._journal is None)
                and folder in {None, str(session.workspace.root)}
            ]
        return Page(stored, more)

    async def load(self, session_id: str, put_together: Callable[[Stored], Parts]) -> Session:
        """Give a session that is open here, or open one that an earlier process left.

        Nothing of it runs yet: `Session.go_on` asks again what was being asked.

        Args:
            session_id: Which.
            put_together: Makes the parts of a session that is opened.

        Raises:
            UnknownSessionError: There is none of that id.
            SessionBusyError: It is open in another process.
            StoreError: The file of sessions cannot be read.
        """
        async with self._loading:
            if session_id in self._by_id or self._journal is None:
                return self.get(session_id)
            loaded = await self._journal.run(lambda store, owner: _read(store, owner, session_id))
            if loaded is None and self._journal.problem is not None:
                raise self._journal.problem
            if loaded is None:
                raise UnknownSessionError(session_id)
            return await self._reopen(*loaded, put_together)

    async def fork(
        self, session_id: str, put_together: Callable[[Stored], Parts], *, new_id: str
    ) -> Session:
        """Open a copy of a session, which goes its own way from here.

        Args:
            session_id: The session to copy, open or not; it is not disturbed.
            put_together: Makes the parts of the copy.
            new_id: The copy's id, from `new_session_id`.

        Raises:
            UnknownSessionError: There is none of that id.
            StoreError: The file of sessions cannot be used.
        """
        if self._journal is None:
            raise StoreError("sessions are not kept here, so there is none to copy")

        def copy(store: Store, owner: Owner) -> tuple[Stored, Past] | None:
            stored = store.find(session_id)
            if stored is None:
                return None
            now = time.time()
            # What was always allowed in that session was not allowed in this one.
            settings = msgspec.json.decode(stored.settings) | {"answers": []}
            changed = {
                "session_id": new_id,
                "parent": session_id,
                "owner": owner.name,
                "settings": msgspec.json.encode(settings).decode(),
            }
            store.fork(
                session_id, msgspec.structs.replace(stored, created=now, updated=now, **changed)
            )
            return _read(store, owner, new_id)

        loaded = await self._journal.run(copy)
        if loaded is None:
            raise UnknownSessionError(session_id)
        if session_id in self._by_id:
            self._servers[new_id] = self._by_id[session_id].servers
        return await self._reopen(*loaded, put_together, asks=False)

    async def close(self, session_id: str) -> None:
        """End an open session: its turn is cancelled, its events stay.

        Raises:
            UnknownSessionError: None of that id is open here.
        """
        session = self.get(session_id)
        self._servers[session_id] = session.servers
        del self._by_id[session_id]
        for _, closed in list(self._watchers):
            closed(session_id)
        await session.aclose()
        if self._journal is not None:
            with suppress(StoreError):  # the lock of this process tells the same, once it ends
                await self._journal.run(lambda store, owner: store.release(session_id, owner.name))

    async def delete(self, session_id: str) -> bool:
        """Remove a session and everything that was kept of it; it may be gone already.

        Returns:
            Whether there was one.

        Raises:
            SessionBusyError: It is open in another process.
            StoreError: The file of sessions cannot be written.
        """
        was_open = session_id in self._by_id
        if was_open:
            await self.close(session_id)
        self._servers.pop(session_id, None)
        if self._journal is None:
            return was_open

        def remove(store: Store, owner: Owner) -> bool:
            store.claim(session_id, owner.name, owner.alive)
            return store.delete(session_id)

        return await self._journal.run(remove) or was_open

    async def aclose(self) -> None:
        """Cancel every turn and wait until nothing runs any more; open questions stay open."""
        sessions = list(self._by_id.values())
        self._by_id.clear()
        async with asyncio.TaskGroup() as closing:
            for session in sessions:
                closing.create_task(session.leave())

    async def _reopen(
        self,
        stored: Stored,
        past: Past,
        put_together: Callable[[Stored], Parts],
        *,
        asks: bool = True,
    ) -> Session:
        session = self._made(stored, put_together(stored), past)
        await session.recover(asks=asks)
        self._add(session)
        return session

    def _made(self, stored: Stored, parts: Parts, past: Past | None = None) -> Session:
        record = checkpoints = None
        if self._journal is not None:
            from punie.agent.sessions.checkpoints import Checkpoints
            from punie.agent.sessions.record import Record

            events = None if past is None else past.until
            record = Record(self._journal, stored, events=events, traces=parts.traces)
            checkpoints = Checkpoints(self._journal, stored.session_id, parts.workspace)
        return Session(
            stored.session_id,
            workspace=parts.workspace,
            mode=parts.mode,
            open_brain=parts.open_brain,
            standing=parts.standing,
            model=parts.model,
            thought=parts.thought,
            servers=self._servers.get(stored.session_id, parts.servers),
            record=record,
            past=past,
            checkpoints=checkpoints,
        )


def _read(store: Store, owner: Owner, session_id: str) -> tuple[Stored, Past] | None:
    stored = store.claim(session_id, owner.name, owner.alive)
    if stored is None:
        return None
    events = read_events(row.event for row in store.events(session_id))
    messages = store.messages(session_id)
    return stored, Past(events, messages, told=stored.told, until=len(events))


def _fresh(
    session_id: str, workspace: SessionWorkspace, mode: Mode, *, title: str = "", model: str = ""
) -> Stored:
    from punie.agent.sessions.store import Stored

    now = time.time()
    folders = [str(folder) for folder in workspace.roots[1:]]
    settings = msgspec.json.encode({"mode": mode, "model": model, "folders": folders}).decode()
    return Stored(
        session_id=session_id,
        cwd=str(workspace.root),
        title=title,
        created=now,
        updated=now,
        settings=settings,
    )


def _cursor(last: Stored) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((last.updated, last.session_id))).decode()


def _read_cursor(cursor: str) -> tuple[float, str]:
    try:
        read: Any = msgspec.json.decode(
            base64.urlsafe_b64decode(cursor.encode()), type=tuple[float, str]
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise UnknownCursorError(cursor) from error
    return read
