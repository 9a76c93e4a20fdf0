"""The official TypeScript SDK: its client with Punie's agent, its server with Punie's client."""

from __future__ import annotations

import asyncio
import json
import runpy
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from punie.acp.agent_side import serve, serve_dual
from punie.acp.client_side import connect
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient
from punie.acp.testing.bench_agent import BenchAgent
from punie.acp.transports.websocket import Endpoint, dial

Typescript = Callable[..., dict[str, Any]]

HELLO = {
    "method": "initialize",
    "params": {
        "protocolVersion": 1,
        "clientCapabilities": {"fs": {"readTextFile": True, "writeTextFile": True}},
        "clientInfo": {"name": "typescript", "version": "2.4.0"},
    },
}


def new(folder: Path | str) -> dict[str, Any]:
    return {"method": "session/new", "params": {"cwd": str(folder), "mcpServers": []}}


def kinds(seen: dict[str, Any]) -> list[str]:
    return [update["sessionUpdate"] for update in seen["updates"]]


def test_its_client_writes_a_file_through_the_editor_after_a_permission(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    steps = [HELLO, new(project), {"prompt": "write note.txt kept"}, {"prompt": "read note.txt"}]
    seen = typescript("v1", punie, steps)
    hello, session, *turns = seen["results"]
    assert hello["agentInfo"]["name"] == "punie"
    assert session["configOptions"]
    assert [turn["answer"]["stopReason"] for turn in turns] == ["end_turn", "end_turn"]
    assert (project / "note.txt").read_text("utf-8") == "kept"
    asked = next(one for one in seen["asked"] if "options" in one)
    assert asked["toolCall"]["title"] == "Write note.txt"
    assert kinds(seen).index("tool_call") < kinds(seen).index("tool_call_update")


def test_every_update_of_a_turn_reaches_its_client_before_the_answer(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    seen = typescript("v1", punie, [HELLO, new(project), {"prompt": "hello"}])
    told = [update for update in seen["updates"] if update["sessionUpdate"] != "usage_update"]
    assert told[-1]["content"]["text"].startswith("Hello")
    assert seen["results"][-1]["updates"] >= len(told)


def test_a_rejected_permission_of_its_client_changes_nothing(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    steps = [HELLO, new(project), {"prompt": "write note.txt no"}]
    seen = typescript("v1", punie, steps, permission="reject")
    assert seen["results"][-1]["answer"]["stopReason"] == "end_turn"
    assert not (project / "note.txt").exists()
    statuses = [update.get("status") for update in seen["updates"]]
    assert "failed" in statuses
    assert "completed" not in statuses


def test_its_client_cancels_a_turn_and_the_next_one_runs(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    cancelled = {"prompt": "count slowly to 500", "cancelAt": "agent_message_chunk"}
    seen = typescript("v1", punie, [HELLO, new(project), cancelled, {"prompt": "hello"}])
    assert [turn["answer"]["stopReason"] for turn in seen["results"][2:]] == [
        "cancelled",
        "end_turn",
    ]


def test_its_client_cancels_a_turn_while_a_permission_is_open(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    cancelled = {"prompt": "write note.txt no", "cancelAt": "tool_call"}
    seen = typescript("v1", punie, [HELLO, new(project), cancelled], permission="hang")
    assert seen["results"][-1]["answer"]["stopReason"] == "cancelled"
    assert not (project / "note.txt").exists()


def test_its_client_has_two_sessions_that_know_nothing_of_each_other(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    prompt = {"prompt": "write note.txt kept"}
    steps = [HELLO, new(project), prompt, HELLO, new(project), {"prompt": "read note.txt"}]
    seen = typescript("v1", punie, steps)
    assert seen["results"][0] == seen["results"][3]
    assert seen["results"][1]["sessionId"] != seen["results"][4]["sessionId"]
    assert seen["results"][-1]["answer"]["stopReason"] == "end_turn"


def test_its_client_gets_the_codes_of_the_specification(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    steps = [
        new(project),
        HELLO,
        {"method": "_unknown/method", "params": {}},
        {"method": "session/set_mode", "params": {"sessionId": "nobody", "modeId": "ask"}},
        {"method": "session/new", "params": {"cwd": "relative", "mcpServers": []}},
    ]
    results = typescript("v1", punie, steps)["results"]
    codes = [result.get("error", {}).get("code") for result in results]
    assert codes == [-32600, None, -32601, -32002, -32602]


def test_a_large_update_passes_in_one_piece(typescript: Typescript) -> None:
    agent = [sys.executable, "-m", "punie.acp.testing.bench_agent"]
    seen = typescript("v1", agent, [HELLO, new("/"), {"prompt": "bench:big:2:5000000"}])
    sizes = [len(json.dumps(update)) for update in seen["updates"]]
    assert max(sizes) > 5_000_000
    assert seen["results"][-1] == {"answer": {"stopReason": "end_turn"}, "updates": 4}


# Version 2


HELLO_2 = {
    "method": "initialize",
    "params": {"protocolVersion": 2, "info": {"name": "typescript", "version": "2.4.0"}},
}


def new_2(folder: Path) -> dict[str, Any]:
    return {"method": "session/new", "params": {"cwd": str(folder)}}


def states(seen: dict[str, Any]) -> list[str]:
    return [one["state"] for one in seen["updates"] if one["sessionUpdate"] == "state_update"]


def test_its_client_of_version_2_writes_a_file_after_a_permission(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    seen = typescript("v2", punie, [HELLO_2, new_2(project), {"prompt": "write note.txt kept"}])
    hello, session, turn = seen["results"]
    assert (hello["protocolVersion"], hello["info"]["name"]) == (2, "punie")
    assert session["configOptions"]
    assert turn["idle"]["stopReason"] == "end_turn"
    assert (project / "note.txt").read_text("utf-8") == "kept"
    (asked,) = seen["asked"]
    assert asked["subject"]["type"] == "tool_call"
    assert states(seen) == ["running", "requires_action", "running", "idle"]
    (said,) = [one for one in seen["updates"] if one["sessionUpdate"] == "user_message"]
    assert said["messageId"] == turn["answer"]["messageId"]
    statuses = [one.get("status") for one in seen["updates"] if "toolCallId" in one]
    assert statuses[0] == "pending"
    assert statuses[-1] == "completed"
    assert {"fs/read_text_file", "terminal/create"}.isdisjoint(kinds(seen))


def test_its_client_of_version_2_cancels_a_turn_and_the_next_one_runs(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    cancelled = {"prompt": "count slowly to 500", "cancelAt": "agent_message_chunk"}
    steps = [HELLO_2, new_2(project), cancelled, {"prompt": "hello"}]
    seen = typescript("v2", punie, steps)
    assert [turn["idle"]["stopReason"] for turn in seen["results"][2:]] == ["cancelled", "end_turn"]


def test_its_client_of_version_2_cancels_while_a_permission_is_open(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    cancelled = {"prompt": "write note.txt no", "cancelAt": "tool_call_update"}
    seen = typescript("v2", punie, [HELLO_2, new_2(project), cancelled], permission="hang")
    assert seen["results"][-1]["idle"]["stopReason"] == "cancelled"
    assert not (project / "note.txt").exists()


def test_its_client_of_version_2_resumes_a_session_of_a_process_that_is_gone(
    typescript: Typescript, punie: list[str], project: Path
) -> None:
    before = typescript("v2", punie, [HELLO_2, new_2(project), {"prompt": "hello"}])
    session_id = before["results"][1]["sessionId"]
    resume = {
        "method": "session/resume",
        "params": {"sessionId": session_id, "cwd": str(project), "replayFrom": {"type": "start"}},
    }
    listed = {"method": "session/list", "params": {"cwd": str(project)}}
    close = {"method": "session/close", "params": {"sessionId": session_id}}
    steps = [HELLO_2, listed, resume, {"prompt": "hello", "session": session_id}, close]
    seen = typescript("v2", punie, steps)
    assert [one["sessionId"] for one in seen["results"][1]["sessions"]] == [session_id]
    assert seen["results"][2]["configOptions"]
    assert seen["results"][3]["idle"]["stopReason"] == "end_turn"
    assert seen["results"][4].get("error") is None
    assert kinds(seen).count("user_message") == 2


def test_a_client_that_asks_for_a_later_version_gets_the_latest_there_is(
    typescript: Typescript, punie: list[str]
) -> None:
    later = HELLO_2 | {"params": HELLO_2["params"] | {"protocolVersion": 65535}}
    assert typescript("v2", punie, [later])["results"][0]["protocolVersion"] == 2


# Over WebSocket


@asynccontextmanager
async def mounted(endpoint: Endpoint) -> AsyncIterator[str]:
    """The URL of an endpoint."""
    app = web.Application()
    app.router.add_get("/acp", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}/acp"
    await endpoint.aclose()
    await runner.cleanup()


async def test_its_websocket_client_is_served(typescript: Typescript) -> None:
    steps = [HELLO, new("/"), {"prompt": "bench:stream:500:100"}, {"prompt": "nonsense"}]
    endpoint = Endpoint(lambda transport, _: serve(BenchAgent, transport))
    async with mounted(endpoint) as url:
        seen = await asyncio.to_thread(typescript, "v1", [url], steps)
    assert seen["results"][2] == {"answer": {"stopReason": "end_turn"}, "updates": 500}
    assert seen["results"][3]["error"]["code"] == -32602


async def test_its_websocket_client_of_version_2_is_served(
    typescript: Typescript, project: Path
) -> None:
    path = Path(__file__).parents[3] / "examples" / "acp_dual_agent.py"
    example: dict[str, Any] = runpy.run_path(str(path))
    endpoint = Endpoint(lambda transport, _: serve_dual(example["EchoAgent"], transport))
    steps = [HELLO_2, new_2(project), {"prompt": "hello"}, {"prompt": "again"}]
    async with mounted(endpoint) as url:
        seen = await asyncio.to_thread(typescript, "v2", [url], steps)
    assert seen["results"][0]["protocolVersion"] == 2
    assert [turn["idle"]["stopReason"] for turn in seen["results"][2:]] == ["end_turn"] * 2
    assert states(seen) == ["running", "idle"] * 2


def text(session_id: str, said: str) -> v1.PromptRequest:
    return v1.PromptRequest(session_id=session_id, prompt=[v1.TextContent(text=said)])


async def test_its_websocket_server_is_driven_from_here(typescript_server: str) -> None:
    waiting = asyncio.Event()

    class Client(RecordingClient):
        async def session_update(self, params: v1.SessionNotification) -> None:
            await super().session_update(params)
            if self.text.endswith("waiting"):
                waiting.set()

    client = Client()
    transport = await dial(typescript_server)
    assert transport.connection_id
    assert not transport.resumable
    async with connect(client, transport) as agent:
        await agent.initialize(INITIALIZE)
        assert agent.info == v1.Implementation(name="typescript", version="1")
        new_session = v1.NewSessionRequest(cwd="/", mcp_servers=[])
        session_id = (await agent.new_session(new_session)).session_id
        await agent.prompt(text(session_id, "x" * 1_000_000))
        assert client.text == "x" * 1_000_000
        await agent.prompt(text(session_id, "ask"))
        assert client.text.endswith("yes")
        turn = asyncio.ensure_future(agent.prompt(text(session_id, "hang")))
        await waiting.wait()
        await agent.cancel(session_id)
        assert (await turn).stop_reason == "cancelled"
