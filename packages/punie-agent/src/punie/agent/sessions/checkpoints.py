"""Taking changes back: what a turn changed is kept before it is changed, and can be put back exactly.

Needs no git and covers what git does not see. A checkpoint is a turn, or an undo, that changed
something; an undo is one too, so undoing it brings the change back. A file that the person changed since
is never overwritten: nothing is done then. What commands change is found by looking at the folder
before and after (`sessions.snapshot`); what a command was changing when the process was killed is
not known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from punie.agent.errors import StoreError, UndoError
from punie.agent.events import ChangedFile, FilesChanged
from punie.agent.sessions.filestate import Held, State, digest_of, look, put_back
from punie.agent.sessions.snapshot import Snapshot, differences, take
from punie.agent.sessions.watched import Watched
from punie.agent.tools.base import Risk
from punie.agent.workspaces.base import HoldsTexts, Workspace

if TYPE_CHECKING:
    from punie.agent.sessions.changes import Change, What
    from punie.agent.sessions.comparing import Compared
    from punie.agent.sessions.journal import Journal
    from punie.agent.sessions.store import Store

log = logging.getLogger(__name__)


class Checkpoints:
    """What one session changed."""

    def __init__(self, journal: Journal, session_id: str, workspace: Workspace) -> None:
        """Begin.

        Args:
            journal: Where it is kept.
            session_id: The session.
            workspace: Its workspace.
        """
        self._journal = journal
        self._session_id = session_id
        self._workspace = workspace
        # Only the journal's thread touches these two, so that a turn need not wait for it.
        self._current: dict[str, Change] = {}
        self._number = 0
        self._changing = False
        self._snapshot: Snapshot | None = None

    async def go_on(self, announced: Iterable[int]) -> None:
        """Take up the checkpoint of a turn that was cut off.

        Args:
            announced: The checkpoints whose changes the session's events tell.
        """
        try:
            self._changing = await self._journal.run(
                lambda store, _: self._take_up(store, set(announced))
            )
        except StoreError as error:
            log.warning("what a turn changed cannot be read: %s", error)

    def _take_up(self, store: Store, announced: set[int]) -> bool:
        changes = store.changes(self._session_id, checkpoint=-1)
        if not changes or changes[0].what != "turn" or changes[0].checkpoint in announced:
            return False
        self._number = changes[0].checkpoint
        self._current = {change.path: _settled(change) for change in changes}
        return True

    @asynccontextmanager
    async def watch(self, risk: Risk, workspace: Workspace) -> AsyncGenerator[Workspace]:
        """Give the workspace in which a tool runs, watched if it may change something there."""
        yield Watched(workspace, self) if risk in {"write", "execute"} else workspace

    async def end_turn(self) -> FilesChanged | None:
        """Close the turn's checkpoint.

        Returns:
            What it changed; `None` when that is nothing.
        """
        self._snapshot = None
        if not self._changing:
            return None
        self._changing = False
        return self._told(await self._journal.run(lambda store, _: self._close(store)))

    async def before_write(self, path: Path, text: str) -> None:
        """Keep what a file is, and note what it is about to become."""
        self._changing = True
        try:
            held = await self._held_text(path)
            data = text.encode()
            await self._journal.run(lambda store, _: self._begin_write(store, path, held, data))
        except (OSError, StoreError, UnicodeEncodeError) as error:
            log.warning("a file cannot be kept before it is changed: %s", error)

    async def after_write(self, path: Path) -> None:
        """Note what a file has become."""
        try:
            held = await self._held_text(path)
        except OSError as error:
            log.warning("what a change made cannot be kept: %s", error)
            return
        self._journal.post(lambda store, _: self._end_write(store, path, held))

    def _begin_write(self, store: Store, path: Path, held: str | None, data: bytes) -> None:
        now = _with_text(look(path), held)
        digest = digest_of(data) if held is None else _shown_digest(_decoded(data))
        meant = State(kind="file", mode=now.state.mode, digest=digest)
        self._save(store, "turn", [(path, now, (now.state, meant))])

    def _end_write(self, store: Store, path: Path, held: str | None) -> None:
        if (change := self._current.get(str(path))) is not None:
            now = _with_text(look(path), held)
            self._save(store, "turn", [(path, change.before, (now.state,))])

    @asynccontextmanager
    async def around_program(self) -> AsyncGenerator[None]:
        """Find out what a program changes below the session's folders."""
        self._changing = True
        before = await asyncio.to_thread(take, self._workspace.roots, self._snapshot)
        try:
            yield
        finally:
            after = await asyncio.to_thread(take, self._workspace.roots, before)
            self._snapshot = after
            try:
                await self._journal.run(lambda store, _: self._end_program(store, before, after))
            except StoreError as error:
                log.warning("what a command changed cannot be kept: %s", error)

    def _end_program(self, store: Store, before: Snapshot, after: Snapshot) -> None:
        found = [(path, old, (new.state,)) for path, old, new in differences(before, after)]
        self._save(store, "turn", found)

    async def undo(self, path: str = "") -> FilesChanged:
        """Take the latest checkpoint back, or what was last done to one file.

        Args:
            path: The file; all of the checkpoint's files by default.

        Returns:
            What was changed by that.

        Raises:
            UndoError: There is nothing to take back, or a file was changed since; nothing was done.
            StoreError: What was kept cannot be read.
        """
        changes = await self._chosen(path)
        now: list[tuple[Change, Held]] = []
        for change in changes:
            held = await self._look(Path(change.path))
            if change.before.state not in _states(held):
                now.append((change, held))
        self._refuse(now)
        made = [(Path(c.path), held, (held.state, c.before.state)) for c, held in now]
        await self._journal.run(lambda store, _: self._save(store, "undo", made))
        try:
            for change, _ in reversed(now):  # what lies deeper first, so that folders get empty
                await self._put_back(change)
        except OSError as error:
            raise UndoError(
                f"The files could not all be put back: {error}. /undo goes back to where you were."
            ) from error
        finally:
            summary = await self._journal.run(lambda store, _: self._close(store))
        if (told := self._told(summary)) is None:
            raise UndoError("There is nothing to take back: the files are what they were.")
        return told

    async def compared(self, path: str = "") -> list[Compared]:
        """Compare what the latest checkpoint changed with what is there now.

        Args:
            path: Only what was last done to this file.

        Raises:
            UndoError: Nothing was changed.
            StoreError: What was kept cannot be read.
        """
        from punie.agent.sessions.comparing import compare

        found: list[Compared] = []
        for change in await self._chosen(path):
            now = await self._look(Path(change.path))
            name, kept = self._shown(change.path), change.kept
            found.append(await asyncio.to_thread(compare, name, change.before, now, kept=kept))
        return found

    async def _chosen(self, path: str) -> list[Change]:
        if not path:
            changes = await self._journal.run(
                lambda store, _: store.changes(self._session_id, checkpoint=-1)
            )
            if not changes:
                raise UndoError("Nothing was changed in this session, so there is nothing to undo.")
            return changes
        wanted = {str(self._workspace.resolve(path)), str(self._workspace.root / path)}
        changes = await self._journal.run(lambda store, _: store.changes(self._session_id))
        found = [change for change in changes if change.path in wanted]
        if not found:
            raise UndoError(f"{path} was not changed in this session.")
        return found[-1:]

    def _refuse(self, now: Iterable[tuple[Change, Held]]) -> None:
        """Refuse what would lose something."""
        now = list(now)
        lost = [self._shown(c.path) for c, _ in now if not c.kept]
        if lost:
            raise UndoError(
                f"{', '.join(lost)} cannot be brought back: too large to be kept before a command"
                " changed it. Nothing was undone; /undo FILE takes single files back."
            )
        changed = [
            self._shown(c.path)
            for c, held in now
            if not any(_is_one_of(state, c.after) for state in _states(held))
        ]
        if changed:
            raise UndoError(
                f"{', '.join(changed)} changed since, so nothing was undone."
                " /undo FILE takes single files back."
            )

    async def _look(self, path: Path) -> Held:
        return _with_text(await asyncio.to_thread(look, path), await self._held_text(path))

    async def _held_text(self, path: Path) -> str | None:
        if isinstance(self._workspace, HoldsTexts):
            return await self._workspace.held_text(path)
        return None

    async def _put_back(self, change: Change) -> None:
        path, before = Path(change.path), change.before
        if before.state.kind == "link" or await asyncio.to_thread(path.is_symlink):
            # Not through the editor: it would write into the file that the link leads to.
            await asyncio.to_thread(put_back, path, before)
        if before.state.kind == "link":
            return
        shown = await self._held_text(path)
        wanted = before.text if before.data is None else before.text or _decoded(before.data)
        if shown is not None and wanted is not None and _lines(shown) != _lines(wanted):
            await self._workspace.write_text(path, wanted)
        if before.text is None:
            await asyncio.to_thread(put_back, path, before)

    def _save(
        self, store: Store, what: What, made: Iterable[tuple[Path, Held, tuple[State, ...]]]
    ) -> None:
        """Write changes of the current checkpoint; what was there first stays."""
        from punie.agent.sessions.changes import Change

        written: list[Change] = []
        for path, held, after in made:
            if not self._current:
                self._number = store.last_checkpoint(self._session_id) + 1
            known = self._current.get(str(path))
            if known is None:
                change = Change(
                    checkpoint=self._number, path=str(path), what=what, before=held, after=after
                )
            else:
                change = replace(known, after=after)
            self._current[str(path)] = change
            written.append(change)
        if written:
            store.save_changes(self._session_id, written)

    def _close(self, store: Store) -> list[Change]:
        """End the checkpoint; a file that is what it was is no part of it."""
        changes, self._current = list(self._current.values()), {}
        same = [change for change in changes if change.after[-1] == change.before.state]
        if same:
            store.drop_changes(self._session_id, same)
        return [change for change in changes if change not in same]

    def _told(self, changes: Iterable[Change]) -> FilesChanged | None:
        files: list[ChangedFile] = []
        number: int = 0
        what: What = "turn"
        for change in changes:
            number, what = change.checkpoint, change.what
            before, after = change.before.state, change.after[-1]
            files.append(
                ChangedFile(
                    path=change.path,
                    name=self._shown(change.path),
                    change=_kind(before, after),
                    kept=change.kept,
                )
            )
        if not files:
            return None
        return FilesChanged(checkpoint=number, files=tuple(files), what=what)

    def _shown(self, path: str) -> str:
        root = self._workspace.root
        return str(Path(path).relative_to(root)) if root in Path(path).parents else path


def _settled(change: Change) -> Change:
    """Find out whether a write that was cut off was made."""
    now = look(Path(change.path)).state
    found = [state for state in change.after if _is_one_of(now, [state])]
    return replace(change, after=(now,)) if found else change


def _with_text(held: Held, text: str | None) -> Held:
    """Add the text that an editor shows; it is kept where it is not what is on disk.

    What is compared later is that text, since an editor saves when it likes.
    """
    if text is None or held.state.kind == "link":  # what an editor shows of a link is its target
        return held
    state = State(kind="file", mode=held.state.mode, digest=_shown_digest(text))
    saved = held.data is not None and _shown_digest(_decoded(held.data)) == state.digest
    return Held(state=state, data=held.data, text=None if saved else text, folders=held.folders)


def _states(held: Held) -> tuple[State, ...]:
    """Give the states that a file is in: as an editor shows it, and as it is on disk when saved.

    They differ by line endings. What a command changed is known by its bytes alone.
    """
    if held.text is not None or held.data is None:
        return (held.state,)
    return held.state, replace(held.state, digest=digest_of(held.data))


def _shown_digest(text: str) -> str:
    """Fingerprint a text as editors show it: they have one kind of line ending inside."""
    return digest_of(_lines(text).encode(errors="replace"))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _decoded(data: bytes) -> str:
    return data.decode(errors="replace")


def _is_one_of(state: State, meant: Iterable[State]) -> bool:
    """Compare, where a mode of 0 is one that was not known when the change was begun."""
    return any(
        state == one or (not one.mode and state == replace(one, mode=state.mode)) for one in meant
    )


def _kind(before: State, after: State) -> Literal["added", "modified", "deleted"]:
    if before.kind == "absent":
        return "added"
    return "deleted" if after.kind == "absent" else "modified"
