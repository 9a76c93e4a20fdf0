"""What a turn changed can be taken back, exactly, and that can be taken back too."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from punie.agent.errors import UndoError
from punie.agent.events import FilesChanged
from punie.agent.sessions.checkpoints import Checkpoints
from punie.agent.sessions.journal import Journal
from punie.agent.testing import Call
from punie.agent.workspaces.local import LocalWorkspace

Start = Callable[..., Any]


def write(path: str, text: str) -> Call:
    return Call("write_file", {"path": path, "content": text})


def command(line: str) -> Call:
    return Call("run_command", {"command": line})


def tree(root: Path) -> dict[str, Any]:
    """Everything in a folder: bytes and modes of files, targets of links."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_file():
            found[name] = ("file", path.read_bytes(), path.stat().st_mode & 0o777)
    return found


async def test_a_turn_lists_what_it_changed(process: Start, root: Path) -> None:
    (root / "old.txt").write_text("old")
    script = [[write("old.txt", "new"), write("sub/new.txt", "x")], ["done"]]
    async with process(script, mode="edit") as only:
        session = only.open()
        await session.prompt("write")
    (changed,) = [event for event in session.events if isinstance(event, FilesChanged)]
    assert [(file.name, file.change) for file in changed.files] == [
        ("old.txt", "modified"),
        ("sub/new.txt", "added"),
    ]
    assert changed.headline() == "Changed old.txt, sub/new.txt (new)"


async def test_a_turn_that_changed_nothing_lists_nothing(process: Start, root: Path) -> None:
    (root / "a.txt").write_text("same")
    script = [[write("a.txt", "same"), command("ls")], ["done"]]
    async with process(script, mode="bypass") as only:
        session = only.open()
        await session.prompt("write")
    assert not [event for event in session.events if isinstance(event, FilesChanged)]


async def test_a_turn_that_changed_nothing_is_passed_over(process: Start, root: Path) -> None:
    same = write("a.txt", "1")
    async with process([[same], ["ok"], [same], ["ok"]], mode="edit") as only:
        session = only.open()
        await session.prompt("write")
        await session.prompt("write it again")
        await session.undo()
    assert not (root / "a.txt").exists()


async def test_undo_puts_back_bytes_mode_and_absence_and_undoes_itself(
    process: Start, root: Path
) -> None:
    (root / "run.sh").write_bytes(b"#!/bin/sh\r\necho \xe2\x82\xac\r\n")
    (root / "run.sh").chmod(0o750)
    before = tree(root)
    script = [
        [write("run.sh", "gone"), write("run.sh", "again"), write("a/b/new.txt", "x")],
        ["ok"],
    ]
    async with process(script, mode="edit") as only:
        session = only.open()
        await session.prompt("write")
        after = tree(root)
        await session.undo()
        assert tree(root) == before
        assert not (root / "a").exists()
        await session.undo()
        assert tree(root) == after
        await session.undo()
        assert tree(root) == before


async def test_what_a_command_changed_is_taken_back_binary_links_and_all(
    process: Start, root: Path
) -> None:
    (root / "blob.bin").write_bytes(bytes(range(256)) * 10)
    (root / "gone.txt").write_text("do not lose me")
    (root / "link").symlink_to("gone.txt")
    (root / "tool").write_text("x")
    before = tree(root)
    line = (
        "printf zz > blob.bin; rm gone.txt link; ln -s blob.bin link;"
        " chmod +x tool; mkdir d; echo new > d/new"
    )
    async with process([[command(line)], ["ok"]], mode="bypass") as only:
        session = only.open()
        await session.prompt("run")
        after = tree(root)
        (changed,) = [event for event in session.events if isinstance(event, FilesChanged)]
        assert [(file.name, file.change) for file in changed.files] == [
            ("blob.bin", "modified"),
            ("d/new", "added"),
            ("gone.txt", "deleted"),
            ("link", "modified"),
            ("tool", "modified"),
        ]
        await session.undo()
        assert tree(root) == before
        await session.undo()
        assert tree(root) == after


async def test_the_model_is_told_with_the_next_prompt_and_only_once(
    process: Start, root: Path
) -> None:
    script = [[write("a.txt", "1")], ["ok"], ["I see"], ["yes"]]
    async with process(script, mode="edit") as only:
        session = only.open()
        await session.prompt("write")
        await session.undo()
        await session.prompt("go on")
        await session.prompt("and on")
        prompts = [
            part.content
            for message in only.requests[-1][0]
            for part in message.parts
            if part.part_kind == "user-prompt"
        ]
    assert prompts == [
        "write",
        "[The person undid something since. Changed a.txt (deleted)."
        " Read a file before you edit it.]\n\ngo on",
        "and on",
    ]


async def test_the_model_is_told_too_when_the_undo_was_a_command(
    process: Start, root: Path
) -> None:
    async with process([[write("a.txt", "1")], ["ok"], ["I see"]], mode="edit") as only:
        session = only.open()
        await session.prompt("write")

        async def undo(_emitter: Any, _cancellation: Any) -> str:
            return (await session.undo()).headline()

        await session.prompt("/undo", reply=undo)
        await session.prompt("go on")
        told = only.requests[-1][0][-1].parts[-1].content
    assert not (root / "a.txt").exists()
    assert told.startswith("[The person undid something since. Changed a.txt (deleted).")


async def test_one_file_can_be_taken_back_alone(process: Start, root: Path) -> None:
    (root / "a.txt").write_text("a")
    (root / "b.txt").write_text("b")
    async with process([[write("a.txt", "1"), write("b.txt", "2")], ["ok"]], mode="edit") as only:
        session = only.open()
        await session.prompt("write")
        changed = await session.undo("a.txt")
    assert [file.name for file in changed.files] == ["a.txt"]
    assert ((root / "a.txt").read_text(), (root / "b.txt").read_text()) == ("a", "2")


async def test_a_file_that_the_person_changed_since_is_left_alone_and_so_are_the_others(
    process: Start, root: Path
) -> None:
    (root / "a.txt").write_text("a")
    (root / "b.txt").write_text("b")
    async with process([[write("a.txt", "1"), write("b.txt", "2")], ["ok"]], mode="edit") as only:
        session = only.open()
        await session.prompt("write")
        (root / "b.txt").write_text("mine")
        with pytest.raises(UndoError, match=r"b\.txt changed since, so nothing was undone"):
            await session.undo()
        assert ((root / "a.txt").read_text(), (root / "b.txt").read_text()) == ("1", "mine")


async def test_nothing_to_undo_is_said(process: Start) -> None:
    async with process() as only:
        with pytest.raises(UndoError, match="nothing to undo"):
            await only.open().undo()


async def test_a_file_that_was_never_changed_is_named(process: Start, root: Path) -> None:
    async with process([[write("a.txt", "1")], ["ok"]], mode="edit") as only:
        session = only.open()
        await session.prompt("write")
        with pytest.raises(UndoError, match=r"other\.txt was not changed in this session"):
            await session.undo("other.txt")


async def test_a_later_process_can_undo(process: Start, root: Path) -> None:
    (root / "a.txt").write_text("a")
    async with process([[write("a.txt", "1")], ["ok"]], mode="edit") as first:
        await first.open().prompt("write")
    async with process() as second:
        await (await second.load()).undo()
    assert (root / "a.txt").read_text() == "a"


async def test_what_was_too_large_to_keep_is_said_and_nothing_is_undone(
    process: Start, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("punie.agent.sessions.snapshot.MAX_FILE", 10)
    (root / "large").write_bytes(b"x" * 100)
    async with process([[command("echo > large; echo > new")], ["ok"]], mode="bypass") as only:
        session = only.open()
        await session.prompt("run")
        with pytest.raises(UndoError, match="large cannot be brought back"):
            await session.undo()
        assert (root / "new").exists()
        await session.undo("new")
        assert not (root / "new").exists()


class EditorWorkspace(LocalWorkspace):
    """A folder that an editor has open: it shows its own texts and saves them when it likes."""

    def __init__(self, root: Path, *, saves: bool) -> None:
        super().__init__(root)
        self.shown: dict[Path, str] = {}
        self.saves = saves

    async def held_text(self, path: Path) -> str | None:
        return self.shown.get(path)

    async def read_text(self, path: Path) -> str:
        return self.shown.get(path) or await super().read_text(path)

    async def write_text(self, path: Path, text: str) -> None:
        self.shown[path] = text
        if self.saves:
            await super().write_text(path, text)


@pytest.fixture
async def in_editor(root: Path, state: Path) -> AsyncIterator[Callable[[bool], Any]]:
    """Change `a.txt` in an editor: `checkpoints, workspace = await in_editor(saves)`."""
    journal = Journal(state)

    async def change(saves: bool) -> tuple[Checkpoints, EditorWorkspace]:
        workspace = EditorWorkspace(root, saves=saves)
        workspace.shown[root / "a.txt"] = "one\n" if saves else "unsaved\n"
        checkpoints = Checkpoints(journal, "s", workspace)
        async with checkpoints.watch("write", workspace) as watched:
            await watched.write_text(root / "a.txt", "new\n")
        assert await checkpoints.end_turn() is not None
        return checkpoints, workspace

    (root / "a.txt").write_bytes(b"one\r\n")
    yield change
    await journal.aclose()


async def test_a_text_that_was_never_saved_comes_back_to_the_editor_alone(
    root: Path, in_editor: Callable[[bool], Any]
) -> None:
    checkpoints, workspace = await in_editor(False)
    await checkpoints.undo()
    assert workspace.shown[root / "a.txt"] == "unsaved\n"
    assert (root / "a.txt").read_bytes() == b"one\r\n"
    await checkpoints.undo()
    assert workspace.shown[root / "a.txt"] == "new\n"


async def test_what_an_editor_saved_comes_back_to_it_and_to_the_disk_byte_by_byte(
    root: Path, in_editor: Callable[[bool], Any]
) -> None:
    checkpoints, workspace = await in_editor(True)
    assert (root / "a.txt").read_bytes() == b"new\n"
    await checkpoints.undo()
    assert workspace.shown[root / "a.txt"].replace("\r", "") == "one\n"
    assert (root / "a.txt").read_bytes() == b"one\r\n"


async def test_saving_later_does_not_count_as_a_change_of_the_person(
    root: Path, in_editor: Callable[[bool], Any]
) -> None:
    checkpoints, workspace = await in_editor(False)
    (root / "a.txt").write_bytes(b"new\r\n")  # the editor saved, with the file's line endings
    await checkpoints.undo()
    assert workspace.shown[root / "a.txt"] == "unsaved\n"


async def test_what_the_person_typed_since_is_not_overwritten(
    root: Path, in_editor: Callable[[bool], Any]
) -> None:
    checkpoints, workspace = await in_editor(False)
    workspace.shown[root / "a.txt"] = "new\nand mine\n"
    with pytest.raises(UndoError, match="changed since"):
        await checkpoints.undo()
    assert workspace.shown[root / "a.txt"] == "new\nand mine\n"


async def test_what_a_command_changed_is_taken_back_in_an_editor_too(
    root: Path, in_editor: Callable[[bool], Any]
) -> None:
    """An editor shows one kind of line ending, and of a link the file that it leads to."""
    checkpoints, workspace = await in_editor(True)
    (root / "link").symlink_to("a.txt")
    for name in ("crlf.txt", "becomes-a-link"):
        (root / name).write_bytes(b"one\r\n")
    for name in ("link", "crlf.txt", "becomes-a-link"):
        workspace.shown[root / name] = "one\n"
    before = tree(root)
    async with checkpoints.watch("execute", workspace), checkpoints.around_program():
        (root / "link").unlink()
        (root / "link").symlink_to("crlf.txt")
        (root / "crlf.txt").write_bytes(b"two\r\n")
        (root / "becomes-a-link").unlink()
        (root / "becomes-a-link").symlink_to("a.txt")
    workspace.shown[root / "becomes-a-link"] = "new\n"
    workspace.shown[root / "crlf.txt"] = "two\n"
    after = tree(root)
    await checkpoints.end_turn()
    await checkpoints.undo()
    assert tree(root) == before
    await checkpoints.undo()
    assert tree(root) == after


NAMES = st.sampled_from(["a", "b.bin", "sub/c", "sub/deep/d", "link"])
BYTES = st.binary(max_size=40)
WRITE = st.tuples(st.just("write"), NAMES, st.text(st.characters(codec="utf-8"), max_size=20))
SHELL = st.tuples(st.just("shell"), NAMES, BYTES)
REMOVE = st.tuples(st.just("remove"), NAMES, st.none())
MODE = st.tuples(st.just("mode"), NAMES, st.sampled_from([0o600, 0o644, 0o755]))
LINK = st.tuples(st.just("link"), NAMES, st.sampled_from(["a", "nowhere"]))


def change(path: Path, kind: str, value: Any) -> None:
    """Do to a file what a program might."""
    if kind == "remove":
        path.unlink(missing_ok=True)
    elif kind == "mode" and path.is_file() and not path.is_symlink():
        path.chmod(value)
    elif kind in {"link", "shell"}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if kind == "link":
            path.symlink_to(value)
        else:
            path.write_bytes(value)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    start=st.dictionaries(NAMES, st.tuples(BYTES, st.sampled_from([0o600, 0o644, 0o755]))),
    steps=st.lists(st.one_of(WRITE, SHELL, REMOVE, MODE, LINK), min_size=1, max_size=6),
)
async def test_any_changes_to_any_tree_are_undone_and_redone_exactly(
    tmp_path: Path, start: dict[str, Any], steps: list[Any]
) -> None:
    root, state = tmp_path / "tree", tmp_path / "undo-state"
    for folder in (root, state):
        shutil.rmtree(folder, ignore_errors=True)
    root.mkdir()
    for name, (data, mode) in start.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        (root / name).chmod(mode)
    before = tree(root)
    journal, workspace = Journal(state), LocalWorkspace(root)
    try:
        checkpoints = Checkpoints(journal, "s", workspace)
        for kind, name, value in steps:
            async with checkpoints.watch("execute", workspace) as watched:
                if kind == "write":
                    await _write(watched, name, value)
                else:
                    async with checkpoints.around_program():
                        change(root / name, kind, value)
        changed = await checkpoints.end_turn()
        after = tree(root)
        assert (changed is None) == (before == after)
        if changed is not None:
            await checkpoints.undo()
            assert tree(root) == before
            await checkpoints.undo()
            assert tree(root) == after
    finally:
        await journal.aclose()


async def _write(workspace: Any, name: str, text: str) -> None:
    try:
        await workspace.write_text(workspace.resolve(name), text)
    except OSError:
        assert name in tree(workspace.root)  # a link that leads to itself
