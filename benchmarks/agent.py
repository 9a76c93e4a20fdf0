"""What the agent costs over the model's own time, with a scripted model behind a real socket.

    uv run python benchmarks/agent.py [-n 15] [--peers] [--here] [--json]

`punie acp` is started as an IDE starts it, in an environment as a person has it (`agent_rig.py` makes
one), and driven over stdio; the model is an OpenAI-compatible server in this process that answers at
once. Measured:

- a turn that reads a file and edits it, with the edit permitted by the client: wall time less the
  time in which the model server held a request, and CPU; n turns after two
- CPU between two requests of a long turn, from step 18 to step 22; n such turns
- a streamed answer of 4,000 words: CPU, updates sent, and the time from the first chunk on the
  socket to the first update; n / 3 answers
- the time and the CPU from spawn to the first model request when everything is sent at once, and the
  memory after two prompts, over `python -c "import asyncio"`; n / 2 starts
- twenty more sessions: time and memory of each
- from cancelling a turn to its answer `cancelled`: while the model streams, until whose server sees
  its connection closed, and while a question is open; n turns of each. Left out for an agent that
  does not get there

Figures are medians, with their quartiles. About five minutes with `--peers`, which measures agentao
and fast-agent in the same run, one agent after the other; what does not install or does not answer is
named and left out. In its default mode agentao does not ask before it edits. `--here` takes this
environment, with everything that development needs, instead of a fresh one. CPU is user plus system
time of the process and its children, from their clocks. Needs Linux and uv.
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
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from agent_rig import PEERS, AgentProcess, Program, own, peer, place
from scripted_model import WORDS, Model, handler


class Figure(NamedTuple):
    """One measured figure and its target."""

    name: str
    values: list[float]
    limit: float
    unit: str

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return low, high


def turns(agent: AgentProcess, model: Model, session_id: str, n: int) -> list[Figure]:
    """Measure what every agent can be measured by."""
    model.measure = agent.cpu
    agent.prompt(session_id, "warm up")
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(n + 2):
        model.begin("edit")
        before = agent.cpu()
        wall = agent.prompt(session_id, "raise the value")
        walls.append((wall - model.held) * 1_000)
        cpus.append(agent.cpu() - before)
        if f"value = {model.count}\n" not in model.target.read_text(encoding="utf-8"):
            raise RuntimeError("the edit was not made")
    steps: list[float] = []
    for _ in range(n):
        model.begin("steps")
        agent.prompt(agent.session(), "read it line by line")
        pairs = zip(model.cpu[17:22], model.cpu[18:23], strict=True)
        steps += [(b - a) * 1_000 for a, b in pairs]
    streams: list[tuple[float, float, float]] = []
    for _ in range(max(1, n // 3)):
        model.begin("stream")
        before = agent.cpu()
        agent.prompt(session_id, "talk")
        first = (agent.updates[0] - model.first_chunk) * 1_000
        streams.append((agent.cpu() - before, first, len(agent.updates)))
    return [
        Figure("read + permitted edit, over the model's time", walls[2:], 40, "ms"),
        Figure("  its CPU", cpus[2:], 0.05, "s"),
        Figure("CPU of a model step at step 20", steps, 5, "ms"),
        Figure(f"{WORDS} streamed words: CPU", [s[0] for s in streams], 0.2, "s"),
        Figure("  first chunk to first update", [s[1] for s in streams], 15, "ms"),
        Figure("  updates", [s[2] for s in streams], WORDS, ""),
    ]


def starts(program: Program, model: Model, n: int) -> list[Figure]:
    """Measure the way to the first prompt, and the memory after the second."""
    base = _python_alone(program)
    ready: list[float] = []
    cpu: list[float] = []
    memories: list[float] = []
    for _ in range(max(2, n // 2)):
        with place() as (project, environ):
            fresh = AgentProcess(program.command, project, environ | program.environ)
            model.measure = fresh.cpu
            model.begin("say")
            try:
                fresh.initialize()
                session_id = fresh.session()
                fresh.prompt(session_id, "hello")
                ready.append((model.arrivals[0] - fresh.spawned) * 1_000)
                cpu.append(model.cpu[0] * 1_000)
                fresh.prompt(session_id, "hello again")
                memories.append((fresh.memory() - base) / 2**20)
            finally:
                fresh.close()
    return [
        Figure("first prompt at the model after spawn", ready, 600, "ms"),
        Figure("  CPU until then", cpu, 600, "ms"),
        Figure("memory after two prompts, over Python", memories, 50, "MB"),
    ]


def more_sessions(agent: AgentProcess) -> list[Figure]:
    """Open twenty more sessions."""
    before = agent.memory()
    times: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        agent.session()
        times.append((time.perf_counter() - began) * 1_000)
    grown = (agent.memory() - before) / 20 / 2**20
    return [
        Figure("twenty more sessions: time of each", times, 5, "ms"),
        Figure("  memory of each", [grown], 0.5, "MB"),
    ]


def cancels(agent: AgentProcess, model: Model, n: int) -> list[Figure]:
    """Cancel turns in their two slow moments."""
    session_id = agent.session()
    streaming: list[float] = []
    closed: list[float] = []
    asking: list[float] = []
    for _ in range(n + 1):
        model.begin("hold")
        streaming.append(agent.cancel(session_id, "talk", at="update") * 1_000)
        began = time.perf_counter()
        if not model.closed.wait(10):
            raise RuntimeError("the model's stream was not closed")
        closed.append(streaming[-1] + (time.perf_counter() - began) * 1_000)
        model.begin("edit")
        asking.append(agent.cancel(session_id, "raise the value", at="question") * 1_000)
        model.count -= 1  # the edit was not made
    return [
        Figure("cancel while it streams", streaming[1:], 10, "ms"),
        Figure("  the model's stream closed", closed[1:], 10, "ms"),
        Figure("cancel while a question is open", asking[1:], 10, "ms"),
    ]


def _python_alone(program: Program) -> int:
    """Measure the memory of an agent's interpreter, with asyncio, bytes."""
    python = Path(program.command[0]).parent / "python"
    told = "import asyncio; print(open('/proc/self/statm').read().split()[1])"
    bare = subprocess.run([python, "-c", told], capture_output=True, check=True)
    return int(bare.stdout) * os.sysconf("SC_PAGE_SIZE")


def measured(program: Program, model: Model, n: int) -> list[Figure]:
    """Measure one agent."""
    with place() as (project, environ):
        agent = AgentProcess(program.command, project, environ | program.environ)
        try:
            agent.initialize()
            model.target, model.count = project / "app.py", 0
            model.begin("say")
            figures = turns(agent, model, agent.session(), n)
            model.measure = None
            figures += more_sessions(agent)
            figures += starts(program, model, n)
            model.measure = None
            try:
                figures += cancels(agent, model, n)
            except (RuntimeError, OSError) as error:
                print(f"cancelling was not measured: {error}", file=sys.stderr)
        finally:
            agent.close()
    return figures


def main() -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description="What the agent costs over the model's own time.")
    parser.add_argument("-n", type=int, default=15, help="turns (default 15)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", action="store_true", help="measure agentao and fast-agent too")
    parser.add_argument("--here", action="store_true", help="in this environment, as it is")
    options = parser.parse_args()
    model = Model()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(model))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    results: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ["punie", *(PEERS if options.peers else ())]:
            try:
                if name == "punie":
                    program = own(Path(folder), url, here=options.here)
                else:
                    program = peer(name, Path(folder), url)
                results[name] = measured(program, model, options.n)
            except (RuntimeError, OSError, ValueError, KeyError, IndexError) as error:
                print(f"{name} was not measured: {error}", file=sys.stderr)
    server.shutdown()
    if options.json:
        told = {
            name: [{**f._asdict(), "median": f.middle, "quartiles": f.spread} for f in figures]
            for name, figures in results.items()
        }
        print(json.dumps({"n": options.n, "results": told}))
    else:
        _print(results, options.n)
    return int("punie" not in results or any(f.middle > f.limit for f in results["punie"]))


def _print(results: dict[str, list[Figure]], n: int) -> None:
    print(f"n = {n}: medians (quartiles)")
    print(f"{'':46}" + "".join(f"{name:>32}" for name in results) + f"{'target':>14}")
    for row, figure in enumerate(results.get("punie", [])):
        cells = [_cell(figures, row) for figures in results.values()]
        mark = "" if figure.middle <= figure.limit else "  missed"
        target = f"<= {figure.limit:g} {figure.unit}"
        print(f"{figure.name:46}" + "".join(cells) + f"{target:>14}{mark}")


def _cell(figures: Sequence[Figure], row: int) -> str:
    if row >= len(figures):
        return f"{'-':>32}"
    low, high = figures[row].spread
    return f"{f'{figures[row].middle:.3g} ({low:.3g} - {high:.3g})':>32}"


if __name__ == "__main__":
    sys.exit(main())
