"""What keeping sessions costs, beside the same turns without.

    uv run python benchmarks/sessions.py [-n 40] [--json]

- `turn`: a turn of three model requests with a read and a permitted edit, by a scripted model; the
  one with a record and the one without run by turns. Wall and CPU time in ms.
- `load`: opening a kept session of 1,000 events, from the call to a session that can be joined.
- `replay`: what a client waits for `session/load` of that session, in this process over memory.

Each figure is the median of n with its quartiles. CPU is that of the whole process, the journal's thread
included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

from punie.acp.agent_side import serve_dual
from punie.acp.schema import v1
from punie.acp.testing import RecordingClient, served
from punie.acp.transports.base import Transport
from punie.agent.acp.agent import PunieAgent
from punie.agent.events import AgentMessageChunk, AnyEvent, StateUpdate, UserMessage
from punie.agent.runtime import Runtime
from punie.agent.sessions.journal import Journal
from punie.agent.sessions.manager import Sessions
from punie.agent.sessions.record import Record
from punie.agent.sessions.session import Session
from punie.agent.sessions.store import Stored
from punie.agent.testing import Call, brain_opener
from punie.agent.workspaces.local import LocalWorkspace

STEPS = [
    [Call("read_file", {"path": "a.txt"})],
    [Call("edit_file", {"path": "a.txt", "old": "old", "new": "new"})],
    ["It is done."],
]
EVENTS = 1_000


async def main(count: int, as_json: bool) -> None:
    """Measure everything and print it."""
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await turns(folder, count, figures)
        await loads(folder, count, figures)
    shown = {what: spread(values) for what, values in figures.items()}
    if as_json:
        print(json.dumps({"n": count, "ms": shown}))
        return
    print(f"n = {count}, ms: median (quartiles)")
    for what, (low, middle, high) in shown.items():
        print(f"{what:<24} {middle:8.2f}  ({low:.2f} to {high:.2f})")


async def turns(folder: Path, count: int, figures: dict[str, list[float]]) -> None:
    """Run the same turn with and without a record, one after the other."""
    journal = Journal(folder / "state")
    without = session_in(folder / "without", Sessions(), count)
    kept = session_in(folder / "kept", Sessions(journal), count)
    for number in range(count + 3):
        for what, session in (("without", without), ("kept", kept)):
            (session.workspace.root / "a.txt").write_text("old text\n", encoding="utf-8")
            wall, cpu = await timed(lambda session=session: session.prompt("go"))
            if number >= 3:  # the first ones also load modules
                figures.setdefault(f"turn {what}, wall", []).append(wall)
                figures.setdefault(f"turn {what}, CPU", []).append(cpu)
    await journal.aclose()


def session_in(root: Path, sessions: Sessions, count: int) -> Session:
    """Open a session with a model that answers `count` turns and some more."""
    root.mkdir()
    return sessions.open(
        "s",
        workspace=LocalWorkspace(root),
        mode="edit",
        open_brain=brain_opener(STEPS * (count + 3)),
    )


async def loads(folder: Path, count: int, figures: dict[str, list[float]]) -> None:
    """Load a long session, alone and over the protocol."""
    environ = {"HOME": str(folder)}
    state = folder / ".local" / "state" / "punie"
    await write_long(state, folder)
    for _ in range(count):
        runtime = Runtime(model="test", environ=environ)
        await runtime.sessions.page()  # opens the file
        wall, cpu = await timed(lambda runtime=runtime: runtime.load_session("long"))
        await runtime.aclose()
        figures.setdefault("load, wall", []).append(wall)
        figures.setdefault("load, CPU", []).append(cpu)

    def serve(transport: Transport) -> Any:
        def host() -> Runtime:
            return Runtime(model="test", environ=environ)

        return serve_dual(lambda client: PunieAgent(client, host), transport)

    request = v1.LoadSessionRequest(session_id="long", cwd=str(folder), mcp_servers=[])
    for _ in range(count):
        client = RecordingClient()
        async with served(serve, client) as agent:
            await agent.initialize(v1.InitializeRequest(protocol_version=1))
            await agent.list_sessions(v1.ListSessionsRequest())
            wall, cpu = await timed(lambda agent=agent: agent.load_session(request))
        figures.setdefault("replay, wall", []).append(wall)
        figures.setdefault("replay, CPU", []).append(cpu)


async def write_long(state: Path, folder: Path) -> None:
    """Keep a session of 1,000 events: prompts and answers."""
    journal = Journal(state)
    now = time.time()
    record = Record(journal, Stored(session_id="long", cwd=str(folder), created=now, updated=now))
    for number in range(EVENTS // 4):
        events: list[AnyEvent] = [
            UserMessage(message_id=f"u{number}", text="Please look at this. " * 10),
            StateUpdate(state="running"),
            AgentMessageChunk(message_id=f"a{number}", text="This is what I found. " * 10),
            StateUpdate(state="idle", stop_reason="end_turn"),
        ]
        for event in events:
            await record.append(event)
    await journal.aclose()


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Give wall and CPU time in ms."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def spread(values: list[float]) -> tuple[float, float, float]:
    """Give the lower quartile, the median and the upper quartile."""
    low, middle, high = quantiles(values, n=4)
    return low, middle, high


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.n, arguments.json))
