"""What a command changed: the files of some folders before and after it, as far as they can be kept.

Walks as git sees each folder, so what is ignored (caches, environments) is not looked at. Contents are
kept up to a budget; beyond it a change is still noticed, by size and time, but cannot be taken back.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from punie.agent.sessions.filestate import Held, State, held_file, look
from punie.agent.tools.walk import walk_files

MAX_FILES = 20_000
MAX_FILE = 1_000_000
"""Bytes up to which one file is kept."""
MAX_KEPT = 32_000_000
"""Bytes kept of all files together."""
BUDGET = 3.0
"""Seconds that walking may take."""


class _Seen(NamedTuple):
    signature: tuple[int, ...]
    held: Held


class Snapshot(NamedTuple):
    """The files of some folders at one moment."""

    files: dict[Path, _Seen]
    whole: bool
    """Every file was seen."""


def take(roots: Sequence[Path], before: Snapshot | None = None) -> Snapshot:
    """Look at all files of some folders.

    Args:
        roots: The folders, absolute.
        before: An earlier look at them: what has not changed since is not read again.
    """
    files: dict[Path, _Seen] = {}
    room = MAX_KEPT
    known = before.files if before is not None else {}
    whole = True
    for path in chain.from_iterable(walk_files(root, budget=BUDGET) for root in roots):
        if len(files) >= MAX_FILES:
            whole = False
            break
        try:
            found = path.lstat()
            seen = known.get(path)
            if seen is None or seen.signature != _signature(found):
                seen = _Seen(_signature(found), _held(path, found, room))
        except OSError:
            continue  # gone, or not ours to read
        files[path] = seen
        room -= len(seen.held.data or b"")
    return Snapshot(files, whole)


def differences(before: Snapshot, after: Snapshot) -> Iterator[tuple[Path, Held, Held]]:
    """Compare two looks at a folder.

    Yields:
        Path, what it was and what it is, for each file that changed. What was not kept has no data.
    """
    for path in sorted(before.files.keys() | after.files.keys()):
        old, new = before.files.get(path), after.files.get(path)
        if old is not None and new is not None:
            same = old.signature == new.signature or (
                old.held.state == new.held.state and old.held.data is not None
            )
            if not same:
                yield path, old.held, new.held
        elif new is not None and before.whole:
            yield path, Held(state=State(kind="absent")), new.held
        elif old is not None and after.whole and not os.path.lexists(path):
            yield path, old.held, look(path)


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, found.st_ctime_ns)


def _held(path: Path, found: os.stat_result, room: int) -> Held:
    if not stat.S_ISREG(found.st_mode):
        return look(path)
    if found.st_size > min(MAX_FILE, room):
        mark = f"{found.st_size}-{found.st_mtime_ns}"
        return Held(state=State(kind="file", mode=stat.S_IMODE(found.st_mode), digest=mark))
    return held_file(path.read_bytes(), stat.S_IMODE(found.st_mode))
