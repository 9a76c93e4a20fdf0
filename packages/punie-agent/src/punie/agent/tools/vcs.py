"""Looking at the git repository: `git_status` and `git_diff`.

A repository can name programs for git to run: hooks, filters, pagers, diff drivers, a file monitor, and
how to reach a remote that has objects which are missing here. All of them are switched off, and the
index is not written.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, plural
from punie.agent.tools.programs import locate, stopped, unexplained
from punie.agent.tools.results import Result
from punie.agent.workspaces.base import ProcessResult, ProgramMissingError, Workspace

TIMEOUT = 30.0
"""Seconds."""
MAX_ENTRIES = 200
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""What a repository without a commit is compared with."""

_ENV = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # the same for git before 2.45; a list of names, none of which exists
    "LC_ALL": "C.UTF-8",
}
_SAFE = ("-c", "core.fsmonitor=", "-c", "core.pager=cat", "-c", "core.quotepath=off")


class GitStatus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`git_status` takes no arguments."""


class GitDiff(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `git_diff`."""

    path: str = "."


class StatusEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One path that is not as in the last commit."""

    path: str
    """Relative to the root."""
    staged: str = ""
    """git's letter for the index: `M`, `A`, `D`, `R`, `C`, `T`, `U`; empty when unchanged."""
    unstaged: str = ""
    """git's letter for the working tree; `?` when untracked."""


class StatusResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The state of the working tree below the root."""

    branch: str = ""
    """`(detached)` when no branch is checked out."""
    modified: int = 0
    """Tracked paths with changes that are not staged."""
    untracked: int = 0
    staged: int = 0
    conflicts: int = 0
    ahead: int = 0
    behind: int = 0
    entries: tuple[StatusEntry, ...] = ()
    """The first `MAX_ENTRIES`."""

    def headline(self) -> str:
        """Such as `branch main, 2 modified, 1 untracked, 0 staged`."""
        if self.error:
            return self.error
        more = f", {plural(self.conflicts, 'conflict')}" if self.conflicts else ""
        more += f", {self.ahead} ahead" if self.ahead else ""
        more += f", {self.behind} behind" if self.behind else ""
        return (
            f"branch {self.branch}, {self.modified} modified, {self.untracked} untracked, "
            f"{self.staged} staged{more}"
        )

    def details(self) -> str:
        """One path a line, with git's two letters."""
        lines = [
            f"{entry.staged or ' '}{entry.unstaged or ' '} {entry.path}" for entry in self.entries
        ]
        return "\n".join(lines)


class DiffResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What changed in tracked files since the last commit, staged or not."""

    path: str
    files: int = 0
    insertions: int = 0
    deletions: int = 0
    diff: str = ""

    def headline(self) -> str:
        """Such as `2 files changed, 10 insertions, 3 deletions`."""
        if self.error:
            return self.error
        if not self.files:
            return "no changes"
        return (
            f"{plural(self.files, 'file')} changed, {plural(self.insertions, 'insertion')}, "
            f"{plural(self.deletions, 'deletion')}"
        )

    def details(self) -> str:
        """The unified diff."""
        return self.diff


class GitError(Exception):
    """git could not say; the message is for the person."""


async def git_status(call: Call, args: GitStatus) -> StatusResult:
    """Count and list what differs from the last commit."""
    try:
        prefix, safe = await open_repository(call.workspace)
        options = ["--porcelain=v2", "--branch", "-z", "--untracked-files=all"]
        result = await run_git(
            call.workspace, *safe, "status", *options, "--ignore-submodules=dirty", "--", "."
        )
        return _read_status(result.stdout, prefix)
    except GitError as error:
        return StatusResult(ok=False, error=str(error))


async def git_diff(call: Call, args: GitDiff) -> DiffResult:
    """Show what changed in tracked files since the last commit."""
    target = await locate(call, args.path)
    if target.error and not call.workspace.contains(target.path):
        return DiffResult(ok=False, path=target.shown, error=target.error)
    shown = display(call.workspace, target.path)
    try:
        _, safe = await open_repository(call.workspace)
        head = await call.workspace.run(
            ["git", *_SAFE, "rev-parse", "--verify", "--quiet", "HEAD"], env=_ENV, timeout=TIMEOUT
        )
        options = ["--no-ext-diff", "--no-textconv", "--no-color", "--relative"]
        options += ["--ignore-submodules=dirty", "HEAD" if head.exit_code == 0 else EMPTY_TREE]
        where = ["--", f":(literal){shown}"] if shown != "." else ["--", "."]
        counts = await run_git(call.workspace, *safe, "diff", "--numstat", "-z", *options, *where)
        diff = await run_git(call.workspace, *safe, "diff", *options, *where)
        files, insertions, deletions = _sum(counts.stdout)
    except GitError as error:
        return DiffResult(ok=False, path=shown, error=str(error))
    if target.error and not files:
        return DiffResult(ok=False, path=shown, error=target.error)
    return DiffResult(
        ok=True,
        path=shown,
        files=files,
        insertions=insertions,
        deletions=deletions,
        diff=diff.stdout,
    )


async def open_repository(workspace: Workspace) -> tuple[str, list[str]]:
    """Find the root's place in its repository and the filters to switch off.

    Returns:
        The root's path inside the repository, with a final slash unless it is the top, and
        git options.

    Raises:
        GitError: There is no repository, or no git.
    """
    prefix = await run_git(workspace, *_SAFE, "rev-parse", "--show-prefix")
    listed = await workspace.run(
        ["git", "config", "--show-scope", "--name-only", "-z", "--get-regexp", r"^filter\."],
        env=_ENV,
        timeout=TIMEOUT,
    )
    return prefix.stdout.removesuffix("\n"), [*_SAFE, *_without_filters(listed.stdout)]


def _without_filters(listed: str) -> Iterable[str]:
    """Switch off filters that the repository itself names; the person's own stay."""
    fields = listed.split("\0")
    for scope, name in zip(fields[::2], fields[1::2], strict=False):
        if scope in {"local", "worktree"}:
            off = "false" if name.endswith(".required") else ""
            yield from ("-c", f"{name}={off}")


async def run_git(workspace: Workspace, *argv: str) -> ProcessResult:
    """Run git.

    Raises:
        GitError: It is missing, or failed.
    """
    try:
        result = await workspace.run(["git", *argv], env=_ENV, timeout=TIMEOUT)
    except ProgramMissingError:
        raise GitError("git is not installed") from None
    if error := stopped("git", result, TIMEOUT):
        raise GitError(error)
    if result.exit_code:
        if "not a git repository" in result.stderr:
            raise GitError("the project is not a git repository: git init makes it one")
        raise GitError(unexplained("git", result))
    return result


def _read_status(text: str, prefix: str) -> StatusResult:
    """Read porcelain version 2 with null bytes.

    Source:
        https://git-scm.com/docs/git-status#_porcelain_format_version_2
    """
    headers: dict[str, str] = {}
    entries: list[StatusEntry] = []
    records = iter(text.split("\0"))
    for record in records:
        kind, _, rest = record.partition(" ")
        if kind == "#":
            key, _, value = rest.partition(" ")
            headers[key] = value
        elif kind == "?":
            entries.append(StatusEntry(path=rest.removeprefix(prefix), unstaged="?"))
        elif kind in {"1", "2", "u"}:
            # Fields before the path: see the source; a rename is followed by its old path.
            count = {"1": 7, "2": 8, "u": 9}[kind]
            fields = rest.split(" ", count)
            if len(fields) <= count:
                raise _not_understood(record)
            entries.append(_entry(fields[0], fields[-1].removeprefix(prefix)))
            if kind == "2":
                next(records, None)
        elif record:
            raise _not_understood(record)
    if "branch.head" not in headers:
        raise _not_understood("it names no branch")
    try:
        return _status_result(headers, entries)
    except ValueError as error:
        raise _not_understood(str(error)) from error


def _not_understood(what: str) -> GitError:
    return GitError(f"the output of git status cannot be read: {what[:100]}")


def _entry(letters: str, path: str) -> StatusEntry:
    staged, unstaged = (letter.replace(".", "") for letter in letters)
    return StatusEntry(path=path, staged=staged, unstaged=unstaged)


def _status_result(headers: dict[str, str], entries: list[StatusEntry]) -> StatusResult:
    ahead, behind = headers.get("branch.ab", "+0 -0").split(" ")
    conflicts = [entry for entry in entries if _in_conflict(entry)]
    settled = [entry for entry in entries if not _in_conflict(entry)]
    return StatusResult(
        ok=True,
        branch=headers["branch.head"],
        modified=sum(entry.unstaged not in {"", "?"} for entry in settled),
        untracked=sum(entry.unstaged == "?" for entry in settled),
        staged=sum(bool(entry.staged) for entry in settled),
        conflicts=len(conflicts),
        ahead=int(ahead),
        behind=-int(behind),
        entries=tuple(entries[:MAX_ENTRIES]),
    )


def _in_conflict(entry: StatusEntry) -> bool:
    letters = entry.staged + entry.unstaged
    return "U" in letters or letters in {"AA", "DD"}


def _sum(numstat: str) -> tuple[int, int, int]:
    """Add up `added TAB deleted TAB path` records; binary files count `-` lines."""
    files = insertions = deletions = 0
    records = iter(numstat.split("\0"))
    for record in records:
        if not record.strip("\n"):
            continue
        fields = record.split("\t")
        if len(fields) < 3:
            raise GitError(f"the output of git diff cannot be read: {record[:100]}")
        files += 1
        insertions += int(fields[0]) if fields[0].isdigit() else 0
        deletions += int(fields[1]) if fields[1].isdigit() else 0
        if not fields[2]:  # a rename: both of its paths follow
            next(records, None)
            next(records, None)
    return files, insertions, deletions
