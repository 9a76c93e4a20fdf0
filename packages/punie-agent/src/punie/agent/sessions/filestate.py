"""The state of one file, exactly: its bytes, its mode, where a link leads, or that it is not there.

Made before an agent changes a file and put back by an undo. Works on this disk; the text that an
editor holds besides is the business of `sessions.checkpoints`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from punie.agent.workspaces.local import replace_file

Kind: TypeAlias = Literal["absent", "file", "link", "folder", "other"]


class State(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is at a path."""

    kind: Kind
    mode: int = 0
    """Permission bits of a file."""
    digest: str = ""
    """Of a file's bytes, of the editor's text when that is newer, or of a link's target."""


class Held(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A state with what is needed to bring it back."""

    state: State
    data: bytes | None = None
    """A file's bytes, or a link's target; `None` when they were not kept."""
    text: str | None = None
    """The editor's unsaved text, where it differed from the bytes."""
    folders: int = 0
    """How many of the folders above an absent file are missing too."""


def digest_of(data: bytes) -> str:
    """Give a short fingerprint of bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def look(path: Path) -> Held:
    """Read what is at a path.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        missing = next((i for i, parent in enumerate(path.parents) if parent.exists()), 0)
        return Held(state=State(kind="absent"), folders=missing)
    if stat.S_ISLNK(found.st_mode):
        target = os.fsencode(path.readlink())
        return Held(state=State(kind="link", digest=digest_of(target)), data=target)
    if not stat.S_ISREG(found.st_mode):
        return Held(state=State(kind="folder" if stat.S_ISDIR(found.st_mode) else "other"))
    return held_file(path.read_bytes(), stat.S_IMODE(found.st_mode))


def held_file(data: bytes, mode: int) -> Held:
    """Describe a regular file."""
    return Held(state=State(kind="file", mode=mode, digest=digest_of(data)), data=data)


def put_back(path: Path, held: Held) -> None:
    """Make what is at a path what it was.

    Args:
        path: A file, a link, or nothing; a folder is left alone.
        held: What it was, with its data.

    Raises:
        OSError: It cannot be done.
    """
    match held.state.kind:
        case "absent":
            _remove(path, held.folders)
        case "file" if held.data is not None and look(path) == held:
            pass
        case "file" if held.data is not None:
            if path.is_symlink():
                path.unlink()
            _writing(path, held.data)
            path.chmod(held.state.mode)
        case "link" if held.data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(os.fsdecode(held.data))
        case _:
            raise OSError(f"what {path} was is not known")


def _remove(path: Path, folders: int) -> None:
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(f"{path} has become a folder")
    path.unlink(missing_ok=True)
    for parent in list(path.parents)[:folders]:
        with suppress(OSError):  # somebody has put something else there
            parent.rmdir()


def _writing(path: Path, data: bytes) -> None:
    """Write a file that its own mode may protect: whoever owns it made it so after the change."""
    if path.exists() and not os.access(path, os.W_OK):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)
    replace_file(path, data)
