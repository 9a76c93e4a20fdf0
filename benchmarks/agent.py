"""What the agent costs over the model's own time, with a scripted model behind a real socket.

    uv run python benchmarks/agent.py [-n 15] [--json] [--peers]

`punie acp` is started as an IDE starts it and driven over stdio; the model is an OpenAI-compatible
server in this process that answers at once. Measured:

- a turn that reads a file and edits it, with the edit permitted by the client: wall time less the
  time in which the model server held a request, and CPU; medians of n turns
- CPU between two requests of a long turn, from step 18 to step 22; median
- a streamed answer of 4,000 words: CPU, updates sent, and the time from the first chunk on the
  socket to the first update; medians of n / 3 answers
- the time from spawn to the first model request when everything is sent at once; median of 5 starts
- memory after two prompts, over `python -c "import asyncio"`; twenty more sessions

`--peers` installs agentao and fast-agent into a temporary environment, from PyPI, and measures the
first three of them in the same run, one agent after the other; one that does not install (fast-agent
wants Python 3.12) or does not answer is named and left out. In its default mode agentao does not ask before
it edits. CPU is user plus system time of the process and its children, from
/proc. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from scripted_model import WORDS, Model, handler

TIMEOUT = 60.0
"""Seconds until a silent agent is killed."""
PEERS = {
    "agentao": ("agentao[cli]", ["agentao", "--acp", "--stdio"]),
    "fast-agent": ("fast-agent-acp", ["fast-agent-acp", "--model", "generic.fake"]),
}
"""Distribution and command of each peer."""


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
        self.denied = False

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
            elif "method" in frame and "id" in frame:
                self._serve(frame)
            elif frame.get("id") == wanted:
                if "error" in frame:
                    raise RuntimeError(f"{method}: {frame['error']}")
                return frame["result"]
        raise RuntimeError(f"the agent ended before it answered {method}")

    def _serve(self, frame: dict[str, Any]) -> None:
        if frame["method"] == "session/request_permission":
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

    def cpu(self) -> float:
        """CPU of the process and its children, seconds."""
        ticks = os.sysconf("SC_CLK_TCK")
        exact, reaped = 0.0, 0.0
        for pid in [self.process.pid, *_children(self.process.pid)]:
            try:
                tasks = list(Path(f"/proc/{pid}/task").iterdir())
                exact += (
                    sum(
                        int((t / "schedstat").read_text(encoding="utf-8").split()[0]) for t in tasks
                    )
                    / 1e9
                )
                fields = (
                    Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                )
                reaped += (int(fields[13]) + int(fields[14])) / ticks
            except (FileNotFoundError, ProcessLookupError):
                continue
        return exact + reaped

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


class Figure(NamedTuple):
    """One measured figure and its target."""

    name: str
    value: float
    limit: float
    unit: str


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


def turns(agent: AgentProcess, model: Model, session_id: str, n: int) -> list[Figure]:
    """Measure what every agent can be measured by."""
    model.measure = agent.cpu
    agent.prompt(session_id, "warm up")
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(n):
        model.begin("edit")
        before = agent.cpu()
        wall = agent.prompt(session_id, "raise the value")
        walls.append(wall - model.held)
        cpus.append(agent.cpu() - before)
        if f"value = {model.count}\n" not in model.target.read_text(encoding="utf-8"):
            raise RuntimeError("the edit was not made")
    model.begin("steps")
    agent.prompt(agent.session(), "read it line by line")
    steps = [b - a for a, b in zip(model.cpu[17:22], model.cpu[18:23], strict=True)]
    streams: list[tuple[float, float, float]] = []
    for _ in range(max(1, n // 3)):
        model.begin("stream")
        before = agent.cpu()
        agent.prompt(session_id, "talk")
        first = (agent.updates[0] - model.first_chunk) * 1_000
        streams.append((agent.cpu() - before, first, len(agent.updates)))
    return [
        Figure("read + permitted edit, over the model's time", median(walls) * 1_000, 40, "ms"),
        Figure("  its CPU", median(cpus), 0.05, "s"),
        Figure("CPU of a model step at step 20", median(steps) * 1_000, 5, "ms"),
        Figure(f"{WORDS} streamed words: CPU", median(s[0] for s in streams), 0.2, "s"),
        Figure("  first chunk to first update", median(s[1] for s in streams), 15, "ms"),
        Figure("  updates", median(s[2] for s in streams), WORDS, ""),
    ]


def alone(command: Sequence[str], model: Model, agent: AgentProcess) -> list[Figure]:
    """Measure memory, further sessions and the first prompt."""
    bare = subprocess.run(
        [
            sys.executable,
            "-c",
            "import asyncio; print(open('/proc/self/statm').read().split()[1])",
        ],
        capture_output=True,
        check=True,
    )
    base = int(bare.stdout) * os.sysconf("SC_PAGE_SIZE")
    model.measure = None
    before, began = agent.memory(), time.perf_counter()
    for _ in range(20):
        agent.session()
    each = (time.perf_counter() - began) / 20 * 1_000
    grown = (agent.memory() - before) / 20 / 2**20
    ready: list[float] = []
    memories: list[float] = []
    for _ in range(5):
        with place() as (project, environ):
            fresh = AgentProcess(command, project, environ)
            model.begin("say")
            fresh.initialize()
            session_id = fresh.session()
            fresh.prompt(session_id, "hello")
            ready.append((model.arrivals[0] - fresh.spawned) * 1_000)
            fresh.prompt(session_id, "hello again")
            memories.append((fresh.memory() - base) / 2**20)
            fresh.close()
    return [
        Figure("first prompt at the model after spawn", median(ready), 600, "ms"),
        Figure("memory after two prompts, over Python", median(memories), 50, "MB"),
        Figure("twenty more sessions: time of each", each, 5, "ms"),
        Figure("  memory of each", grown, 0.5, "MB"),
    ]


def peers(url: str, folder: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Install the peers; command and environment of those that installed."""
    found: dict[str, tuple[list[str], dict[str, str]]] = {}
    keys = {f"{name}_API_KEY": "none" for name in ("OPENAI", "GENERIC")}
    urls = {f"{name}_BASE_URL": url for name in ("OPENAI", "GENERIC")}
    for name, (distribution, command) in PEERS.items():
        place = folder / name
        python = place / "bin" / "python"
        steps = [
            ["uv", "venv", "-q", "--python", sys.executable, str(place)],
            [
                "uv",
                "pip",
                "install",
                "-q",
                "--compile-bytecode",
                "--python",
                str(python),
                distribution,
            ],
        ]
        if any(
            subprocess.run(s, check=False, capture_output=True, timeout=600).returncode
            for s in steps
        ):
            print(f"{name} does not install here", file=sys.stderr)
            continue
        program = str(place / "bin" / command[0])
        found[name] = ([program, *command[1:]], {**keys, **urls, "OPENAI_MODEL": "fake"})
    return found


def main() -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description="What the agent costs over the model's own time.")
    parser.add_argument("-n", type=int, default=15, help="turns (default 15)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", action="store_true", help="measure agentao and fast-agent too")
    options = parser.parse_args()
    model = Model()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(model))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    punie = [sys.executable, "-X", "frozen_modules=on", "-m", "punie", "acp", "--no-attach"]
    punie = (
        [*punie, "--model", f"local:{url}/fake"]
        if _knows(punie)
        else [*punie[:-1], "--model", f"local:{url}/fake"]
    )
    results: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory() as folder:
        others = peers(url, Path(folder)) if options.peers else {}
        for name, (command, extra) in {"punie": (punie, dict[str, str]()), **others}.items():
            try:
                results[name] = _measured(command, extra, model, options.n, whole=name == "punie")
            except (RuntimeError, OSError, ValueError, KeyError) as error:
                print(f"{name} was not measured: {error}", file=sys.stderr)
    server.shutdown()
    if options.json:
        print(json.dumps({k: [f._asdict() for f in v] for k, v in results.items()}))
    else:
        _print(results)
    return int("punie" not in results or any(f.value > f.limit for f in results["punie"]))


def _knows(command: list[str]) -> bool:
    shown = subprocess.run([*command[:-1], "--help"], capture_output=True, text=True, check=False)
    return "--no-attach" in shown.stdout


def _measured(
    command: list[str], extra: dict[str, str], model: Model, n: int, *, whole: bool
) -> list[Figure]:
    with place() as (project, environ):
        agent = AgentProcess(command, project, environ | extra)
        try:
            agent.initialize()
            model.target, model.count = project / "app.py", 0
            model.begin("say")
            figures = turns(agent, model, agent.session(), n)
            if whole:
                figures += alone(command, model, agent)
        finally:
            agent.close()
    return figures


def _print(results: dict[str, list[Figure]]) -> None:
    names = list(results)
    print(f"{'':48}" + "".join(f"{name:>12}" for name in names) + f"{'target':>14}")
    for row, figure in enumerate(results.get("punie", [])):
        cells = [
            f"{results[name][row].value:12.3g}" if row < len(results[name]) else f"{'-':>12}"
            for name in names
        ]
        mark = "" if figure.value <= figure.limit else "  missed"
        target = f"<= {figure.limit:g} {figure.unit}"
        print(f"{figure.name:48}" + "".join(cells) + f"{target:>14}{mark}")


if __name__ == "__main__":
    sys.exit(main())
