"""Paths as people and models read them: relative to the root, forward slashes, and near misses."""

from __future__ import annotations

import difflib
import stat
from pathlib import Path
from typing import Literal

from punie.agent.workspaces.base import Workspace

_LONGEST = 300
"""Characters of a path that an error repeats."""
_SHORT = 60
"""Characters of a command or path that a name shows."""


def display(workspace: Workspace, path: Path) -> str:
    """Write a resolved path relative to the session's folder; absolute when it lies elsewhere."""
    if path.is_relative_to(workspace.root):
        return path.relative_to(workspace.root).as_posix()
    return path.as_posix()


def kind(path: Path) -> Literal["file", "folder", "other", "missing"]:
    """Tell what is at a path; what cannot be looked at, such as a name too long, is missing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return "missing"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def missing(workspace: Workspace, path: Path) -> str:
    """Say that a path is not there, and which ones have a similar name."""
    shown = display(workspace, path)
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}…"
    if kind(workspace.root) != "folder":
        return f"the project folder {workspace.root} does not exist any more"
    near = ", ".join(display(workspace, found) for found in _near(workspace, path))
    return f"{shown} does not exist" + (f"; did you mean {near}?" if near else "")


def _near(workspace: Workspace, path: Path, *, limit: int = 3) -> list[Path]:
    """Look in the folder for similar names, then below the root for the same name."""
    if not workspace.contains(path):
        return []
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        names = []
    if near := difflib.get_close_matches(path.name, names, limit):
        return [path.parent / name for name in near]
    from punie.agent.tools.walk import walk_files

    return [file for file in walk_files(workspace.root, budget=2.0) if file.name == path.name][
        :limit
    ]


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: `1 file`, `2 files`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-2] + 'ches' if noun.endswith('ch') else noun + 's'}"


def short(text: str) -> str:
    """Leave out the middle: a path ends in its file, and a command may end in what matters most."""
    line = " ".join(text.split())
    if len(line) <= _SHORT:
        return line
    half = _SHORT // 2
    return f"{line[:half]}…{line[half + 1 - _SHORT :]}"
