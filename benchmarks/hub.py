"""The hub under load: real WebSockets from many agents, real server-sent events to pages.

    uv run python benchmarks/hub.py [--agents 200] [--rate 20] [--seconds 60] [--pages 5] [--json]
    uv run python benchmarks/hub.py approvals | states | opening | idle | live | growth

`stream` (the default): each agent sends `rate` updates a second; each page listens to everything.
Counted are updates that did not arrive or came twice, and the time from an agent's write to a page's
read. `approvals`: the time from a person's answer to the agent that hears it. `states`: the time from an agent
that changes what it does to a page that shows it. `live`: what a session of Punie's own agent costs. `opening`: the time to
the first content of a session of 10,000 events. `idle`: memory with 1,000 idle sessions. `growth`: the
hub's CPU time per update with 50 to 400 agents.

The hub is `punie serve` in a process of its own; agents and pages share a second process, which
costs about as much as the hub, so on two cores both are measured together. Percentiles are those of all
samples of one run; n is printed. Needs Linux, for the memory and CPU time of a process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from punie.acp.transports.websocket import dial
from punie.http.config import HubState, read_state
from punie.http.testing import Puppet

EVENTS = 10_000
"""Events of the session that `opening` opens."""
APPROVALS = 200
CHANGES = 300
LIVE = 50
IDLE = 1000
GROWTH = (50, 100, 200, 400)


class Figure(NamedTuple):
    """One row of the table."""

    what: str
    value: float
    unit: str
    target: float | None = None

    @property
    def met(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        return "yes" if self.value <= self.target else "NO"


class Hub(NamedTuple):
    """A hub in a process of its own."""

    state: HubState
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        """What a program sends."""
        return {"Authorization": f"Bearer {self.state.token}"}

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = (
            Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the kernel does not tell")

    async def agent(self, *sessions: str) -> Puppet:
        """An agent that has dialled in and whose sessions are joined."""
        url = self.state.url.replace("http", "ws") + "/agents"
        puppet = Puppet(await dial(url, headers=self.headers))
        await puppet.start(*sessions)
        for session in sessions:
            await puppet.joined[session].wait()
        return puppet


@contextmanager
def serving() -> Iterator[Hub]:
    """Start `punie serve`."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        process = subprocess.Popen(
            [sys.executable, "-m", "punie", "serve", "--model", "test", "--port", str(port)],
            cwd=folder,
            env=os.environ | {"XDG_STATE_HOME": folder},
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            process.stdout.readline()
            state = read_state(Path(folder) / "punie" / "hub.json")
            assert state is not None
            yield Hub(state, process.pid)
        finally:
            process.terminate()
            process.wait()


@asynccontextmanager
async def browsing(hub: Hub) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Pages: as many connections as it takes."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        hub.state.url, headers=hub.headers, connector=connector, timeout=timeout
    ) as http:
        yield http


class Page:
    """A page that listens to everything, and how late what it heard was."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.seen: list[int] = []

    async def listen(self, http: aiohttp.ClientSession, *, expected: int) -> None:
        """Read until all of the expected updates came."""
        async with http.get("/api/events?session=all&after=0") as response:
            rest = b""
            while len(self.late) < expected:
                data = rest + await response.content.readany()
                now = time.time()
                *lines, rest = data.split(b"\n")
                for line in lines:
                    mark = line.find(b'"text":"@')
                    if mark > 0 and line.startswith(b'data: {"seq"'):
                        written = line[mark + 9 : line.index(b" ", mark)]
                        self.late.append(now - float(written))
                        self.seen.append(int(line[13 : line.index(b",", 13)]))


async def stream(hub: Hub, *, agents: int, rate: float, seconds: float, pages: int) -> list[Figure]:
    """Many agents talk, some pages listen."""
    count = int(rate * seconds)
    expected = agents * count
    async with browsing(hub) as http:
        puppets = [await hub.agent(f"s{number}") for number in range(agents)]
        opened = [Page() for _ in range(pages)]
        listening = [asyncio.create_task(page.listen(http, expected=expected)) for page in opened]
        await settled(http, puppets)
        cpu, mine = hub.cpu(), time.process_time()
        await asyncio.gather(
            *(
                talk(puppet, f"s{number}", count=count, rate=rate, phase=number / agents)
                for number, puppet in enumerate(puppets)
            )
        )
        _, waiting = await asyncio.wait(listening, timeout=30)
        spent, own = hub.cpu() - cpu, time.process_time() - mine
        for task in waiting:
            task.cancel()
        lost = sum(expected - len(set(page.seen)) for page in opened)
        twice = sum(len(page.seen) - len(set(page.seen)) for page in opened)
        late = sorted(1000 * one for page in opened for one in page.late)
        for puppet in puppets:
            await puppet.aclose()
    return [
        Figure(f"updates that {pages} pages expected", expected * pages, ""),
        Figure("lost", lost, "", 0),
        Figure("came twice", twice, "", 0),
        Figure("write to page, p50", percentile(late, 50), "ms"),
        Figure("write to page, p99", percentile(late, 99), "ms", 150),
        Figure("write to page, slowest", late[-1], "ms"),
        Figure("hub's CPU per update", 1e6 * spent / expected, "us"),
        Figure("hub's share of a core", 100 * spent / seconds, "%"),
        Figure("agents' and pages' share of a core", 100 * own / seconds, "%"),
        Figure("hub's memory", hub.memory(), "MB"),
    ]


async def settled(http: aiohttp.ClientSession, puppets: list[Puppet]) -> None:
    """Wait until what every agent says is recorded, none of it as part of a replay."""
    missing = {session for puppet in puppets for session in puppet.histories}
    for puppet in puppets:
        for session in puppet.histories:
            puppet.say(session, "begin", message_id="m0")
    async with http.get("/api/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                for one in told.get("sessions", [told]):
                    if one.get("snippet") == "begin":
                        missing.discard(one["session_id"])
                if not missing:
                    return


async def talk(puppet: Puppet, session: str, *, count: int, rate: float, phase: float) -> None:
    """Send updates at a steady rate, each with the time of its writing."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + phase / rate
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number / rate - loop.time()))
        puppet.say(session, f"@{time.time():.6f} is a word or two of an answer ")


async def approvals(hub: Hub) -> list[Figure]:
    """A person answers; the agent hears it."""
    took: list[float] = []
    async with browsing(hub) as http:
        puppet = await hub.agent("s1")
        for _ in range(APPROVALS):
            question = asyncio.create_task(puppet.ask("s1"))
            waiting = await asked(http)
            began = time.perf_counter()
            path = f"/api/inbox/{waiting[0]['id']}/select"
            answering = asyncio.create_task(http.post(path, json={"option_id": "yes"}))
            await question
            took.append(1000 * (time.perf_counter() - began))
            (await answering).close()
        await puppet.aclose()
    took.sort()
    return [
        Figure(f"answer to agent, p50 (n={APPROVALS})", percentile(took, 50), "ms"),
        Figure("answer to agent, p99", percentile(took, 99), "ms", 50),
    ]


async def states(hub: Hub) -> list[Figure]:
    """An agent runs, asks, fails and is done; a page sees it."""
    took: list[float] = []
    async with browsing(hub) as http, http.get("/api/events") as response:
        puppet = await hub.agent("s1")
        lines = response.content
        for number in range(CHANGES):
            state = ("running", "requires_action", "idle")[number % 3]
            began = time.perf_counter()
            puppet.become("s1", state)
            async for line in lines:
                if line.startswith(b"data: ") and f'"working":"{state}"'.encode() in line:
                    break
            took.append(1000 * (time.perf_counter() - began))
        await puppet.aclose()
    took.sort()
    return [
        Figure(f"state to page, p50 (n={CHANGES})", percentile(took, 50), "ms"),
        Figure("state to page, p95", percentile(took, 95), "ms", 100),
    ]


async def live(hub: Hub) -> list[Figure]:
    """Sessions of Punie's own agent, in the hub's process."""
    took: list[float] = []
    async with browsing(hub) as http:
        await ready(http)
        await greeted(http)  # the first one loads the model's stack
        before = hub.memory()
        for _ in range(LIVE):
            began = time.perf_counter()
            async with http.post("/api/sessions", json={}) as response:
                await response.read()
            took.append(1000 * (time.perf_counter() - began))
        after = hub.memory()
    took.sort()
    return [
        Figure(f"opening a live session, p50 (n={LIVE})", percentile(took, 50), "ms", 5),
        Figure("opening a live session, p95", percentile(took, 95), "ms"),
        Figure("memory of a live session", (after - before) / LIVE, "MB", 0.5),
    ]


async def ready(http: aiohttp.ClientSession) -> None:
    """Wait until Punie's own agent can be used."""
    async with http.get("/api/events") as response:
        async for line in response.content:
            if b'"condition":"ready"' in line:
                return


async def greeted(http: aiohttp.ClientSession) -> None:
    """Let a session answer once."""
    async with http.post("/api/sessions", json={}) as response:
        key = (await response.json())["key"]
    async with http.post(f"/api/sessions/{key}/prompts", json={"text": "hello"}):
        pass
    async with http.get(f"/api/events?session={key}&after=0") as response:
        async for line in response.content:
            if b'"stopReason"' in line:
                return


async def asked(http: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """What waits for a person, as soon as something does."""
    async with http.get("/api/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                waiting = told.get("inbox", [told] if "options" in told else [])
                if waiting:
                    return waiting
    raise RuntimeError("the stream ended")


async def opening(hub: Hub) -> list[Figure]:
    """A page opens a long session."""
    took: list[float] = []
    async with browsing(hub) as http:
        puppet = await hub.agent("long")
        puppet.say("long", "begin", message_id="m0")
        await kept(http, 2)
        for number in range(EVENTS):
            puppet.say("long", "some words of an answer ", message_id=f"m{number // 50}")
            if number % 500 == 0:
                await asyncio.sleep(0)
        key = await kept(http, EVENTS)
        for _ in range(20):
            began = time.perf_counter()
            async with http.get(f"/api/sessions/{key}") as response:
                await response.read()
            took.append(1000 * (time.perf_counter() - began))
        await puppet.aclose()
    took.sort()
    return [
        Figure(f"opening {EVENTS} events, p50 (n=20)", percentile(took, 50), "ms"),
        Figure("opening, slowest", took[-1], "ms", 300),
    ]


async def kept(http: aiohttp.ClientSession, count: int) -> int:
    """Wait until the one session there is has so many events; its key."""
    async with http.get("/api/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                for session in told.get("sessions", [told]):
                    if session.get("seq", 0) >= count:
                        return session["key"]
    raise RuntimeError("the stream ended")


async def idle(hub: Hub) -> list[Figure]:
    """Many sessions that do nothing."""
    before = hub.memory()
    puppet = await hub.agent(*(f"s{number}" for number in range(IDLE)))
    for number in range(IDLE):
        puppet.say(f"s{number}", "done")
        puppet.become(f"s{number}", "idle", stopReason="end_turn")
    await asyncio.sleep(2)
    after = hub.memory()
    await puppet.aclose()
    return [
        Figure(f"memory with {IDLE} idle sessions", after, "MB", 300),
        Figure("of which for the sessions", after - before, "MB"),
    ]


def percentile(ordered: list[float], percent: float) -> float:
    """Of values in order: the smallest that so many percent do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def growth(*, rate: float, seconds: float) -> list[Figure]:
    """More and more agents."""
    figures: list[Figure] = []
    for agents in GROWTH:
        with serving() as hub:
            found = asyncio.run(stream(hub, agents=agents, rate=rate, seconds=seconds, pages=1))
        told = {figure.what: figure for figure in found}
        figures += [
            Figure(f"{agents} agents: CPU per update", told["hub's CPU per update"].value, "us"),
            Figure(f"{agents} agents: lost", told["lost"].value, "", 0),
        ]
    return figures


def main() -> None:
    """Measure one thing and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "what",
        nargs="?",
        default="stream",
        choices=("stream", "approvals", "states", "opening", "idle", "live", "growth"),
    )
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="updates a second, each agent")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pages", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.what == "growth":
        figures = growth(rate=told.rate, seconds=told.seconds)
    else:
        with serving() as hub:
            figures = asyncio.run(measure(hub, told))
    if told.json:
        print(json.dumps([msgspec.to_builtins(figure._asdict()) for figure in figures]))
        return
    for figure in figures:
        target = "" if figure.target is None else f"target <= {figure.target:g}: {figure.met}"
        print(f"{figure.what:42} {figure.value:12.1f} {figure.unit:3} {target}")


async def measure(hub: Hub, told: Any) -> list[Figure]:
    """One of the measurements that need one hub."""
    match told.what:
        case "approvals":
            return await approvals(hub)
        case "states":
            return await states(hub)
        case "live":
            return await live(hub)
        case "opening":
            return await opening(hub)
        case "idle":
            return await idle(hub)
        case _:
            return await stream(
                hub,
                agents=told.agents,
                rate=told.rate,
                seconds=told.seconds,
                pages=told.pages,
            )


if __name__ == "__main__":
    main()
