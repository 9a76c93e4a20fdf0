"""The protocol package beside the official Python SDK, in one run: ratios of time and memory.

    uv run python benchmarks/acp.py [-n 5] [--updates 20000] [--json]

Both serve the same agent (`punie.acp.testing.bench_agent` and a twin of it written with the SDK),
driven by the same few lines that read and write bytes; as clients both are driven by the same agent,
which writes frames that it built before. Rounds are interleaved (A B A B) after one warm-up of
each; every figure is the median of n rounds, a ratio is the median here over the SDK's.

Packages are compiled first and PYTHONDONTWRITEBYTECODE is removed from the environment of the
children. Needs Linux, for the memory of a process.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 120.0
"""Seconds for anything."""
PINGS = 500
TEXT = 100
"""Bytes of text in an update."""
BIG = 1_000_000
"""Bytes in a tool result."""
BIGS = 10

OFFICIAL_AGENT = """
import asyncio
import acp
from acp.schema import Implementation

class Agent(acp.Agent):
    def on_connect(self, conn):
        self.client = conn
    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **kw):
        info = Implementation(name="official bench", version="1")
        return acp.InitializeResponse(protocol_version=1, agent_info=info)
    async def new_session(self, cwd, mcp_servers=None, **kw):
        return acp.NewSessionResponse(session_id="bench-1")
    async def ext_method(self, method, params):
        return {}
    async def prompt(self, session_id, prompt, **kw):
        _, what, count, size = prompt[0].text.split(":")
        text, tell = "x" * int(size), self.client.session_update
        for number in range(int(count)):
            if what == "stream":
                await tell(session_id, acp.update_agent_message_text(text))
            else:
                name = f"call-{number}"
                await tell(session_id, acp.start_tool_call(name, "Big", status="in_progress"))
                content = [acp.tool_content(acp.text_block(text))]
                done = acp.update_tool_call(name, status="completed", content=content)
                await tell(session_id, done)
        return acp.PromptResponse(stop_reason="end_turn")

asyncio.run(acp.run_agent(Agent()))
"""

# Writes frames built before, so that the client is what is measured.
FEEDER = """
import json, os, sys
count, size = int(sys.argv[1]), int(sys.argv[2])
update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "x" * size}}
frame = json.dumps({"jsonrpc": "2.0", "method": "session/update",
                    "params": {"sessionId": "s", "update": update}}).encode() + b"\\n"
answers = {"initialize": {"protocolVersion": 1}, "session/new": {"sessionId": "s"},
           "session/prompt": {"stopReason": "end_turn"}}
for line in sys.stdin.buffer:
    message = json.loads(line)
    if message["method"] == "session/prompt":
        data = memoryview(frame * count)
        while data:
            data = data[os.write(1, data):]
    answer = {"jsonrpc": "2.0", "id": message["id"], "result": answers[message["method"]]}
    os.write(1, json.dumps(answer).encode() + b"\\n")
"""

OUR_CLIENT = """
import asyncio, sys, time
from punie.acp.process import start_agent
from punie.acp.schema import v1

class Client:
    seen = 0
    async def session_update(self, params):
        self.seen += 1
    async def request_permission(self, params):
        raise RuntimeError

async def main():
    client, count = Client(), int(sys.argv[2])
    async with start_agent([sys.executable, *sys.argv[1:]], client) as agent:
        await agent.initialize(v1.InitializeRequest(protocol_version=1))
        await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
        began = time.perf_counter()
        prompt = [v1.TextContent(text="go")]
        await agent.prompt(v1.PromptRequest(session_id="s", prompt=prompt))
        while client.seen < count:
            await asyncio.sleep(0)
        print(time.perf_counter() - began)

asyncio.run(main())
"""

OFFICIAL_CLIENT = """
import asyncio, sys, time
import acp

class Client(acp.Client):
    seen = 0
    def on_connect(self, conn):
        pass
    async def session_update(self, session_id, update, **kw):
        self.seen += 1
    async def request_permission(self, options, session_id, tool_call, **kw):
        raise RuntimeError

async def main():
    client, count = Client(), int(sys.argv[2])
    async with acp.spawn_agent_process(client, sys.executable, *sys.argv[1:]) as (agent, _):
        await agent.initialize(protocol_version=1)
        await agent.new_session(cwd="/", mcp_servers=[])
        began = time.perf_counter()
        await agent.prompt(session_id="s", prompt=[acp.text_block("go")])
        while client.seen < count:
            await asyncio.sleep(0)
        print(time.perf_counter() - began)

asyncio.run(main())
"""

OUR_IMPORT = "import punie.acp.agent_side, punie.acp.client_side, punie.acp.process"
IMPORT = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round of one side gave: seconds, bytes, and updates a second."""

    initialize: float
    ping: float
    updates_out: float
    updates_in: float
    big: float
    memory: float
    imported: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A row of the table: medians of both sides, their ratio, and what it should be."""

    name: str
    unit: str
    ours: float
    official: float
    target: float
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        """Here over the SDK's."""
        return self.ours / self.official

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio >= self.target if self.more_is_better else self.ratio <= self.target


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two packages: its agent, its client, its import."""

    agent: list[str]
    client: list[str]
    imports: str


def environment() -> dict[str, str]:
    """This environment, with compiled files allowed."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


class Driver:
    """Talks to an agent in bytes, with as little work of its own as can be."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        self._next_id = 0
        self._lines = 0

    def ask(self, method: str, params: Any, *, updates: int = 0) -> dict[str, Any]:
        """Send a request and read up to its answer, which must come after so many updates."""
        self._next_id += 1
        self._lines = 0
        frame = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        _pipe(self.process.stdin).write(json.dumps(frame).encode() + b"\n")
        _pipe(self.process.stdin).flush()
        answer = json.loads(self._last_line())
        if answer.get("id") != self._next_id or "error" in answer:
            sys.exit(f"{method} failed: {str(answer)[:200]}")
        if self._lines != updates + 1:
            sys.exit(f"{method} sent {self._lines - 1} updates, not {updates}")
        return answer["result"]

    def _last_line(self) -> bytes:
        """Read to a line that is no notification."""
        output = _pipe(self.process.stdout).fileno()
        line = b""
        while True:
            data = os.read(output, 1 << 20)
            if not data:
                sys.exit("the agent is gone")
            self._lines += data.count(b"\n")
            head, end, tail = data.rpartition(b"\n")
            if not end:
                line += data
                continue
            last = head.rpartition(b"\n")[2] if b"\n" in head else line + head
            line = tail
            if not tail and b'"session/update"' not in last[:200] + last[-200:]:
                return last

    def memory(self) -> float:
        """Bytes resident."""
        statm = Path(f"/proc/{self.process.pid}/statm").read_text("ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        """End the agent."""
        _pipe(self.process.stdin).close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _pipe(self.process.stdout).close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("the pipes were asked for")
    return pipe


def measure(side: Side, *, updates: int) -> Round:
    """One round of one side.

    Args:
        side: Which.
        updates: How many to stream.
    """
    began = time.perf_counter()
    driver = Driver(side.agent)
    driver.ask("initialize", {"protocolVersion": 1, "clientCapabilities": {}})
    initialize = time.perf_counter() - began
    memory = driver.memory()
    session = driver.ask("session/new", {"cwd": "/", "mcpServers": []})["sessionId"]
    pings = [timed(driver, "_bench/ping", {}) for _ in range(PINGS)]
    orders = {f"bench:stream:{updates}:{TEXT}": updates, f"bench:big:{BIGS}:{BIG}": 2 * BIGS}
    stream, big = (
        timed(driver, "session/prompt", prompt(session, order), updates=count)
        for order, count in orders.items()
    )
    driver.close()
    return Round(
        initialize=initialize,
        ping=median(pings),
        updates_out=updates / stream,
        updates_in=updates / printed([*side.client, str(updates), str(TEXT)]),
        big=big / BIGS,
        memory=memory,
        imported=printed([sys.executable, "-c", IMPORT.format(side.imports)]),
    )


def prompt(session_id: str, text: str) -> dict[str, Any]:
    """Parameters of a prompt."""
    return {"sessionId": session_id, "prompt": [{"type": "text", "text": text}]}


def timed(driver: Driver, method: str, params: Any, *, updates: int = 0) -> float:
    """Seconds that a request takes."""
    began = time.perf_counter()
    driver.ask(method, params, updates=updates)
    return time.perf_counter() - began


def printed(command: Sequence[str]) -> float:
    """The number that a program prints."""
    ran = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env=environment(), timeout=TIMEOUT
    )
    return float(ran.stdout)


def compare(ours: Sequence[Round], official: Sequence[Round]) -> list[Figure]:
    """The table."""

    def figure(name: str, field: str, unit: str, target: float, *, more: bool = False) -> Figure:
        return Figure(
            name=name,
            unit=unit,
            ours=median(getattr(one, field) for one in ours),
            official=median(getattr(one, field) for one in official),
            target=target,
            more_is_better=more,
        )

    return [
        figure("spawn to initialize", "initialize", "s", 0.30),
        figure("ping, p50", "ping", "s", 0.7),
        figure("updates of 100 bytes sent", "updates_out", "1/s", 6, more=True),
        figure("updates of 100 bytes received", "updates_in", "1/s", 4, more=True),
        figure("tool result of 1 MB", "big", "s", 0.7),
        figure("memory after initialize", "memory", "B", 0.65),
        figure("import", "imported", "s", 0.15),
    ]


def sides(folder: Path) -> tuple[Side, Side]:
    """Write the scripts and name both sides."""
    scripts = {
        "official_agent.py": OFFICIAL_AGENT,
        "feeder.py": FEEDER,
        "our_client.py": OUR_CLIENT,
        "official_client.py": OFFICIAL_CLIENT,
    }
    paths: dict[str, str] = {}
    for name, text in scripts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths[name] = str(path)
    python, feeder = sys.executable, paths["feeder.py"]
    ours = Side(
        agent=[python, "-m", "punie.acp.testing.bench_agent"],
        client=[python, paths["our_client.py"], feeder],
        imports=OUR_IMPORT,
    )
    official = Side(
        agent=[python, paths["official_agent.py"]],
        client=[python, paths["official_client.py"], feeder],
        imports="import acp",
    )
    return ours, official


def main() -> int:
    """Measure and print; exits 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="punie-acp against the official Python SDK.")
    parser.add_argument("-n", type=int, default=5, help="rounds of each (default: 5)")
    parser.add_argument("--updates", type=int, default=20_000, help="in a stream (default: 20000)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    compileall.compile_dir(ROOT / "packages" / "punie-acp" / "src", quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        both = sides(Path(folder))
        for side in both:
            measure(side, updates=100)
        rounds = [
            [measure(side, updates=options.updates) for side in both] for _ in range(options.n)
        ]
    figures = compare([one for one, _ in rounds], [one for _, one in rounds])
    if options.json:
        rows = [asdict(one) | {"ratio": one.ratio, "met": one.met} for one in figures]
        print(json.dumps({"n": options.n, "updates": options.updates, "figures": rows}))
    else:
        print(f"n = {options.n} rounds of each, interleaved, after one warm-up; medians")
        print(f"{'':32}{'punie-acp':>14} {'official':>14}      {'ratio':>7}")
        for one in figures:
            sign, verdict = (">=" if one.more_is_better else "<="), "met" if one.met else "MISSED"
            row = (
                f"{one.name:32}{one.ours:14.6g} {one.official:14.6g} {one.unit:4} {one.ratio:7.2f}"
            )
            print(f"{row}  target {sign} {one.target:g} {verdict}")
    return 0 if all(one.met for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
