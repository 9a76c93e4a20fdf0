"""Files: atomic, faithful to the byte, and honest about where a path leads."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from punie.agent.workspaces.local import LocalWorkspace, replace_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_new_file_is_created_with_its_folders(workspace: LocalWorkspace) -> None:
    await workspace.write_text(workspace.resolve("a/b/new.txt"), "text\n")
    assert (workspace.root / "a/b/new.txt").read_bytes() == b"text\n"


async def test_a_new_file_gets_the_mode_that_the_umask_asks_for(workspace: LocalWorkspace) -> None:
    old = os.umask(0o027)
    try:
        await workspace.write_text(workspace.root / "new.txt", "")
    finally:
        os.umask(old)
    assert stat.S_IMODE((workspace.root / "new.txt").stat().st_mode) == 0o640


async def test_a_replaced_file_keeps_its_mode(workspace: LocalWorkspace) -> None:
    script = workspace.root / "run.sh"
    script.write_text("old")
    script.chmod(0o751)
    await workspace.write_text(script, "new")
    assert (script.read_text(), stat.S_IMODE(script.stat().st_mode)) == ("new", 0o751)


async def test_a_link_stays_and_its_target_is_replaced(workspace: LocalWorkspace) -> None:
    target = workspace.root / "target.txt"
    target.write_text("old")
    link = workspace.root / "link.txt"
    link.symlink_to("target.txt")
    await workspace.write_text(link, "new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")


@given(text=st.text(alphabet="a\r\nü\ufeff\u2028 ", max_size=40))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_comes_back_as_it_was_written(workspace: LocalWorkspace, text: str) -> None:
    async def round_trip() -> str:
        await workspace.write_text(workspace.root / "x.txt", text)
        return await workspace.read_text(workspace.root / "x.txt")

    assert asyncio.run(round_trip()) == text


async def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    workspace: LocalWorkspace, largest_file: Callable[[int], AbstractContextManager[None]]
) -> None:
    path = workspace.root / "x.txt"
    path.write_text("old")
    with largest_file(1024), pytest.raises(OSError, match="too large") as raised:
        await workspace.write_text(path, "x" * 100_000)
    assert raised.value.errno == errno.EFBIG
    assert (path.read_text(), names(workspace.root)) == ("old", ["x.txt"])


async def test_a_cancelled_write_leaves_the_whole_old_or_the_whole_new_file(
    workspace: LocalWorkspace,
) -> None:
    path = workspace.root / "x.txt"
    path.write_text("old")
    new = "new" * 1_000_000
    write = asyncio.ensure_future(workspace.write_text(path, new))
    await asyncio.sleep(0)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    assert path.read_text() in {"old", new}
    assert names(workspace.root) == ["x.txt"]


def test_a_write_abandoned_before_the_last_step_changes_nothing(root: Path) -> None:
    abandoned = threading.Event()
    abandoned.set()
    replace_file(root / "x.txt", b"new", abandoned)
    assert names(root) == []


@pytest.fixture
def unprivileged() -> Iterator[LocalWorkspace]:
    """A workspace of a user whom file modes bind; root becomes `nobody` for the test."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o777)
        is_root = os.getuid() == 0
        if is_root:
            os.setresuid(65534, 65534, 0)
        try:
            yield LocalWorkspace(root)
        finally:
            if is_root:
                os.setresuid(0, 0, 0)


async def test_a_read_only_file_is_not_replaced_behind_its_back(
    unprivileged: LocalWorkspace,
) -> None:
    path = unprivileged.root / "x.txt"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(PermissionError):
        await unprivileged.write_text(path, "new")
    path.chmod(0o644)
    await unprivileged.write_text(path, "newer")
    assert path.read_text() == "newer"


async def test_a_read_only_folder_keeps_its_file(unprivileged: LocalWorkspace) -> None:
    folder = unprivileged.root / "folder"
    folder.mkdir()
    path = folder / "x.txt"
    path.write_text("old")
    folder.chmod(0o555)
    with pytest.raises(PermissionError):
        await unprivileged.write_text(path, "new")
    folder.chmod(0o755)
    assert (path.read_text(), names(folder)) == ("old", ["x.txt"])


async def test_a_folder_is_not_replaced(workspace: LocalWorkspace) -> None:
    (workspace.root / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        await workspace.write_text(workspace.root / "folder", "new")
    assert names(workspace.root) == ["folder"]


async def test_reading_a_pipe_fails_instead_of_waiting_for_ever(workspace: LocalWorkspace) -> None:
    os.mkfifo(workspace.root / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        await workspace.read_text(workspace.root / "pipe")


async def test_bytes_that_are_no_text_raise(workspace: LocalWorkspace) -> None:
    (workspace.root / "x.bin").write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        await workspace.read_text(workspace.root / "x.bin")


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        (".", True),
        ("", True),
        ("a/../b.txt", True),
        ("..", False),
        ("a/../../b.txt", False),
        ("/etc/hosts", False),
        ("link-out/x", False),
        ("loop/x", True),
        ("null\0byte", True),
        ("half\ud800surrogate", True),
    ],
)
def test_a_path_is_inside_when_its_links_lead_inside(
    workspace: LocalWorkspace, path: str, inside: bool
) -> None:
    (workspace.root / "link-out").symlink_to(workspace.root.parent)
    (workspace.root / "loop").symlink_to("loop")
    resolved = workspace.resolve(path)
    assert (resolved.is_absolute(), workspace.contains(resolved)) == (True, inside)


def test_a_neighbour_whose_name_starts_like_the_root_is_outside(workspace: LocalWorkspace) -> None:
    assert not workspace.contains(workspace.resolve(f"{workspace.root}-other/x"))


def test_a_root_behind_a_link_is_resolved(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert LocalWorkspace(tmp_path / "link").root == root.resolve()
