"""The official Python SDK as client and as agent, over pipes and over WebSocket.

One whole turn with everything a client offers is in `tests/acp/test_official_sdk.py`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from punie.acp.agent_side import serve
from punie.acp.client_side import connect
from punie.acp.process import start_agent
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient
from punie.acp.testing.bench_agent import BenchAgent
from punie.acp.transports.websocket import Endpoint, dial

acp = pytest.importorskip("acp", reason="the official Python SDK is not installed")

NEW = v1.NewSessionRequest(cwd="/", mcp_servers=[])


def content_of(path: str) -> str:
    if not Path(path).exists():
        raise acp.RequestError.resource_not_found(path)
    return Path(path).read_text("utf-8")


class Client(acp.Client):
    """An editor made with the official SDK: real files, and one answer to every question."""

    def __init__(self, wanted: str = "allow_once") -> None:
        self.wanted = wanted
        self.updates: list[Any] = []
        self.began = asyncio.Event()
        self.asked = asyncio.Event()
        self.never = asyncio.Event()

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)
        if update.session_update == "agent_message_chunk":
            self.began.set()

    async def request_permission(
        self, options: Any, session_id: str, tool_call: Any, **_: Any
    ) -> Any:
        self.asked.set()
        if self.wanted == "nothing":
            await self.never.wait()
        chosen = next(one for one in options if one.kind == self.wanted)
        outcome = acp.schema.AllowedOutcome(outcome="selected", option_id=chosen.option_id)
        return acp.RequestPermissionResponse(outcome=outcome)

    async def read_text_file(self, path: str, session_id: str, **_: Any) -> Any:
        return acp.ReadTextFileResponse(content=await asyncio.to_thread(content_of, path))

    async def write_text_file(self, content: str, path: str, session_id: str, **_: Any) -> Any:
        await asyncio.to_thread(Path(path).write_text, content, encoding="utf-8")
        return acp.WriteTextFileResponse()

    def on_connect(self, conn: Any) -> None:
        pass

    def text(self) -> str:
        return "".join(
            update.content.text
            for update in self.updates
            if update.session_update in ("agent_message_chunk", "user_message_chunk")
        )


CAPABILITIES = acp.schema.ClientCapabilities(
    fs=acp.schema.FileSystemCapabilities(read_text_file=True, write_text_file=True)
)


@asynccontextmanager
async def started(client: Client, punie: list[str]) -> AsyncIterator[Any]:
    async with acp.spawn_agent_process(client, *punie, use_unstable_protocol=True) as (agent, _):
        await agent.initialize(protocol_version=1, client_capabilities=CAPABILITIES)
        yield agent


async def prompt(agent: Any, session_id: str, text: str) -> str:
    done = await agent.prompt(session_id=session_id, prompt=[acp.text_block(text)])
    return done.stop_reason


# Its client, Punie's agent


async def test_its_client_writes_a_file_with_punie(
    punie: list[str], project: Path, own_home: Path
) -> None:
    client = Client()
    async with started(client, punie) as agent:
        session = await agent.new_session(cwd=str(project), mcp_servers=[])
        assert await prompt(agent, session.session_id, "write note.txt kept") == "end_turn"
    assert (project / "note.txt").read_text("utf-8") == "kept"
    kinds = [update.session_update for update in client.updates]
    assert kinds.index("tool_call") < kinds.index("tool_call_update")


async def test_its_client_cancels_what_punie_does(
    punie: list[str], project: Path, own_home: Path
) -> None:
    client = Client()
    async with started(client, punie) as agent:
        session_id = (await agent.new_session(cwd=str(project), mcp_servers=[])).session_id
        turn = asyncio.ensure_future(prompt(agent, session_id, "count slowly to 500"))
        await client.began.wait()
        await agent.cancel(session_id=session_id)
        assert await turn == "cancelled"
        assert await prompt(agent, session_id, "hello") == "end_turn"


async def test_its_client_cancels_while_punie_waits_for_a_permission(
    punie: list[str], project: Path, own_home: Path
) -> None:
    client = Client("nothing")
    async with started(client, punie) as agent:
        session_id = (await agent.new_session(cwd=str(project), mcp_servers=[])).session_id
        turn = asyncio.ensure_future(prompt(agent, session_id, "write note.txt no"))
        await client.asked.wait()
        await agent.cancel(session_id=session_id)
        assert await turn == "cancelled"
    assert not (project / "note.txt").exists()


async def test_its_client_sets_what_punie_offers(
    punie: list[str], project: Path, own_home: Path
) -> None:
    async with started(Client(), punie) as agent:
        session = await agent.new_session(cwd=str(project), mcp_servers=[])
        for option in session.config_options:
            answer = await agent.set_config_option(
                session_id=session.session_id, config_id=option.id, value=option.current_value
            )
            assert [one.id for one in answer.config_options] == [
                one.id for one in session.config_options
            ]
        await agent.set_session_mode(session_id=session.session_id, mode_id="edit")


async def test_its_client_opens_a_session_of_a_process_that_is_gone(
    punie: list[str], project: Path, own_home: Path
) -> None:
    async with started(Client(), punie) as agent:
        session_id = (await agent.new_session(cwd=str(project), mcp_servers=[])).session_id
        assert await prompt(agent, session_id, "hello") == "end_turn"
    client = Client()
    async with started(client, punie) as agent:
        listed = await agent.list_sessions(cwd=str(project))
        assert [one.session_id for one in listed.sessions] == [session_id]
        await agent.load_session(cwd=str(project), session_id=session_id, mcp_servers=[])
        assert client.text().startswith("hello")
        assert await prompt(agent, session_id, "hello") == "end_turn"


# Its agent, the client made here


class Agent(acp.Agent):
    """An agent made with the official SDK: echoes, asks, and waits to be cancelled."""

    def __init__(self, client: Any = None) -> None:
        self.client = client
        self.stop = asyncio.Event()

    def on_connect(self, conn: Any) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> Any:
        info = acp.schema.Implementation(name="python", version="1")
        return acp.InitializeResponse(protocol_version=1, agent_info=info)

    async def new_session(self, cwd: str, **_: Any) -> Any:
        return acp.NewSessionResponse(session_id="s")

    async def prompt(self, session_id: str, prompt: Any, **_: Any) -> Any:
        text = prompt[0].text
        if text == "ask":
            option = acp.schema.PermissionOption(option_id="yes", name="Yes", kind="allow_once")
            call = acp.schema.ToolCallUpdate(tool_call_id="t", title="Edit")
            answer = await self.client.request_permission(
                session_id=session_id, tool_call=call, options=[option]
            )
            text = answer.outcome.option_id
        await self.client.session_update(session_id, acp.update_agent_message_text(text))
        if text == "hang":
            await self.stop.wait()
            return acp.PromptResponse(stop_reason="cancelled")
        return acp.PromptResponse(stop_reason="end_turn")

    async def cancel(self, session_id: str, **_: Any) -> None:
        self.stop.set()


class Ours(RecordingClient):
    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    async def session_update(self, params: v1.SessionNotification) -> None:
        await super().session_update(params)
        self.told.set()


async def drive(agent: Any, client: Ours) -> None:
    """A turn, a question, and a cancelled turn."""
    await agent.initialize(INITIALIZE)
    assert agent.info == v1.Implementation(name="python", version="1")
    session_id = (await agent.new_session(NEW)).session_id

    def said(text: str) -> v1.PromptRequest:
        return v1.PromptRequest(session_id=session_id, prompt=[v1.TextContent(text=text)])

    assert (await agent.prompt(said("x" * 200_000))).stop_reason == "end_turn"
    assert client.text == "x" * 200_000
    await agent.prompt(said("ask"))
    assert client.text.endswith("yes")
    client.told.clear()
    turn = asyncio.ensure_future(agent.prompt(said("hang")))
    await client.told.wait()
    await agent.cancel(session_id)
    assert (await turn).stop_reason == "cancelled"


async def test_its_agent_is_driven_over_pipes() -> None:
    script = (
        "import asyncio, importlib.util, sys, acp\n"
        f"spec = importlib.util.spec_from_file_location('theirs', {__file__!r})\n"
        "theirs = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(theirs)\n"
        "asyncio.run(acp.run_agent(theirs.Agent()))\n"
    )
    client = Ours()
    async with start_agent([sys.executable, "-c", script], client) as agent:
        await drive(agent, client)


@pytest.fixture
async def its_server() -> AsyncIterator[str]:
    """The URL of an agent behind the SDK's own WebSocket server."""
    uvicorn = pytest.importorskip("uvicorn")
    asgi = pytest.importorskip("acp.http.asgi")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        asgi.create_asgi_app(Agent), log_level="error", ws="websockets-sansio", lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/acp"
    server.should_exit = True
    await serving


async def test_its_agent_is_driven_over_websocket(its_server: str) -> None:
    client = Ours()
    transport = await dial(its_server)
    assert transport.connection_id
    assert not transport.resumable
    async with connect(client, transport) as agent:
        await drive(agent, client)


async def test_its_websocket_client_is_served() -> None:
    from aiohttp import web

    ws = pytest.importorskip("acp.ws.client", reason="its extra `http` is not installed")
    endpoint = Endpoint(lambda transport, _: serve(BenchAgent, transport))
    app = web.Application()
    app.router.add_get("/acp", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = Client()
    stream = await ws.create_websocket_stream(f"ws://127.0.0.1:{runner.addresses[0][1]}/acp")
    async with acp.connect_to_agent(client, stream) as agent:
        hello = await agent.initialize(protocol_version=1, client_capabilities=CAPABILITIES)
        assert hello.agent_info.name == "punie-acp bench"
        session = await agent.new_session(cwd="/", mcp_servers=[])
        assert await prompt(agent, session.session_id, "bench:stream:200:100") == "end_turn"
        assert len(client.text()) == 20_000
    await endpoint.aclose()
    await runner.cleanup()
