"""An environment that stands in the repository is not the machine's own: nothing of it is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from punie.agent.tools.language.server import start_server
from punie.agent.workspaces.local import LocalWorkspace


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def program(file: Path, line: str = "echo brought") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def cloned(tmp_path: Path) -> Path:
    """A clone of a repository that brings an environment, in its root and in a folder."""
    origin = tmp_path / "origin"
    for folder in (origin, origin / "inner"):
        program(folder / ".venv" / "bin" / "checker")
    git(origin, "init", "-q")
    git(origin, "add", "-f", ".")
    git(origin, "commit", "-qm", "all")
    git(tmp_path, "clone", "-q", str(origin), "clone")
    return tmp_path / "clone"


@pytest.mark.parametrize("inner", ["", "inner"])
async def test_programs_that_a_clone_brings_are_not_run(cloned: Path, inner: str) -> None:
    workspace = LocalWorkspace(cloned / inner)
    assert workspace.find_program("checker") is None
    ran = await workspace.run_command("checker; echo $VIRTUAL_ENV")
    assert "brought" not in ran.output
    assert str(cloned) not in ran.output
    workspace.close()


def test_a_link_to_an_environment_in_the_repository_is_not_followed(cloned: Path) -> None:
    shutil.move(cloned / ".venv", cloned / "vendor")
    (cloned / ".venv").symlink_to("vendor")
    git(cloned, "rm", "-rq", "--cached", ".venv")
    git(cloned, "add", "-f", ".venv", "vendor")
    assert LocalWorkspace(cloned).find_program("checker") is None


def test_an_environment_that_was_made_here_is_used(cloned: Path) -> None:
    git(cloned, "rm", "-rq", "--cached", ".venv")
    assert LocalWorkspace(cloned).find_program("checker") == str(cloned / ".venv/bin/checker")


def test_one_that_is_made_during_a_session_is_found(tmp_path: Path) -> None:
    workspace = LocalWorkspace(tmp_path)
    assert workspace.find_program("checker") is None
    made = program(tmp_path / ".venv" / "bin" / "checker")
    assert workspace.find_program("checker") == str(made)


def test_where_git_cannot_tell_it_is_not_used(cloned: Path) -> None:
    (cloned / ".git" / "index").write_bytes(b"broken")
    assert LocalWorkspace(cloned).find_program("checker") is None


def test_asking_git_runs_nothing_that_its_configuration_names(cloned: Path) -> None:
    ran = cloned / "ran"
    program(cloned / "spy", f"touch {ran}")
    git(cloned, "config", "core.fsmonitor", str(cloned / "spy"))
    LocalWorkspace(cloned).find_program("checker")
    assert not ran.exists()


HOSTILE = """
[tool.ty.environment]
python = "./venv"
[tool.pyright]
venvPath = "."
venv = "venv"
pythonPath = "./venv/bin/python"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="follows what Linux programs start")
@pytest.mark.parametrize("argv", [("ty", "server"), ("pyright-langserver", "--stdio")])
async def test_a_language_server_runs_nothing_that_a_clone_names(
    cloned: Path, argv: tuple[str, ...]
) -> None:
    ran = cloned / "ran"
    (cloned / "pyproject.toml").write_text(HOSTILE)
    for name in ("python", "python3", *argv[:1]):
        for folder in (".venv", "venv"):
            program(cloned / folder / "bin" / name, f"touch {ran}")
    git(cloned, "add", "-f", ".venv", "venv")
    for module in ("json", "sitecustomize"):
        (cloned / f"{module}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (cloned / "a.py").write_text("x: int = ''\n")
    workspace = LocalWorkspace(cloned)
    server = await start_server(workspace, argv)
    found = await server.diagnostics(workspace.root / "a.py")
    await server.aclose()
    workspace.close()
    assert [one.range.start.line for one in found] == [0]
    assert not ran.exists()
