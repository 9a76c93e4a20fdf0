"""What goes wrong: the hub is killed, agents die, the disk is full, a page does not read.

The hub that is killed is a process of its own, started as a person starts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from punie.acp.transports.websocket import dial
from punie.http.config import AgentCommand, HubState, Settings, read_state
from punie.http.store.sqlite import SqliteStore
from punie.http.testing import Puppet

PATIENCE = 60.0


class Served:
    """A hub in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, state: HubState) -> None:
        self.process = process
        self.state = state

    async def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    async def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.state.token}"}
        async with (
            aiohttp.ClientSession(self.state.url, headers=headers) as http,
            http.get(path) as response,
        ):
            assert response.status == 200
            return await response.json()

    async def post(self, path: str, body: Any) -> int:
        headers = {"Authorization": f"Bearer {self.state.token}"}
        async with (
            aiohttp.ClientSession(self.state.url, headers=headers) as http,
            http.post(path, json=body) as response,
        ):
            return response.status

    async def inbox(self, count: int) -> list[dict[str, Any]]:
        """What waits, once it is so many."""
        async with asyncio.timeout(PATIENCE):
            while True:
                waiting = (await self.get("/api/inbox"))["inbox"]
                if len(waiting) == count:
                    return waiting
                await asyncio.sleep(0.05)

    async def dial(self) -> Puppet:
        url = self.state.url.replace("http", "ws") + "/agents"
        return Puppet(await dial(url, headers={"Authorization": f"Bearer {self.state.token}"}))


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@asynccontextmanager
async def serve(folder: Path, port: int) -> AsyncGenerator[Served, None]:
    environ = os.environ | {"XDG_STATE_HOME": str(folder)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "punie", "serve", "--model", "test", "--port", str(port)),
        cwd=folder,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert b"/?token=" in line
        state = read_state(folder / "punie" / "hub.json")
        assert state is not None
        yield Served(process, state)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def watch(served: Served, seen: list[dict[str, Any]]) -> None:
    """Read the log of everything, as a page does, until the hub is gone."""
    headers = {"Authorization": f"Bearer {served.state.token}"}
    async with (
        aiohttp.ClientSession(served.state.url, headers=headers) as http,
        http.get("/api/events?session=all&states=0&after=0") as response,
    ):
        try:
            async for line in response.content:
                seen += [json.loads(line[6:])] if line.startswith(b"data: ") else []
        except aiohttp.ClientError:
            pass


async def all_events(served: Served, session: int) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while True:
        after = events[-1]["seq"] if events else 0
        page = (await served.get(f"/api/sessions/{session}/events?after={after}"))["events"]
        if not page:
            return events
        events += page


async def test_what_a_page_saw_is_there_after_a_kill(tmp_path: Path, port: int) -> None:
    seen: list[dict[str, Any]] = []
    async with serve(tmp_path, port) as served:
        watching = asyncio.ensure_future(watch(served, seen))
        puppet = await served.dial()
        await puppet.start("s1")
        await asyncio.wait_for(puppet.joined["s1"].wait(), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while len(seen) < 2000:  # under load: as fast as the loop turns
                for _ in range(50):
                    puppet.say("s1", "word ")
                await asyncio.sleep(0)
        await served.kill()
        await watching
        await puppet.aclose()
    async with serve(tmp_path, port) as again:
        (session,) = (await again.get("/api/overview"))["sessions"]
        kept = {event["seq"]: event for event in await all_events(again, session["key"])}
        assert len(seen) >= 2000
        assert [event for event in seen if kept.get(event["seq"]) != event] == []


async def test_a_killed_hub_asks_again_and_nobody_answers_twice(tmp_path: Path, port: int) -> None:
    async with serve(tmp_path, port) as served:
        puppet = await served.dial()
        await puppet.start("s1")
        await asyncio.wait_for(puppet.joined["s1"].wait(), PATIENCE)
        question = asyncio.ensure_future(puppet.ask("s1"))
        (first,) = await served.inbox(1)
        await served.kill()
        question.cancel()
        await puppet.aclose()
    async with serve(tmp_path, port) as again:
        assert again.state.token == served.state.token  # open pages stay logged in
        assert (await again.get("/api/inbox"))["inbox"] == []
        puppet = await again.dial()
        await puppet.start("s1")
        await asyncio.wait_for(puppet.joined["s1"].wait(), PATIENCE)
        question = asyncio.ensure_future(puppet.ask("s1"))
        (asked,) = await again.inbox(1)
        assert await again.post(f"/api/inbox/{first['id']}/select", {"option_id": "yes"}) == 404
        assert await again.post(f"/api/inbox/{asked['id']}/select", {"option_id": "no"}) == 200
        assert await question == {"outcome": "selected", "optionId": "no"}
        answers = (await again.get("/api/audit"))["answers"]
        assert [one["outcome"] for one in answers] == ["selected", "withdrawn"]
        await puppet.aclose()


async def test_a_hub_that_stops_in_order_leaves_no_state_file(tmp_path: Path, port: int) -> None:
    async with serve(tmp_path, port) as served:
        served.process.terminate()
        assert await served.process.wait() == 0
        assert read_state(tmp_path / "punie" / "hub.json") is None


async def test_a_killed_agent_is_started_again_and_its_turn_is_over(
    run_hub: Any, settings: Settings
) -> None:
    argv = (sys.executable, "-m", "punie", "acp", "--model", "test")
    chosen = msgspec.structs.replace(
        settings, in_process=False, commands=(AgentCommand(name="child", command=argv),)
    )
    async with run_hub(chosen) as running:
        session = await running.new_session()
        await running.prompt(session, "count slowly to 90")
        await running.until(
            f"?session={session}&after=0",
            lambda one: one.name == "log" and "chunk" in str(one.data["body"]),
        )
        for child in children():
            os.kill(child, signal.SIGKILL)
        log = await running.idle(session)
        assert log[-1].data["body"]["error"]["message"] == "the agent ended before the turn did"
        (agent,) = (await running.get("/api/overview"))["agents"]
        assert agent["restarts"] == 1


def children() -> list[int]:
    """The processes that this one started and that are agents."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            parent = entry.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            command = entry.joinpath("cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and b"acp" in command:
            found.append(int(entry.name))
    return found


async def test_an_agent_that_cannot_start_says_why(run_hub: Any, settings: Settings) -> None:
    command = AgentCommand(name="broken", command=("no-such-program-here",))
    chosen = msgspec.structs.replace(settings, in_process=False, commands=(command,))
    async with run_hub(chosen) as running:
        last = await running.until(
            "", lambda one: one.name == "agent" and one.data["condition"] == "waiting"
        )
        assert "no-such-program-here" in last[-1].data["problem"]


async def test_a_full_disk_loses_nothing_and_allows_nothing(
    run_hub: Any, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    full = [False]
    real = SqliteStore._try

    def attempt(self: Any, group: Any) -> None:
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        real(self, group)

    monkeypatch.setattr(SqliteStore, "_try", attempt)
    monkeypatch.setattr("punie.http.inbox.WRITING", 0.3)
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "write notes.txt hello")
        asked = await running.asked(session)
        full[0] = True
        path, body = f"/api/inbox/{asked['id']}/select", {"option_id": "allow_once"}
        refused = await running.post(path, body, status=503)
        assert "nothing was decided" in refused["error"]
        assert "disk is full" in (await running.get("/api/overview"))["problem"]
        assert not (settings.folder / "notes.txt").exists()
        full[0] = False
        await running.hub.store.flush()
        await running.post(path, body)
        await running.idle(session)
        assert (settings.folder / "notes.txt").read_text() == "hello"


async def test_a_page_that_does_not_read_is_dropped_and_misses_nothing(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(running.address.url.rsplit(":", 1)[1]), limit=1024
        )
        host = running.address.url.removeprefix("http://")
        writer.write(
            f"GET /api/events?session={session}&after=0 HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {running.address.token}\r\n\r\n".encode()
        )
        assert b"200" in await reader.readline()
        await reader.readuntil(b"event: overview")
        text = json.dumps({
            "sessionUpdate": "agent_message_chunk",
            "messageId": "m",
            "content": {"type": "text", "text": "x" * 100_000},
        }).encode()
        async with asyncio.timeout(PATIENCE):
            while len(running.hub.feed):
                await running.hub.sessions.update(session, text)
                await running.hub.store.flush()
        writer.close()
        last = running.hub.store.last_seq
        seen = await running.until(
            f"?session={session}&after=0&states=0", lambda one: one.id == last
        )
        ids = [one.id for one in seen]
        assert ids == sorted(set(ids))
        events = await running.hub.store.events(session=session, limit=100_000)
        assert ids == [event.seq for event in events]


async def test_a_clock_that_jumps_changes_no_order(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        now = [2e9]
        running.hub.sessions._clock = lambda: now[0]
        for at in (2e9, 1e9, 3e9):
            now[0] = at
            running.hub.sessions.record(session, "prompts", {"waiting": []})
        await running.hub.store.flush()
        events = await running.hub.store.events(session=session)
        assert [event.at for event in events][-3:] == [2e9, 1e9, 3e9]
        assert [event.seq for event in events] == sorted(event.seq for event in events)
