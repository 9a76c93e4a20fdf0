"""An agent that an editor started, attached to a real hub: one session, seen and answered in both places."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from punie.acp.errors import DialError
from punie.agent.acp import attach
from punie.agent.acp.attach import find_hub, keep_attached
from punie.agent.runtime import Runtime
from punie.agent.testing import Answers
from punie.http.app import serving
from punie.http.config import HubState, Settings, write_state
from punie.http.hub import Hub, open_hub

EDITOR = "Test Editor 1"
"""What the editor of another process calls itself."""


@asynccontextmanager
async def running_hub(state: Path) -> AsyncGenerator[Hub]:
    settings = Settings(
        port=0,
        in_process=False,
        folder=state.parent,
        database=state.with_name("hub.db"),
        state=state,
    )
    async with open_hub(settings) as hub, serving(hub):
        yield hub


async def until(seen: Callable[[], Any]) -> Any:
    """Look again and again: what is seen happens in another process or task."""
    async with asyncio.timeout(30):
        async for _ in _moments():
            if found := seen():
                return found
    return None


async def _moments() -> AsyncGenerator[None]:
    for _ in range(1_500):
        yield
        await asyncio.sleep(0.02)


@pytest.fixture
def state(environment: dict[str, str]) -> Path:
    folder = Path(environment["HOME"]) / ".local" / "state" / "punie"
    folder.mkdir(parents=True)
    return folder / "hub.json"


async def test_the_hub_shows_an_editors_session_and_answers_for_it(
    process: Any, project: Path, state: Path
) -> None:
    """The editor talks to another process; the hub runs in this one."""
    async with running_hub(state) as hub:
        session_id = await asyncio.to_thread(process.open, project)
        (summary,) = await until(hub.sessions.all)
        assert (summary.session_id, summary.cwd) == (session_id, str(project))
        (agent,) = hub.fleet.views()
        assert (agent.client, agent.project) == (EDITOR, str(project))
        await until(lambda: hub.sessions.all()[0].client == EDITOR)
        await until(lambda: hub.sessions.all()[0].attached)
        prompt = process.prompt(session_id, "write b.txt hello")
        question = await asyncio.to_thread(process.until, method="session/request_permission")
        (asked,) = await until(lambda: list(hub.sessions.all()[0].asked))
        await hub.inbox.select(asked, "allow_once", by="test")
        withdrawn = await asyncio.to_thread(process.until, method="$/cancel_request")
        assert withdrawn["params"]["requestId"] == question["id"]
        answer = await asyncio.to_thread(process.until, id=prompt)
        assert answer["result"]["stopReason"] == "end_turn"
        assert (project / "b.txt").read_text() == "hello"
        await until(lambda: hub.sessions.all()[0].working == "idle")


@asynccontextmanager
async def attached(
    environment: dict[str, str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Runtime]:
    monkeypatch.setattr(attach, "LOOK", 0.05)
    host = Runtime(model="test", environ=environment)
    keeping = asyncio.ensure_future(keep_attached(host, state))
    try:
        yield host
    finally:
        keeping.cancel()
        await asyncio.wait((keeping,))
        await host.aclose()


async def test_a_hub_that_comes_later_or_comes_back_is_found(
    environment, state, project, monkeypatch
) -> None:
    async with attached(environment, state, monkeypatch) as host:
        session = host.open_session(project)
        for _ in range(2):
            async with running_hub(state) as hub:
                await until(lambda hub=hub: [s for s in hub.sessions.all() if s.attached])
                assert (await session.prompt("hello")).stop_reason == "end_turn"
                await until(lambda hub=hub: hub.sessions.all()[0].snippet)
        assert (await session.prompt("hello")).stop_reason == "end_turn"


async def test_sessions_that_open_and_close_later_are_announced(
    environment, state, project, monkeypatch
) -> None:
    async with (
        running_hub(state) as hub,
        attached(environment, state, monkeypatch) as host,
    ):
        await until(hub.fleet.views)
        session = host.open_session(project)
        await until(lambda: [s for s in hub.sessions.all() if s.attached])
        await host.sessions.close(session.id)
        await until(lambda: hub.sessions.all()[0].closed)
        (one,) = hub.sessions.all()
        assert one.closed


async def test_sessions_of_long_ago_are_not_opened_for_the_hub(
    environment, state, project, monkeypatch
) -> None:
    before = Runtime(model="test", environ=environment)
    await before.open_session(project).prompt("hello")
    await before.aclose()
    async with (
        running_hub(state) as hub,
        attached(environment, state, monkeypatch) as host,
    ):
        now = host.open_session(project)
        await until(lambda: [s for s in hub.sessions.all() if s.attached])
        assert [summary.session_id for summary in hub.sessions.all()] == [now.id]
        assert list(host.sessions) == [now]


async def test_when_the_hub_is_lost_the_editor_answers_alone(
    environment, state, project, monkeypatch
) -> None:
    async with attached(environment, state, monkeypatch) as host:
        session = host.open_session(project)
        async with running_hub(state) as hub:
            await until(lambda: [s for s in hub.sessions.all() if s.attached])
            editor = Answers(None)
            session.attach(_nothing, asker=editor)
            turn = asyncio.ensure_future(session.prompt("write b.txt hello"))
            await editor.was_asked.wait()
            await until(lambda: hub.sessions.all()[0].asked)
        assert not turn.done()
        session.cancel()
        assert (await turn).stop_reason == "cancelled"


async def _nothing(_event: object) -> None:
    """Hear an event."""


async def test_the_file_is_read_as_the_hub_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "hub.json"
    assert find_hub(file) is None
    write_state(HubState(url="http://127.0.0.1:8765", token="secret", pid=os.getpid()), file)
    hub = find_hub(file)
    assert hub is not None
    assert hub.token == "secret"
    told = hub.endpoint(name="ide", client="PyCharm 1", project="")
    assert told == "ws://127.0.0.1:8765/agents?name=ide&client=PyCharm+1"
    assert "secret" not in repr(hub)


class Stranger:
    """Somebody else who listens where a dead hub did, and says what the test makes it say."""

    def __init__(self, answer: bytes) -> None:
        self.heard = b""
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._answer)}\r\n\r\n"
        writer.write(head.encode() + self._answer)
        writer.close()


@pytest.mark.parametrize("answer", [b"", b"hello", b"{}", b'{"proof": ""}', b'{"proof": "0f"}'])
async def test_who_took_the_port_of_a_dead_hub_never_hears_the_token(
    environment, state, project, monkeypatch, answer: bytes
) -> None:
    """The number of the hub's process was taken, too: this one's."""
    stranger = Stranger(answer)
    server = await asyncio.start_server(stranger.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    write_state(HubState(url=url, token="secret", pid=os.getpid()), state)
    async with attached(environment, state, monkeypatch) as host:
        host.open_session(project)
        await until(lambda: stranger.heard.count(b"GET /proof") >= 2)
    server.close()
    assert b"secret" not in stranger.heard
    assert b"/agents" not in stranger.heard


async def test_a_proof_counts_for_the_hubs_own_place_alone(state: Path) -> None:
    """Nobody elsewhere can pass on what a hub answered."""
    async with running_hub(state):
        hub = find_hub(state)
        assert hub is not None
        await asyncio.to_thread(attach.require_hub, hub)
        other = hub.url.replace("127.0.0.1", "localhost")
        elsewhere = attach.Hub(url=other, token=hub.token, pid=hub.pid)
        with pytest.raises(DialError, match="does not prove"):
            await asyncio.to_thread(attach.require_hub, elsewhere)


@pytest.mark.parametrize("how", ["dead", "damaged", "readable", "folder"])
async def test_a_file_that_cannot_be_trusted_is_no_hub(tmp_path: Path, how: str, caplog) -> None:
    file = tmp_path / "hub.json"
    pid = 2**31 - 1 if how == "dead" else os.getpid()
    write_state(HubState(url="http://127.0.0.1:8765", token="secret", pid=pid), file)
    if how == "damaged":
        os.truncate(file, 20)
    if how == "readable":
        file.chmod(0o644)
    if how == "folder":
        file.unlink()
        file.mkdir()
    assert find_hub(file) is None
    assert "secret" not in caplog.text
