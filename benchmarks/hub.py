"""The hub under load: real WebSockets from many agents, real server-sent events to pages.

    uv run python benchmarks/hub.py [--agents 200] [--rate 20] [--seconds 60] [--pages 5] [--json]
    uv run python benchmarks/hub.py approvals | tools | states | opening | idle | live | growth | comeback

`stream` (the default): each agent sends `rate` updates a second; each page listens to everything.
Counted are updates that did not arrive or came twice, and the time from an agent's write to a page's
read. `approvals`: the time from a person's answer to the agent that hears it. `tools`: the time from a person's
answer to the tool of Punie's own agent that starts, as a page sees it. `states`: the time from an agent
that changes what it does to a page that shows it. `live`: what a session of Punie's own agent costs. `opening`: the time to
the first content of a session of 10,000 events. `idle`: memory with 1,000 idle sessions. `growth`: the
hub's CPU time per update with 50 to 400 agents. `comeback`: the time from a hub that is there again after
`kill -9` to an editor's agent that is attached again.

The hub is `punie serve` in a process of its own; agents and pages share a second process, which
costs about as much as the hub, so on two cores both are measured together. Percentiles are those of all
samples of one run; n is printed. Needs Linux, for the memory and CPU time of a process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from hub_rig import (
    Figure,
    Hub,
    asked,
    attached,
    browsing,
    editing_in,
    free_port,
    greeted,
    kept,
    percentile,
    ready,
    serving,
    serving_in,
    settled,
    spread,
)

from punie.http.testing import Puppet

EVENTS = 10_000
"""Events of the session that `opening` opens."""
APPROVALS = 200
TOOLS = 100
COMEBACKS = 10
CHANGES = 300
LIVE = 50
IDLE = 1000
GROWTH = (50, 100, 200, 400)


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
    return spread("answer to agent", took, at=99, aim=50)


async def tools(hub: Hub) -> list[Figure]:
    """A person allows a write; Punie's own agent begins it."""
    took: list[float] = []
    async with browsing(hub) as http:
        await ready(http)
        async with http.post("/api/sessions", json={}) as response:
            key = (await response.json())["key"]
        async with http.get(f"/api/events?session={key}&after=0") as response:
            for number in range(TOOLS):
                prompt = {"text": f"write notes.txt {number}"}
                (await http.post(f"/api/sessions/{key}/prompts", json=prompt)).close()
                waiting = await asked(http)
                began = time.perf_counter()
                path = f"/api/inbox/{waiting[0]['id']}/select"
                answering = asyncio.create_task(http.post(path, json={"option_id": "allow_once"}))
                async for line in response.content:
                    if b'"status":"in_progress"' in line and line.startswith(b'data: {"seq"'):
                        break
                took.append(1000 * (time.perf_counter() - began))
                (await answering).close()
                async for line in response.content:
                    if b'"stopReason"' in line and line.startswith(b'data: {"seq"'):
                        break
    return spread("answer to tool started", took, at=99, aim=50)


def comeback() -> list[Figure]:
    """The hub is killed and started again; an editor's agent attaches again."""
    took: list[float] = []

    async def wait(hub: Hub) -> None:
        async with browsing(hub) as http:
            await attached(http)

    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        with editing_in(folder):
            for number in range(COMEBACKS + 1):
                with serving_in(folder, port) as hub:
                    began = time.perf_counter()
                    asyncio.run(wait(hub))
                    if number:  # the first time it had never been attached
                        took.append(time.perf_counter() - began)
                    os.kill(hub.pid, signal.SIGKILL)
    return spread("hub is back to agent is back", took, at=100, aim=3, unit="s")


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
    return spread("state to page", took, at=95, aim=100)


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
        Figure("opening a live session, p95", percentile(took, 95), "ms", 5),
        Figure("memory of a live session", (after - before) / LIVE, "MB", 0.5),
    ]


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
    return spread(f"opening {EVENTS} events", took, at=100, aim=300)


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
        choices=(
            "stream",
            "approvals",
            "tools",
            "states",
            "opening",
            "idle",
            "live",
            "growth",
            "comeback",
        ),
    )
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="updates a second, each agent")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pages", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.what == "growth":
        figures = growth(rate=told.rate, seconds=told.seconds)
    elif told.what == "comeback":
        figures = comeback()
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
        case "tools":
            return await tools(hub)
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
