"""Programs of other makes. They come from npm: `.ci/run peers` installs them beside this file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PUNIE = [sys.executable, "-m", "punie", "acp", "--model", "test"]


@pytest.fixture(scope="session")
def node() -> str:
    """Node's program, when it is new enough and the peers are there in the versions asked for."""
    beside = Path(sys.executable).parent / "node"
    program = str(beside) if beside.exists() else shutil.which("node")
    if program is None:
        pytest.skip("Node is not here: `uv sync` brings it where there is a wheel, else install it")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if int(done.stdout.strip().lstrip("v").partition(".")[0]) < 22:
        pytest.skip(f"Node {done.stdout.strip()} is too old: acpx needs 22")
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    for name, version in wanted.items():
        found = HERE / "node_modules" / name / "package.json"
        if not found.exists() or json.loads(found.read_text("utf-8"))["version"] != version:
            pytest.skip(f"{name} {version} is not here: `.ci/run peers` installs it from npm")
    return program


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own for every program that a test starts."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for kind in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    return home


Typescript = Callable[..., dict[str, Any]]


@pytest.fixture
def typescript(node: str, own_home: Path) -> Typescript:
    """Run the client of the official TypeScript SDK by a script, to its end."""

    def run(
        version: str, target: list[str], steps: list[dict[str, Any]], **script: Any
    ) -> dict[str, Any]:
        text = json.dumps({"steps": steps} | script)
        done = subprocess.run(
            [node, str(HERE / "client.mjs"), version, text, *target],
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def punie() -> list[str]:
    """The real agent with the scripted model."""
    return PUNIE


@pytest.fixture
def typescript_server(node: str) -> Iterator[str]:
    """The URL of an agent of the official TypeScript SDK."""
    process = subprocess.Popen(
        [node, str(HERE / "server.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        yield f"ws://127.0.0.1:{process.stdout.readline().strip()}/acp"
        process.kill()


class Acpx:
    """Runs acpx with Punie as its agent, in a project."""

    def __init__(self, node: str, project: Path) -> None:
        program = HERE / "node_modules" / "acpx" / "dist" / "cli.js"
        self.argv = [node, str(program), "--agent", " ".join(PUNIE), "--ttl", "1"]
        self.project = project

    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self.argv, *args], cwd=self.project, capture_output=True, text=True, timeout=50
        )

    def begin(self, *args: str) -> subprocess.Popen[str]:
        """Start a command whose output is read as it comes."""
        argv = [*self.argv, "--format", "json", *args]
        return subprocess.Popen(argv, cwd=self.project, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def acpx(node: str, own_home: Path, project: Path) -> Acpx:
    return Acpx(node, project)
