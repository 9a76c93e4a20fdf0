"""Looking at a repository's past: `git_log` and `git_blame`.

Nothing that the repository names is run; see `tools.vcs`.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, kind, plural
from punie.agent.tools.programs import locate
from punie.agent.tools.results import Result
from punie.agent.tools.vcs import GitError, open_repository, run_git

MAX_COMMITS = 100
MAX_LINES = 200
_FORMAT = "%h%x1f%ad%x1f%an%x1f%s"


class GitLog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `git_log`."""

    path: str = "."
    limit: int = 20


class GitBlame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `git_blame`."""

    path: str
    line: int = 1
    limit: int = 20


class Commit(Struct, frozen=True, kw_only=True):
    """One commit."""

    id: str
    """Abbreviated."""
    date: str
    """Such as `2026-11-24`."""
    author: str
    subject: str


class LogResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The newest commits that touched a path."""

    path: str
    commits: tuple[Commit, ...] = ()

    def headline(self) -> str:
        """Such as `3 commits`."""
        return self.error or (plural(len(self.commits), "commit") if self.commits else "no commits")

    def details(self) -> str:
        """One commit a line."""
        return "\n".join(f"{one.id} {one.date} {one.author}: {one.subject}" for one in self.commits)


class BlamedLine(Struct, frozen=True, kw_only=True):
    """A line, and the commit that wrote it last."""

    line: int
    id: str
    """Abbreviated; `not committed` for a line that is not."""
    author: str
    subject: str
    text: str


class BlameResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """Who wrote lines of a file last, and in which commit."""

    path: str
    lines: tuple[BlamedLine, ...] = ()

    def headline(self) -> str:
        """Such as `src/x.py, lines 10-29`."""
        if self.error or not self.lines:
            return self.error or "no lines"
        return f"{self.path}, lines {self.lines[0].line}-{self.lines[-1].line}"

    def details(self) -> str:
        """One line a line, with commit, author and subject."""
        return "\n".join(
            f"{one.line}: {one.id} {one.author}, {one.subject[:60]}: {one.text}"
            for one in self.lines
        )


async def git_log(call: Call, args: GitLog) -> LogResult:
    """List the newest commits that touched a path; one that is gone has a past, too."""
    target = await locate(call, args.path)
    shown = display(call.workspace, target.path)
    if not call.workspace.contains(target.path):
        return LogResult(ok=False, path=shown, error=f"{shown} is outside the project")
    count = max(1, min(args.limit, MAX_COMMITS))
    where = [f":(literal){shown}"] if shown != "." else ["."]
    options = ["--no-show-signature", "--no-color", "--date=short", f"--format={_FORMAT}", "-z"]
    try:
        _, safe = await open_repository(call.workspace)
        result = await run_git(
            call.workspace, *safe, "log", *options, f"--max-count={count}", "--", *where
        )
        records = [record for record in result.stdout.split("\0") if record.strip("\n")]
        commits = tuple(_commit(record) for record in records)
    except GitError as error:
        # A repository without a commit has no past; that is no failure.
        if "does not have any commits" in str(error):
            return LogResult(ok=True, path=shown)
        return LogResult(ok=False, path=shown, error=str(error))
    if target.error and not commits:
        return LogResult(ok=False, path=shown, error=target.error)
    return LogResult(ok=True, path=shown, commits=commits)


async def git_blame(call: Call, args: GitBlame) -> BlameResult:
    """Tell who wrote some lines of a file last."""
    target = await locate(call, args.path)
    error = target.error
    if not error and await asyncio.to_thread(kind, target.path) != "file":
        error = f"{target.shown} is not a file"
    if not error and not call.workspace.contains(target.path):
        error = f"{target.shown} is outside the project"
    if error:
        return BlameResult(ok=False, path=target.shown, error=error)
    first, count = max(1, args.line), max(1, min(args.limit, MAX_LINES))
    try:
        _, safe = await open_repository(call.workspace)
        where = ["-L", f"{first},+{count}", "--", target.shown]
        result = await run_git(
            call.workspace, *safe, "blame", "--no-textconv", "--line-porcelain", *where
        )
        return BlameResult(ok=True, path=target.shown, lines=tuple(_blamed(result.stdout)))
    except GitError as problem:
        return BlameResult(ok=False, path=target.shown, error=str(problem))


def _commit(record: str) -> Commit:
    fields = record.strip("\n").split("\x1f")
    if len(fields) != 4:
        raise GitError(f"the output of git log cannot be read: {record[:100]}")
    return Commit(id=fields[0], date=fields[1], author=fields[2], subject=fields[3])


def _blamed(text: str) -> list[BlamedLine]:
    """Read blame's line porcelain: a header, fields, then the line after a tab.

    Source:
        https://git-scm.com/docs/git-blame#_the_porcelain_format
    """
    lines: list[BlamedLine] = []
    fields: dict[str, str] = {}
    for row in text.split("\n"):
        key, _, value = row.partition(" ")
        if row.startswith("\t"):
            if "final" not in fields:
                raise GitError(f"the output of git blame cannot be read: {row[:100]}")
            new = not fields["id"].strip("0")
            lines.append(
                BlamedLine(
                    line=int(fields["final"]),
                    id="not committed" if new else fields["id"][:8],
                    author="you" if new else fields.get("author", ""),
                    subject="" if new else fields.get("summary", ""),
                    text=row[1:].rstrip("\r"),
                )
            )
            fields = {}
        elif "id" not in fields and len(key) in {40, 64}:
            numbers = value.split(" ")
            fields = {"id": key, "final": numbers[1] if len(numbers) > 1 else ""}
        else:
            fields[key] = value
    if text.strip() and not lines:
        raise GitError(f"the output of git blame cannot be read: {text[:100]}")
    return lines
