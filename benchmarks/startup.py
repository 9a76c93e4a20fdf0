"""Start-up of an agent, side by side with an agent of the official Python SDK.

    uv run python benchmarks/startup.py [-n 9] [--command punie acp --model test] [--json]

Measured for each: wall time from spawn to the answer of `initialize` (minimum and median), CPU of
the process up to that answer and up to the answer of `session/new`, memory after `initialize`; and
the CPU of `punie --help`. Runs are interleaved (A B A B), after one warm-up of each; figures
are medians of n runs. The official agent is a small script in a temporary folder that imports
`acp` and serves `initialize` and `session/new`.

An installed wheel has compiled files, a fresh clone has none, so `packages/*/src` is compiled
first and PYTHONDONTWRITEBYTECODE is removed from the environment of the children.

CPU is user plus system time of all threads of the process, from /proc/PID/stat (1/100 s) and, where
the kernel tells it, schedstat of each living thread (nanoseconds); the larger of both. Needs Linux.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
PUNIE = [sys.executable, "-m", "punie", "acp", "--model", "test"]
OFFICIAL = """
import asyncio
import acp
from acp.schema import Implementation

class Agent(acp.Agent):
    def on_connect(self, conn):
        pass
    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **kw):
        info = Implementation(name="official", version="0")
        return acp.InitializeResponse(protocol_version=1, agent_info=info)
    async def new_session(self, cwd, mcp_servers=None, **kw):
        return acp.NewSessionResponse(session_id="s")

asyncio.run(acp.run_agent(Agent()))
"""
TIMEOUT = 60.0
"""Seconds until a silent agent is killed."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start: seconds, and bytes."""

    wall: float
    cpu_initialize: float
    cpu_session: float
    memory: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is measured, what it must not exceed, and in what unit it is shown."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value <= self.limit


def environment() -> dict[str, str]:
    """This environment, with compiled files allowed."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def cpu_seconds(pid: int) -> float:
    """User plus system time of a living process, all threads."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        spent = [int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks]
    except FileNotFoundError:
        spent = []
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    # The first is exact but forgets threads that ended, the second remembers them.
    return max(sum(spent) / 1e9, ticks / os.sysconf("SC_CLK_TCK"))


def memory(pid: int) -> float:
    """Bytes resident of a living process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def ask(stdin: IO[bytes], stdout: IO[bytes], request_id: int, method: str, params: Any) -> None:
    """Send a request and read up to its answer."""
    frame = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    stdin.write(json.dumps(frame).encode() + b"\n")
    stdin.flush()
    while line := stdout.readline():
        answer = json.loads(line)
        if answer.get("id") == request_id:
            if "error" in answer:
                sys.exit(f"{method} failed: {answer['error']}")
            return
    sys.exit(f"the agent ended before it answered {method}")


def start(command: Sequence[str], cwd: str) -> Start:
    """Start an agent once and measure it."""
    params: dict[str, Any] = {"protocolVersion": 1, "clientCapabilities": {}}
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=cwd,
        env=environment(),
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes were asked for")
        silence = threading.Timer(TIMEOUT, process.kill)
        silence.daemon = True
        silence.start()
        ask(process.stdin, process.stdout, 1, "initialize", params)
        wall = time.perf_counter() - began
        cpu_initialize, resident = cpu_seconds(process.pid), memory(process.pid)
        new: dict[str, Any] = {"cwd": cwd, "mcpServers": []}
        ask(process.stdin, process.stdout, 2, "session/new", new)
        cpu_session = cpu_seconds(process.pid)
        process.stdin.close()
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
        silence.cancel()
    return Start(wall=wall, cpu_initialize=cpu_initialize, cpu_session=cpu_session, memory=resident)


def help_cpu(cwd: str) -> float:
    """CPU of `punie --help`, user plus system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "punie", "--help"]
    subprocess.run(
        command, check=True, cwd=cwd, env=environment(), stdout=subprocess.DEVNULL, timeout=TIMEOUT
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def middle(starts: Sequence[Start], field: str) -> float:
    """The median of one figure."""
    return median(getattr(one, field) for one in starts)


def targets(
    ours: Sequence[Start], theirs: Sequence[Start], help_runs: Sequence[float]
) -> list[Target]:
    """The targets of the first release."""
    wall = middle(ours, "wall") / middle(theirs, "wall")
    resident = middle(ours, "memory") / middle(theirs, "memory")
    return [
        Target(name="spawn to initialize, of the official's", value=wall, limit=0.4, unit="x"),
        Target(
            name="CPU to initialize", value=middle(ours, "cpu_initialize"), limit=0.15, unit="s"
        ),
        Target(name="CPU to session/new", value=middle(ours, "cpu_session"), limit=0.25, unit="s"),
        Target(name="memory, of the official's", value=resident, limit=0.75, unit="x"),
        Target(name="CPU of punie --help", value=median(help_runs), limit=0.15, unit="s"),
    ]


def table(name: str, starts: Sequence[Start]) -> str:
    """One row of the table."""
    walls = [one.wall for one in starts]
    figures = (
        f"{min(walls) * 1000:9.0f} {median(walls) * 1000:9.0f}"
        f" {middle(starts, 'cpu_initialize') * 1000:9.0f}"
        f" {middle(starts, 'cpu_session') * 1000:9.0f} {middle(starts, 'memory') / 2**20:9.1f}"
    )
    return f"{name:10}{figures}"


def main() -> int:
    """Measure and print; exits 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="Start-up of an agent against the official SDK's.")
    parser.add_argument("-n", type=int, default=9, help="runs of each (default: 9)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--command", nargs=argparse.REMAINDER, default=PUNIE, help="the agent")
    options = parser.parse_args()
    for source in [*sorted((ROOT / "packages").glob("*/src")), ROOT / "src"]:
        compileall.compile_dir(source, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "official.py"
        script.write_text(OFFICIAL, encoding="utf-8")
        official = [sys.executable, str(script)]
        for command in (options.command, official):
            start(command, folder)
        help_cpu(folder)
        ours: list[Start] = []
        theirs: list[Start] = []
        help_runs: list[float] = []
        for _ in range(options.n):
            ours.append(start(options.command, folder))
            theirs.append(start(official, folder))
            help_runs.append(help_cpu(folder))
    results = targets(ours, theirs, help_runs)
    if options.json:
        runs = {"punie": [asdict(one) for one in ours], "official": [asdict(one) for one in theirs]}
        print(json.dumps({"n": options.n, **runs, "targets": [asdict(one) for one in results]}))
    else:
        print(f"n = {options.n} of each, interleaved, after one warm-up; medians but for `min`")
        print(f"{'':10}{'min ms':>9} {'wall ms':>9} {'CPU init':>9} {'CPU new':>9} {'RSS MiB':>9}")
        print(table("this", ours), table("official", theirs), sep="\n")
        for one in results:
            verdict = "met" if one.met else "MISSED"
            print(f"{one.name:40} {one.value:6.3f} {one.unit}  target {one.limit} {verdict}")
    return 0 if all(one.met for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
