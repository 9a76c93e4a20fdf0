"""Walking a folder as git sees it: ignored files are left out.

Used where ripgrep is missing, and to list a folder. The rules of every `.gitignore` from the
repository's top down are honoured; git's global excludes are not. Reads this disk: the Agent Client
Protocol has no request for listing a folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

ALWAYS_SKIPPED = frozenset({".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules"})
"""Folders that hold no work of the person, whatever `.gitignore` says."""


class _Rules(NamedTuple):
    folder: str
    spec: GitIgnoreSpec


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """List one folder.

    Returns:
        Names of its files and of its folders, sorted, without ignored ones.

    Raises:
        OSError: It cannot be read.
    """
    rules = _rules_above(folder)
    files, folders = _entries(str(folder), rules)
    return sorted(entry.name for entry in files), sorted(entry.name for entry in folders)


def walk_files(folder: Path, *, budget: float | None = None) -> Iterator[Path]:
    """Walk the files below a folder in a fixed order, without ignored ones; links are not followed.

    Args:
        folder: Where to start, absolute.
        budget: Seconds after which to stop.
    """
    end = None if budget is None else time.monotonic() + budget
    stack = [(str(folder), _rules_above(folder))]
    while stack and (end is None or time.monotonic() < end):
        here, rules = stack.pop()
        try:
            files, folders = _entries(here, rules)
        except OSError:
            continue  # A folder that may not be read is not listed, as ripgrep and git do.
        yield from (Path(entry.path) for entry in sorted(files, key=lambda entry: entry.name))
        folders.sort(key=lambda entry: entry.name, reverse=True)
        stack.extend((entry.path, _with_own(entry.path, rules)) for entry in folders)


def _entries(
    here: str, rules: list[_Rules]
) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    files: list[os.DirEntry[str]] = []
    folders: list[os.DirEntry[str]] = []
    with os.scandir(here) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and entry.name in ALWAYS_SKIPPED:
                continue
            if not _ignored(entry.path, is_folder, rules):
                (folders if is_folder else files).append(entry)
    return files, folders


def _ignored(path: str, is_folder: bool, rules: list[_Rules]) -> bool:
    """Ask the deepest rules first: the last word is theirs."""
    for folder, spec in reversed(rules):
        relative = os.path.relpath(path, folder).replace(os.sep, "/")
        include = spec.check_file(relative + "/" if is_folder else relative).include
        if include is not None:
            return include
    return False


def _rules_above(folder: Path) -> list[_Rules]:
    chain = [folder, *folder.parents]
    top = next((i for i, here in enumerate(chain) if (here / ".git").exists()), 0)
    rules: list[_Rules] = []
    for here in reversed(chain[: top + 1]):
        rules = _with_own(str(here), rules)
    return rules


def _with_own(folder: str, rules: list[_Rules]) -> list[_Rules]:
    from pathspec import GitIgnoreSpec

    try:
        text = Path(folder, ".gitignore").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return rules
    return [*rules, _Rules(folder, GitIgnoreSpec.from_lines(text.splitlines()))]
