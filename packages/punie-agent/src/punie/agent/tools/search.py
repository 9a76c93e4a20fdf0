"""Finding a text in the project: `search`, by ripgrep, or by a walk in Python where it is missing.

The query is a fixed string; it ignores case unless it holds a capital. Ignored files are left out.
"""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, plural
from punie.agent.tools.programs import locate
from punie.agent.tools.results import Result
from punie.agent.tools.walk import ALWAYS_SKIPPED, walk_files
from punie.agent.workspaces.base import ProcessResult, ProgramMissingError, Workspace

TIMEOUT = 30.0
"""Seconds."""
MAX_HITS = 100
MAX_TEXT = 200
"""Characters of a line."""
MAX_SIZE = 20_000_000
"""Bytes of a file that the walk in Python still searches."""


class Search(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `search`."""

    query: str
    path: str = "."


class Hit(Struct, frozen=True, kw_only=True):
    """One line that holds the query."""

    path: str
    line: int
    text: str


class SearchResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """Lines that hold the query."""

    query: str
    matches: int = 0
    """Matching lines."""
    files: int = 0
    hits: tuple[Hit, ...] = ()
    """The first `MAX_HITS`, by path and line."""
    more: bool = False
    """The search stopped early: there are more matches than counted."""

    def headline(self) -> str:
        """Such as `7 matches in 3 files`."""
        if self.error:
            return self.error
        if not self.matches:
            return "no matches"
        least = "at least " if self.more else ""
        return f"{least}{plural(self.matches, 'match')} in {plural(self.files, 'file')}"

    def details(self) -> str:
        """One `path:line: text` a line."""
        lines = [f"{hit.path}:{hit.line}: {hit.text}" for hit in self.hits]
        if self.matches > len(self.hits):
            lines.append(f"({self.matches - len(self.hits)} more: search a smaller part)")
        return "\n".join(lines)


async def search(call: Call, args: Search) -> SearchResult:
    """Find the lines that hold a text."""
    target = await locate(call, args.path)
    args = Search(query=args.query.encode("utf-8", "replace").decode("utf-8"), path=args.path)
    error = target.error
    if not args.query.strip():
        error = "the query is empty"
    elif "\n" in args.query or "\r" in args.query or "\0" in args.query:
        error = "the query must be one line"
    if error:
        return SearchResult(ok=False, query=args.query, error=error)
    try:
        result = await call.workspace.run(_ripgrep(args.query, target.path), timeout=TIMEOUT)
    except ProgramMissingError:
        return await asyncio.to_thread(_walk, call.workspace, args.query, target.path)
    return _parse(call.workspace, args.query, result)


def _ripgrep(query: str, path: Path) -> list[str]:
    options = ["--json", "--fixed-strings", "--smart-case", "--no-config", "--hidden"]
    options += ["--no-require-git", "--no-ignore-dot", "--no-ignore-global", "--sort", "path"]
    skipped = [f"--glob=!**/{name}" for name in sorted(ALWAYS_SKIPPED)]
    return ["rg", *options, *skipped, "--", query, str(path)]


def _parse(workspace: Workspace, query: str, result: ProcessResult) -> SearchResult:
    found = _Found(query)
    try:
        for line in result.stdout.split("\n"):
            if line.startswith('{"type":"match"'):
                data = msgspec.json.decode(line)["data"]
                path = display(workspace, Path(_text(data["path"])))
                found.add(path, data["line_number"] or 0, _text(data["lines"]))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        # The last line may be cut in two when there was too much output.
        if not result.truncated:
            return found.result(error=f"the output of rg cannot be read: {error}")
    if result.timed_out:
        return found.result(error=f"search did not end within {TIMEOUT:g} s: name a smaller path")
    if result.exit_code not in {0, 1}:
        why = next(iter(result.stderr.strip().splitlines()), f"exit code {result.exit_code}")
        return found.result(error=f"rg could not search everything: {why}")
    return found.result(more=result.truncated)


def _text(field: dict[str, Any]) -> str:
    """Read ripgrep's text, which is base64 where it is not UTF-8."""
    if "text" in field:
        return str(field["text"])
    return base64.b64decode(field["bytes"]).decode("utf-8", "replace")


def _walk(workspace: Workspace, query: str, path: Path) -> SearchResult:
    found = _Found(query)
    fold = query == query.lower()
    wanted = query.lower() if fold else query
    end = time.monotonic() + TIMEOUT
    for file in [path] if path.is_file() else walk_files(path):
        if time.monotonic() > end:
            return found.result(more=True)
        shown = display(workspace, file)
        for number, line in enumerate(_lines(file), 1):
            if wanted in (line.lower() if fold else line):
                found.add(shown, number, line)
    return found.result()


def _lines(file: Path) -> list[str]:
    try:
        if not file.is_file() or file.is_symlink() or file.stat().st_size > MAX_SIZE:
            return []
        data = file.read_bytes()
    except OSError:
        return []  # As ripgrep does for one file among many.
    if b"\0" in data:
        return []
    return data.decode("utf-8", "replace").split("\n")


class _Found:
    """Counts every match and keeps the first ones."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._paths: set[str] = set()
        self._hits: list[Hit] = []
        self._matches = 0

    def add(self, path: str, line: int, text: str) -> None:
        self._matches += 1
        self._paths.add(path)
        if len(self._hits) < MAX_HITS:
            self._hits.append(Hit(path=path, line=line, text=text.strip()[:MAX_TEXT]))

    def result(self, *, error: str = "", more: bool = False) -> SearchResult:
        return SearchResult(
            ok=not error,
            error=error,
            query=self._query,
            matches=self._matches,
            files=len(self._paths),
            hits=tuple(self._hits),
            more=more,
        )
