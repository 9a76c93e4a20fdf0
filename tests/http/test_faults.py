"""What goes wrong: the hub is killed, agents die, the disk is full, a page does not read.

The hub that is killed is a process of its own, started as a person starts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from punie.acp.process import start_agent
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient
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
        told = await self.until(
            lambda: self.get("/api/inbox"), lambda told: len(told["inbox"]) == count
        )
        return told["inbox"]

    async def until(self, ask: Callable[[], Awaitable[Any]], wanted: Callable[[Any], Any]) -> Any:
        """Ask again and again until the answer is as wanted."""
        async with asyncio.timeout(PATIENCE):
            while True:
                told = await ask()
                if wanted(told):
                    return told
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


class Editor(RecordingClient):
    """An editor whose person does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.withdrawn = asyncio.Event()

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        self.permissions.append(params)
        self.asked.set()
        try:
            return await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.withdrawn.set()
            raise


async def test_an_editors_agent_is_back_after_a_kill_and_its_question_is_asked_again(
    tmp_path: Path, port: int
) -> None:
    """`punie acp` and `punie serve` as processes, with another agent that never stops talking."""
    project = tmp_path / "project"
    project.mkdir()
    argv = (sys.executable, "-m", "punie", "acp", "--model", "test")
    environ = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    editor, seen = Editor(), list[dict[str, Any]]()
    async with start_agent(argv, editor, env=environ) as agent:
        await agent.initialize(INITIALIZE)
        async with serve(tmp_path, port) as served:
            watching = asyncio.ensure_future(watch(served, seen))
            session = await agent.new_session(
                v1.NewSessionRequest(cwd=str(project), mcp_servers=[])
            )
            said = [v1.TextContent(text="write notes.txt hello")]
            request = v1.PromptRequest(session_id=session.session_id, prompt=said)
            turn = asyncio.ensure_future(agent.prompt(request))
            await asyncio.wait_for(editor.asked.wait(), PATIENCE)
            (first,) = await served.inbox(1)
            puppet = await served.dial()
            await puppet.start("loud")
            await asyncio.wait_for(puppet.joined["loud"].wait(), PATIENCE)
            until = len(seen) + 500
            async with asyncio.timeout(PATIENCE):
                while len(seen) < until:
                    puppet.say("loud", "word ")
                    await asyncio.sleep(0)
            await served.kill()
            await watching
            await puppet.aclose()
        async with serve(tmp_path, port) as again:
            (asked,) = await again.inbox(1)
            assert (asked["title"], asked["cwd"]) == ("Write notes.txt", str(project))
            assert editor.files == {}
            path = "/api/inbox/{}/select"
            choice = {"option_id": "allow_once"}
            assert await again.post(path.format(first["id"]), choice) in {404, 409}
            assert await again.post(path.format(asked["id"]), choice) == 200
            assert (await turn).stop_reason == "end_turn"
            assert await again.post(path.format(asked["id"]), choice) == 409
            await asyncio.wait_for(editor.withdrawn.wait(), PATIENCE)
            assert len(editor.permissions) == 1  # the editor never noticed
            assert editor.files == {str(project / "notes.txt"): "hello"}
            answers = (await again.get("/api/audit"))["answers"]
            assert [one["outcome"] for one in answers] == ["selected", "withdrawn"]
            kept: dict[int, dict[str, Any]] = {}
            for one in (await again.get("/api/overview"))["sessions"]:
                kept |= {event["seq"]: event for event in await all_events(again, one["key"])}
            assert [event for event in seen if kept.get(event["seq"]) != event] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Wire:
    """A way to the hub that can be cut: all its connections break off."""

    def __init__(self, port: int) -> None:
        self.cuts = 0
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, here}
        await asyncio.wait([
            asyncio.create_task(self._pass(*ends)) for ends in ((reader, here), (there, writer))
        ])

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def cut(self) -> None:
        self.cuts += 1
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()


async def test_sockets_that_are_cut_lose_and_double_nothing(run_hub: Any) -> None:
    """An agent's socket, again and again while it talks and asks."""
    async with run_hub() as running:
        hub_port = int(running.address.url.rsplit(":", 1)[1])
        wire = Wire(hub_port)
        server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        headers = {
            "Authorization": f"Bearer {running.address.token}",
            "Host": f"127.0.0.1:{hub_port}",
        }
        puppet = Puppet(await dial(f"ws://{place}/agents", headers=headers))
        await puppet.start("s1")
        await asyncio.wait_for(puppet.joined["s1"].wait(), PATIENCE)
        question = asyncio.ensure_future(puppet.ask("s1"))
        key = running.hub.sessions.all()[0].key
        asked = await running.asked(key)
        said = [f"{number} " for number in range(600)]
        for number, text in enumerate(said):
            puppet.say("s1", text)
            if number % 200 == 100:
                wire.cut()
                await asyncio.sleep(0)
        answer = {"option_id": "yes"}
        await running.post(f"/api/inbox/{asked['id']}/select", answer)
        assert await asyncio.wait_for(question, PATIENCE) == {
            "outcome": "selected",
            "optionId": "yes",
        }
        await running.until(
            f"?session={key}&states=0&after=0", lambda one: said[-1] in str(one.data["body"])
        )
        (item,) = [
            one
            for one in (await running.get(f"/api/sessions/{key}"))["items"]
            if one["type"] == "message"
        ]
        assert item["content"][0]["text"] == "".join(said)
        assert wire.cuts == 3
        await puppet.aclose()
        server.close()


async def test_a_disk_that_is_really_full_loses_nothing(small_disk: Path, port: int) -> None:
    async with serve(small_disk, port) as served:
        puppet = await served.dial()
        await puppet.start("s1")
        await asyncio.wait_for(puppet.joined["s1"].wait(), PATIENCE)
        question = asyncio.ensure_future(puppet.ask("s1"))
        (asked,) = await served.inbox(1)
        filler = small_disk / "filler"
        fill(filler)
        said = [f"{number} ".ljust(2000, "x") for number in range(100)]
        for text in said:
            puppet.say("s1", text)
        problem = await served.until(lambda: served.get("/api/overview"), lambda it: it["problem"])
        assert "full" in problem["problem"]
        path = f"/api/inbox/{asked['id']}/select"
        assert await served.post(path, {"option_id": "yes"}) == 503
        assert not question.done()  # nothing was decided
        filler.unlink()
        choice = {"option_id": "yes"}
        await served.until(lambda: served.post(path, choice), lambda status: status == 200)
        assert await question == {"outcome": "selected", "optionId": "yes"}
        overview = await served.get("/api/overview")
        assert overview["problem"] == ""
        (session,) = overview["sessions"]
        await served.kill()
        await puppet.aclose()
    async with serve(small_disk, port) as again:
        kept = await all_events(again, session["key"])
        chunks = [event["body"] for event in kept if event["kind"] == "update"]
        assert [chunk["content"]["text"] for chunk in chunks if "content" in chunk] == said


def fill(path: Path) -> None:
    """Take all the room that a disk has."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass
    assert shutil.disk_usage(path.parent).free == 0


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
        pages = running.hub.feed.open(None, states=True)
        path, body = f"/api/inbox/{asked['id']}/select", {"option_id": "allow_once"}
        refused = await running.post(path, body, status=503)
        assert "nothing was decided" in refused["error"]
        assert "disk is full" in (await running.get("/api/overview"))["problem"]
        assert b"event: problem\ndata: " in await pages.take(PATIENCE)
        assert not (settings.folder / "notes.txt").exists()
        full[0] = False
        await running.hub.store.flush()
        assert b'event: problem\ndata: {"problem":""}' in await pages.take(PATIENCE)
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
