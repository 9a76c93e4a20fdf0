"""git_status and git_diff, with the real git."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.results import render
from punie.agent.tools.vcs import GitDiff, GitStatus, StatusEntry, git_diff, git_status
from punie.agent.workspaces.local import LocalWorkspace


@pytest.fixture
def repository(root: Path, git, write) -> Path:
    """A repository with one commit on `main`."""
    git("init", "--initial-branch", "main")
    write("a.py", "one\ntwo\n")
    write("b ü.py", "one\n")
    git("add", ".")
    git("commit", "-m", "first")
    return root


async def test_a_clean_repository_has_only_a_branch(use, repository) -> None:
    result = await use("git_status")
    assert (result.ok, result.headline(), result.details()) == (
        True,
        "branch main, 0 modified, 0 untracked, 0 staged",
        "",
    )
    assert (await use("git_diff")).headline() == "no changes"


async def test_changes_are_counted_and_listed(use, repository, write, git) -> None:
    write("a.py", "one\n2\n")
    write("b ü.py", "1\n")
    write("new name.txt", "")
    write("staged.txt", "")
    git("add", "staged.txt")
    result = await use("git_status")
    assert result.headline() == "branch main, 2 modified, 1 untracked, 1 staged"
    assert result.details().splitlines() == [
        " M a.py",
        " M b ü.py",
        "A  staged.txt",
        " ? new name.txt",
    ]


async def test_a_rename_and_a_deletion_are_staged_changes(use, repository, git) -> None:
    git("mv", "a.py", "moved.py")
    git("rm", "b ü.py")
    result = await use("git_status")
    assert result.entries == (
        StatusEntry(path="b ü.py", staged="D"),
        StatusEntry(path="moved.py", staged="R"),
    )
    assert result.headline() == "branch main, 0 modified, 0 untracked, 2 staged"


async def test_a_conflict_is_counted_apart(use, repository, write, git) -> None:
    git("checkout", "-b", "other")
    write("a.py", "theirs\n")
    git("commit", "-am", "theirs")
    git("checkout", "main")
    write("a.py", "ours\n")
    git("commit", "-am", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git("merge", "other")
    result = await use("git_status")
    assert result.headline() == "branch main, 0 modified, 0 untracked, 0 staged, 1 conflict"


async def test_a_branch_ahead_of_its_upstream_says_so(use, repository, write, git) -> None:
    git("branch", "base")
    git("branch", "--set-upstream-to", "base")
    write("a.py", "x\n")
    git("commit", "-am", "second")
    assert (await use("git_status")).headline().endswith(", 0 staged, 1 ahead")


async def test_a_detached_head_and_a_first_branch_have_names(use, root, git, repository) -> None:
    git("checkout", "--detach")
    assert (await use("git_status")).branch == "(detached)"


async def test_a_repository_without_a_commit_is_compared_with_nothing(use, write, git) -> None:
    git("init", "--initial-branch", "main")
    write("a.py", "one\n")
    git("add", "a.py")
    assert (await use("git_status")).headline() == "branch main, 0 modified, 1 untracked, 1 staged"
    assert (await use("git_diff")).headline() == "1 file changed, 1 insertion, 0 deletions"


async def test_a_diff_counts_and_shows_staged_and_unstaged_changes(
    use, repository, write, git
) -> None:
    write("a.py", "one\n2\n3\n")
    git("add", "a.py")
    write("b ü.py", "1\n")
    result = await use("git_diff")
    assert result.headline() == "2 files changed, 3 insertions, 2 deletions"
    assert "+++ b/a.py\n" in result.diff
    assert "+++ b/b ü.py" in result.diff
    assert "\n-two\n+2\n+3\n" in result.details()


async def test_a_diff_of_one_path_shows_it_alone(use, repository, write) -> None:
    write("a.py", "x\n")
    write("b ü.py", "x\n")
    result = await use("git_diff", path="b ü.py")
    assert (result.headline(), "a.py" in result.diff) == (
        "1 file changed, 1 insertion, 1 deletion",
        False,
    )


async def test_a_deleted_file_has_a_diff(use, repository, root) -> None:
    (root / "a.py").unlink()
    result = await use("git_diff", path="a.py")
    assert (result.ok, result.headline()) == (True, "1 file changed, 0 insertions, 2 deletions")


async def test_binary_files_and_renames_are_counted(use, repository, write, git) -> None:
    write("x.bin", b"\x00\x01")
    git("add", ".")
    git("mv", "a.py", "moved.py")
    result = await use("git_diff")
    assert (result.ok, result.files) == (True, 2)


async def test_a_missing_path_is_an_error(use, repository) -> None:
    result = await use("git_diff", path="nowhere.py")
    assert (result.ok, result.error) == (False, "nowhere.py does not exist")


async def test_a_path_with_magic_characters_is_a_path(use, repository, write, git) -> None:
    write(":(top)x[1].py", "one\n")
    git("add", ".")
    result = await use("git_diff", path=":(top)x[1].py")
    assert (result.ok, result.files) == (True, 1)


async def test_a_folder_inside_a_repository_sees_only_itself(repository, write) -> None:
    write("sub/x.py", "")
    write("other.py", "")
    call = Call(LocalWorkspace(repository / "sub"))
    result = await git_status(call, GitStatus())
    assert (result.untracked, result.entries) == (1, (StatusEntry(path="x.py", unstaged="?"),))
    assert (await git_diff(call, GitDiff())).headline() == "no changes"


@pytest.mark.parametrize("name", ["git_status", "git_diff"])
async def test_outside_a_repository_it_says_what_to_do(use, name) -> None:
    result = await use(name)
    assert (result.ok, render(result)) == (
        False,
        "error: the project is not a git repository: git init makes it one",
    )


@pytest.mark.parametrize("name", ["git_status", "git_diff"])
async def test_git_missing_is_said(use_without_programs, name) -> None:
    result = await use_without_programs(name)
    assert (result.ok, result.error) == (False, "git is not installed")


async def test_a_deleted_project_is_said(use, root) -> None:
    (root / "pyproject.toml").unlink()
    root.rmdir()
    result = await use("git_status")
    assert (result.ok, result.error) == (
        False,
        f"git failed with exit code 126: the folder {root} does not exist",
    )


async def test_nothing_that_the_repository_names_is_run(use, repository, write, git) -> None:
    """Hooks, filters, file monitor, pager and diff programs would all leave a mark."""
    mark = repository.parent / "mark"
    program = write("evil.sh", f"#!/bin/sh\ntouch '{mark}'\ncat\n")
    program.chmod(0o755)
    write(".gitattributes", "* filter=evil diff=evil\n")
    run = f"'{program}'"
    for name in (
        "core.fsmonitor",
        "core.pager",
        "pager.diff",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
    ):
        git("config", name, run)
    git("config", "filter.evil.required", "true")
    hook = repository / ".git/hooks/post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    hook.chmod(0o755)
    write("a.py", "changed\n")
    index = (repository / ".git/index").read_bytes()
    status, diff = await use("git_status"), await use("git_diff")
    assert (status.modified, diff.files, "+changed" in diff.diff) == (1, 1, True)
    assert not mark.exists()
    assert (repository / ".git/index").read_bytes() == index


async def test_objects_that_are_missing_are_not_fetched(use, repository, write, git) -> None:
    """How a remote is reached is a program that the repository names."""
    mark = repository.parent / "mark"
    blob = hashlib.sha1(b"blob 8\0one\ntwo\n", usedforsecurity=False).hexdigest()
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for name, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://nowhere/x",
        "protocol.ssh.allow": "always",
        "core.sshCommand": f"touch '{mark}';",
    }.items():
        git("config", name, value)
    write("a.py", "changed\n")
    assert not (await use("git_diff")).ok
    assert not mark.exists()


@pytest.mark.parametrize(
    "output", ["x nonsense", "1 M.", "# branch.oid abc", "", "# branch.head x\\0# branch.ab one"]
)
async def test_output_that_is_not_understood_is_no_success(root, output) -> None:
    folder = root / "bin"
    folder.mkdir()
    (folder / "git").write_text(
        f"#!/bin/sh\ncase \"$*\" in *status*) printf '{output}\\0';; esac\n"
    )
    (folder / "git").chmod(0o755)
    result = await git_status(Call(LocalWorkspace(root, programs=[folder])), GitStatus())
    assert not result.ok
    assert result.error.startswith("the output of git status cannot be read")
