"""git_log and git_blame, with the real git."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def repository(root: Path, git: Any, write: Any) -> Path:
    """A repository with two commits, and one line that is not committed."""
    git("init", "--initial-branch", "main")
    write("a ü.py", "one\ntwo\n")
    git("add", ".")
    git("commit", "-m", "first: one and two")
    write("a ü.py", "one\n2\n")
    write("b.py", "b\n")
    git("add", ".")
    git("commit", "-m", "second")
    write("a ü.py", "one\n2\nthree\n")
    return root


async def test_the_newest_commits_come_first(use: Any, repository: Path) -> None:
    result = await use("git_log")
    assert result.headline() == "2 commits"
    assert [one.subject for one in result.commits] == ["second", "first: one and two"]
    assert [one.author for one in result.commits] == ["A", "A"]


async def test_a_path_has_its_own_past_and_a_limit(use: Any, repository: Path) -> None:
    assert [one.subject for one in (await use("git_log", path="b.py")).commits] == ["second"]
    assert len((await use("git_log", limit=1)).commits) == 1


async def test_a_file_that_is_gone_has_a_past(use: Any, repository: Path) -> None:
    (repository / "b.py").unlink()
    assert (await use("git_log", path="b.py")).headline() == "1 commit"


async def test_a_file_that_never_was_has_none(use: Any, repository: Path) -> None:
    result = await use("git_log", path="never.py")
    assert (result.ok, result.error) == (False, "never.py does not exist")


async def test_a_repository_without_a_commit_has_no_past(use: Any, root: Path, git: Any) -> None:
    git("init")
    result = await use("git_log")
    assert (result.ok, result.headline()) == (True, "no commits")


async def test_lines_are_blamed_on_the_commit_that_wrote_them(use: Any, repository: Path) -> None:
    result = await use("git_blame", path="a ü.py")
    assert result.headline() == "a ü.py, lines 1-3"
    assert [(one.line, one.subject, one.text) for one in result.lines] == [
        (1, "first: one and two", "one"),
        (2, "second", "2"),
        (3, "", "three"),
    ]
    assert result.lines[2].id == "not committed"
    assert len((await use("git_blame", path="a ü.py", line=2, limit=1)).lines) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"path": "never.py"}, "never.py does not exist"),
        ({"path": "."}, ". is not a file"),
        ({"path": "a ü.py", "line": 99}, "git failed with exit code 128: fatal: file "),
    ],
)
async def test_what_cannot_be_blamed_says_why(
    use: Any, repository: Path, arguments: dict[str, Any], error: str
) -> None:
    result = await use("git_blame", **arguments)
    assert not result.ok
    assert result.error.startswith(error)


async def test_what_the_repository_names_is_not_run(
    use: Any, repository: Path, git: Any, tmp_path: Path
) -> None:
    """A hook of the configuration must not run because somebody looked at the past."""
    trap = tmp_path / "trap"
    command = f"touch '{trap}'; cat"
    (repository / ".gitattributes").write_text("*.py diff=evil filter=evil\n")
    for key in ("diff.evil.textconv", "filter.evil.clean", "core.pager", "gpg.program"):
        git("config", key, command)
    git("config", "log.showSignature", "true")
    assert (await use("git_log")).ok
    assert (await use("git_blame", path="a ü.py")).ok
    assert not trap.exists()
