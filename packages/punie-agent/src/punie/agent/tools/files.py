"""Looking at files: `read_file` and `list_files`.

Large files and folders are read from this disk, a part at a time; everything else through the
workspace, which may know a newer text than the disk.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, kind, missing, plural
from punie.agent.tools.replace import split_lines
from punie.agent.tools.results import Result
from punie.agent.tools.walk import list_folder, walk_files
from punie.agent.workspaces.base import Workspace

MAX_LINES = 2_000
MAX_CHARACTERS = 100_000
WHOLE_SIZE = 2_000_000
"""Bytes up to which a file is read whole, through the workspace."""
MAX_ENTRIES = 200
WALK_BUDGET = 20.0
"""Seconds after which listing stops."""


class ReadFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `read_file`."""

    path: str
    line: int = 0
    """First line, 1-based; 0 starts at the top."""
    limit: int = 0
    """Lines; 0 reads to the end."""


class ReadResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """A text, or a part of it."""

    path: str
    first: int = 0
    last: int = 0
    """Line numbers of what was read, 1-based; both 0 for an empty file."""
    lines: int = 0
    """Lines of the whole file; 0 when it is too large to count them."""
    size: int = 0
    """Bytes of the file on disk; 0 when it is not there."""
    text: str = ""
    cut: bool = False
    """More was asked for than fits."""

    def headline(self) -> str:
        """Such as `src/x.py, 42 lines` or `src/x.py, lines 10-30 of 120`."""
        if self.error:
            return self.error
        span = f"lines {self.first}-{self.last}"
        if not self.lines and self.first:
            return f"{self.path}, {span}, file of {self.size / 1e6:.1f} MB"
        if (self.first, self.last) in {(1, self.lines), (0, 0)}:
            return f"{self.path}, {plural(self.lines, 'line')}"
        return f"{self.path}, {span} of {self.lines}"

    def details(self) -> str:
        """The text, as it is."""
        return self.text


async def read_file(call: Call, args: ReadFile) -> ReadResult:
    """Read a text file or some lines of it."""
    path = call.workspace.resolve(args.path)
    shown = display(call.workspace, path)
    size, line = 0, max(1, args.line)
    try:
        size, start = await asyncio.to_thread(_look, path)
        if size < 0:
            error = f"{shown} is a folder: use list_files"
            return ReadResult(ok=False, path=shown, error=error)
        _refuse_binary(start)
        part = await _read_part(call.workspace, path, size, line, max(0, args.limit))
    except FileNotFoundError:
        error = await asyncio.to_thread(missing, call.workspace, path)
    except UnicodeDecodeError:
        error = f"{shown} is not a text file ({size:,} bytes)"
    except OSError as problem:
        error = f"{shown} cannot be read: {problem.strerror or problem}"
    else:
        if part.first or line == 1:
            return ReadResult(ok=True, path=shown, size=size, **part._asdict())
        count = f"only {plural(part.lines, 'line')}" if part.lines else f"no line {line}"
        error = f"{shown} has {count}"
    return ReadResult(ok=False, path=shown, size=max(0, size), error=error)


def _look(path: Path) -> tuple[int, bytes]:
    """Tell a file's size in bytes, 0 when it is not on this disk and -1 for a folder; and how it begins."""
    match kind(path):
        case "folder":
            return -1, b""
        case "file" if size := path.stat().st_size:
            with path.open("rb") as file:
                return size, file.read(8192)
        case _:
            return 0, b""


class _Part(NamedTuple):
    """The fields of `ReadResult` that come from the text."""

    text: str
    first: int
    last: int
    lines: int
    cut: bool


async def _read_part(workspace: Workspace, path: Path, size: int, line: int, limit: int) -> _Part:
    if size > WHOLE_SIZE:
        return await asyncio.to_thread(_read_large, path, line, limit)
    lines = split_lines(await workspace.read_text(path))
    return _take(lines[line - 1 :], line, limit, len(lines))


def _take(lines: list[str], line: int, limit: int, total: int) -> _Part:
    """Keep what was asked for and fits."""
    wanted = lines[:limit] if limit else lines
    kept: list[str] = []
    room = MAX_CHARACTERS
    for text in wanted[:MAX_LINES]:
        kept.append(text[:room])
        room -= len(text)
        if room <= 0:
            break
    cut = room < 0 or len(kept) < len(wanted)
    last = line + len(kept) - 1 if kept else 0
    return _Part("".join(kept), line if kept else 0, last, total, cut)


def _refuse_binary(start: bytes) -> None:
    if b"\0" in start:
        raise UnicodeDecodeError("utf-8", start, start.index(0), start.index(0) + 1, "null byte")


def _read_large(path: Path, line: int, limit: int) -> _Part:
    """Read no further than the last line that is wanted."""
    with path.open(encoding="utf-8", newline="\n") as file:
        if not all(_read_line(file) for _ in range(line - 1)):
            return _Part("", 0, 0, 0, cut=False)
        count = min(limit or MAX_LINES, MAX_LINES)
        lines = [text for text in (_read_line(file) for _ in range(count)) if text]
    return _take(lines, line, limit, 0)


def _read_line(file: TextIO) -> str:
    """Read one line but keep only its start: it may be the whole file."""
    line = file.readline(MAX_CHARACTERS)
    rest = line
    while rest and not rest.endswith("\n"):
        rest = file.readline(MAX_CHARACTERS)
    return line


class ListFiles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `list_files`."""

    path: str = "."
    glob: str = ""
    """Such as `*.py`: searches below the folder; empty lists the folder itself."""


class ListResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """Names in a folder, or files below it that match."""

    path: str
    glob: str = ""
    files: int = 0
    folders: int = 0
    entries: tuple[str, ...] = ()
    """Relative to the root, folders with a final slash; at most `MAX_ENTRIES`."""

    def headline(self) -> str:
        """Such as `12 files, 3 folders in src` or `5 files match *.py in src`."""
        if self.error:
            return self.error
        if self.glob:
            verb = "matches" if self.files == 1 else "match"
            return f"{plural(self.files, 'file')} {verb} {self.glob} in {self.path}"
        return f"{plural(self.files, 'file')}, {plural(self.folders, 'folder')} in {self.path}"

    def details(self) -> str:
        """One name a line."""
        rest = self.files + self.folders - len(self.entries)
        more = [f"({rest} more: ask for a smaller part)"] if rest > 0 else []
        return "\n".join([*self.entries, *more])


async def list_files(call: Call, args: ListFiles) -> ListResult:
    """List a folder, or the files below it that match a glob, without ignored ones."""
    path = call.workspace.resolve(args.path)
    return await asyncio.to_thread(_list, call.workspace, path, args.glob)


def _list(workspace: Workspace, path: Path, glob: str) -> ListResult:
    shown = display(workspace, path)
    what = kind(path)
    if what == "missing":
        error = missing(workspace, path)
    elif what != "folder":
        error = f"{shown} is a file: use read_file"
    else:
        try:
            return (_list_matches if glob else _list_one)(workspace, path, glob)
        except OSError as problem:
            error = f"{shown} cannot be listed: {problem.strerror or problem}"
        except ValueError as problem:
            error = f"{glob} is not a usable glob: {problem}"
    return ListResult(ok=False, path=shown, glob=glob, error=error)


def _list_one(workspace: Workspace, path: Path, glob: str) -> ListResult:
    files, folders = list_folder(path)
    names = [f"{display(workspace, path / name)}/" for name in folders]
    names += [display(workspace, path / name) for name in files]
    return ListResult(
        ok=True,
        path=display(workspace, path),
        glob=glob,
        files=len(files),
        folders=len(folders),
        entries=tuple(names[:MAX_ENTRIES]),
    )


def _list_matches(workspace: Workspace, path: Path, glob: str) -> ListResult:
    from pathspec import GitIgnoreSpec

    spec = GitIgnoreSpec.from_lines([glob])
    found = [
        file
        for file in walk_files(path, budget=WALK_BUDGET)
        if spec.match_file(file.relative_to(path).as_posix())
    ]
    return ListResult(
        ok=True,
        path=display(workspace, path),
        glob=glob,
        files=len(found),
        entries=tuple(display(workspace, file) for file in islice(found, MAX_ENTRIES)),
    )
