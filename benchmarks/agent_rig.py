"""How `benchmarks/agent.py` runs agents: their environments, a project to work in, and their stdio.

Each agent gets an environment of its own with what a person gets who installs it: Punie from this
workspace, without the dependencies of its development, and its peers from PyPI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 120.0
"""Seconds until a silent agent is killed."""
INSTALLING = 600.0
"""Seconds that installing may take."""


class Peer(NamedTuple):
    """Another agent."""

    distribution: str
    command: tuple[str, ...]
    python: str = ""
    """The version that it needs; this one by default."""


PEERS = {
    "agentao": Peer("agentao[cli]", ("agentao", "--acp", "--stdio")),
    # Its tools for files come with its shell (-x); the launcher fast-agent-acp 0.10.48 lacks its module.
    "fast-agent": Peer(
        "fast-agent-mcp", ("fast-agent", "acp", "--model", "generic.fake", "-x"), python="3.12"
    ),
}


class Program(NamedTuple):
    """How an agent is started."""

    command: tuple[str, ...]
    environ: dict[str, str]


def own(folder: Path, url: str, *, here: bool) -> Program:
    """Install Punie from this workspace, as a wheel with what `uv.lock` says, and nothing else.

    Args:
        folder: Where to.
        url: The model server.
        here: Take this environment as it is instead.

    Raises:
        RuntimeError: It does not install.
    """
    python = Path(sys.executable)
    if not here:
        place = folder / "punie"
        sync = ["uv", "sync", "-q", "--no-dev", "--no-editable", "--frozen", "--compile-bytecode"]
        environ = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(place)}
        _do([*sync, "--python", sys.executable], "punie", cwd=ROOT, env=environ)
        python = place / "bin" / "python"
    command = [str(python), "-X", "frozen_modules=on", "-m", "punie", "acp", "--no-attach"]
    return Program((*command, "--model", f"local:{url}/fake"), {})


def peer(name: str, folder: Path, url: str) -> Program:
    """Install another agent from PyPI.

    Args:
        name: One of `PEERS`.
        folder: Where to.
        url: The model server.

    Raises:
        RuntimeError: It does not install, or there is no Python for it.
    """
    distribution, command, version = PEERS[name]
    place = folder / name
    target = str(place / "bin" / "python")
    _do(["uv", "venv", "-q", "--python", _python(version), str(place)], name)
    install = ["uv", "pip", "install", "-q", "--compile-bytecode", "--python", target]
    _do([*install, distribution], name)
    keys = {f"{kind}_API_KEY": "none" for kind in ("OPENAI", "GENERIC")}
    urls = {f"{kind}_BASE_URL": url for kind in ("OPENAI", "GENERIC")}
    program = str(place / "bin" / command[0])
    return Program((program, *command[1:]), {**keys, **urls, "OPENAI_MODEL": "fake"})


def _python(version: str) -> str:
    """Find an interpreter of a version, such as one of pyenv's that is not switched on."""
    if not version:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python{version}")]
    for python in filter(None, found):
        if subprocess.run([python, "-V"], check=False, capture_output=True).returncode == 0:
            return str(python)
    raise RuntimeError(f"it needs Python {version}, which is not here")


def _do(command: list[str], name: str, **how: Any) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=INSTALLING, **how
    )
    if done.returncode:
        raise RuntimeError(f"{name} does not install here: {done.stderr.strip()}")


class AgentProcess:
    """An agent over stdio; allows everything that it asks for."""

    def __init__(self, command: Sequence[str], cwd: Path, environ: dict[str, str]) -> None:
        self.spawned = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            env=environ,
        )
        self._cwd = str(cwd)
        self._next = 0
        self.updates: list[float] = []
        self._cancel_at = ""
        self._cancel: tuple[str, float] = ("", 0.0)

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request, serve the agent's own ones, and give the answer."""
        self._next += 1
        wanted = self._next
        self._write({"id": wanted, "method": method, "params": params})
        silence = threading.Timer(TIMEOUT, self.process.kill)
        silence.start()
        try:
            return self._until(wanted, method)
        finally:
            silence.cancel()

    def _until(self, wanted: int, method: str) -> dict[str, Any]:
        if self.process.stdout is None:
            raise RuntimeError("the pipe was asked for")
        for line in self.process.stdout:
            frame = json.loads(line)
            if frame.get("method") == "session/update":
                kind = frame["params"]["update"]["sessionUpdate"]
                if kind == "agent_message_chunk":
                    self.updates.append(time.perf_counter())
                    self._cancel_once("update")
            elif "method" in frame and "id" in frame:
                self._serve(frame)
            elif frame.get("id") == wanted:
                if "error" in frame:
                    raise RuntimeError(f"{method}: {frame['error']}")
                return frame["result"]
        raise RuntimeError(f"the agent ended before it answered {method}")

    def _serve(self, frame: dict[str, Any]) -> None:
        if frame["method"] == "session/request_permission" and self._cancel_once("question"):
            self._write({"id": frame["id"], "result": {"outcome": {"outcome": "cancelled"}}})
        elif frame["method"] == "session/request_permission":
            options = frame["params"]["options"]
            option = next(o for o in options if o["kind"] == "allow_once")
            result = {"outcome": {"outcome": "selected", "optionId": option["optionId"]}}
            self._write({"id": frame["id"], "result": result})
        else:
            error = {"code": -32601, "message": "not offered"}
            self._write({"id": frame["id"], "error": error})

    def _write(self, frame: dict[str, Any]) -> None:
        if self.process.stdin is None:
            raise RuntimeError("the pipe was asked for")
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **frame}).encode() + b"\n")
        self.process.stdin.flush()

    def initialize(self) -> None:
        """Say hello; the client offers nothing."""
        self.call("initialize", {"protocolVersion": 1, "clientCapabilities": {}})

    def session(self) -> str:
        """Open a session."""
        return self.call("session/new", {"cwd": self._cwd, "mcpServers": []})["sessionId"]

    def prompt(self, session_id: str, text: str) -> float:
        """Run a turn; its seconds."""
        self.updates = []
        began = time.perf_counter()
        content = [{"type": "text", "text": text}]
        answer = self.call("session/prompt", {"sessionId": session_id, "prompt": content})
        if answer["stopReason"] != "end_turn":
            raise RuntimeError(f"the turn ended with {answer['stopReason']}")
        return time.perf_counter() - began

    def cancel(self, session_id: str, text: str, *, at: Literal["update", "question"]) -> float:
        """Run a turn and cancel it; the seconds from the cancelling to the turn's answer.

        Args:
            session_id: The session.
            text: The prompt.
            at: Cancel when its first text comes, or when it asks for a permission.
        """
        self.updates, self._cancel = [], (session_id, 0.0)
        self._cancel_at = at
        content = [{"type": "text", "text": text}]
        answer = self.call("session/prompt", {"sessionId": session_id, "prompt": content})
        if answer["stopReason"] != "cancelled":
            raise RuntimeError(f"a turn that was cancelled ended with {answer['stopReason']}")
        return time.perf_counter() - self._cancel[1]

    def _cancel_once(self, at: str) -> bool:
        if self._cancel_at != at:
            return False
        session_id, self._cancel_at = self._cancel[0], ""
        self._cancel = (session_id, time.perf_counter())
        self._write({"method": "session/cancel", "params": {"sessionId": session_id}})
        return True

    def cpu(self) -> float:
        """CPU of the process and its children, those that have ended included, seconds."""
        ticks = os.sysconf("SC_CLK_TCK")
        used = 0.0
        for pid in [self.process.pid, *_children(self.process.pid)]:
            try:
                used += time.clock_gettime(~pid << 3 | 2)  # what clock_getcpuclockid(3) gives
                stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
                fields = stat.rpartition(")")[2].split()
                used += (int(fields[13]) + int(fields[14])) / ticks
            except (OSError, IndexError):
                continue
        return used

    def memory(self) -> float:
        """Bytes resident."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        """End it."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [
                int(child) for child in (task / "children").read_text(encoding="utf-8").split()
            ]
    except FileNotFoundError:
        return []
    return [*found, *(inner for child in found for inner in _children(child))]


@contextmanager
def place() -> Generator[tuple[Path, dict[str, str]]]:
    """Make a project with a file to edit, and an environment of a fresh person."""
    with tempfile.TemporaryDirectory() as name:
        home, project = Path(name) / "home", Path(name) / "project"
        home.mkdir()
        project.mkdir()
        target = project / "app.py"
        target.write_text("value = 0\n" + "# a line\n" * 40)
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        yield (
            project,
            {k: v for k, v in kept.items() if not k.startswith(("PUNIE", "XDG_"))}
            | {"HOME": str(home)},
        )
