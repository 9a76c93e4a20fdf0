"""Which version a client of either speaks, and that it speaks version 2 in its own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from punie.acp.agent_side import ClientProxy
from punie.acp.client_side.dual import DualAgentProxy, connect_dual
from punie.acp.errors import CapabilityError, RequestError
from punie.acp.schema import v1, v2
from punie.acp.testing.dual import HELLO, RecordingDualClient, linked_dual
from punie.acp.transports.memory import MemoryTransport, pair

NEW_BODY: dict[str, Any] = {
    "protocolVersion": 2,
    "info": {"name": "new", "version": "1"},
    "capabilities": {"session": {"prompt": {"image": {}}, "delete": {}}},
}
OLD_BODY: dict[str, Any] = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Peer:
    """The far end: answers requests by a function, and keeps all frames."""

    def __init__(self, transport: MemoryTransport, answer: Answer) -> None:
        self.transport = transport
        self.answer = answer
        self.frames: list[dict[str, Any]] = []
        self.news = asyncio.Event()

    def frame_received(self, frame: bytes) -> None:
        message = msgspec.json.decode(frame)
        self.frames.append(message)
        self.news.set()
        if "id" in message and "method" in message:
            self.send({"id": message["id"], **self.answer(message)})

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass

    def send(self, message: dict[str, Any]) -> None:
        self.transport.send(msgspec.json.encode({"jsonrpc": "2.0"} | message))

    async def until(self, happened: Callable[[], Any]) -> None:
        while not happened():
            self.news.clear()
            await self.news.wait()


@asynccontextmanager
async def talking_to(
    answer: Answer, client: RecordingDualClient
) -> AsyncGenerator[tuple[DualAgentProxy, Peer], None]:
    theirs, ours = pair()
    peer = Peer(theirs, answer)
    await theirs.open(peer)
    async with connect_dual(client, ours) as agent:
        yield agent, peer


def answering(**bodies: Any) -> Answer:
    """Answers `initialize` and others by the last part of their names."""

    def answer(message: dict[str, Any]) -> dict[str, Any]:
        return {"result": bodies.get(message["method"].split("/")[-1], {})}

    return answer


async def test_version_2_is_spoken_to_who_answers_2() -> None:
    client = RecordingDualClient()
    answer = answering(
        initialize=NEW_BODY,
        new={"sessionId": "s"},
        prompt={"messageId": "m"},
        list={"sessions": []},
    )
    async with talking_to(answer, client) as (agent, peer):
        response = await agent.initialize(HELLO)
        assert (agent.version, response.protocol_version) == (2, 2)
        assert agent.info == v2.Implementation(name="new", version="1")
        assert agent.lists
        assert agent.replays
        opened = await agent.new_session(v2.NewSessionRequest(cwd="/"))
        assert opened == v2.NewSessionResponse(session_id="s")
        text: list[v2.ContentBlock] = [v2.TextContent(text="hi")]
        taken = await agent.prompt(v2.PromptRequest(session_id="s", prompt=text))
        assert taken.message_id == "m"
        await agent.list_sessions(v2.ListSessionsRequest())
        call = v2.CancelToolCallRequest(session_id="s", tool_call_id="t")
        await agent.cancel_tool_call(call)
        terminal = v2.CancelTerminalRequest(session_id="s", terminal_id="t")
        await agent.cancel_terminal(terminal)
        await agent.cancel("s")
        for update in ({"state": "running"}, {"state": "idle", "stopReason": "end_turn"}):
            told = {"sessionUpdate": "state_update"} | update
            peer.send({"method": "session/update", "params": {"sessionId": "s", "update": told}})
        idle = await client.until_idle()
        assert idle.stop_reason == "end_turn"
        await peer.until(lambda: peer.frames[-1]["method"] == "session/cancel")
    methods = [frame["method"] for frame in peer.frames]
    assert methods == [
        "initialize",
        "session/new",
        "session/prompt",
        "session/list",
        "tool_call/cancel",
        "terminal/cancel",
        "session/cancel",
    ]


async def test_the_handshake_has_the_words_of_both_versions() -> None:
    class Files(RecordingDualClient):
        async def read_text_file(self, params: v1.ReadTextFileRequest) -> v1.ReadTextFileResponse:
            raise AssertionError

    async with talking_to(answering(initialize=OLD_BODY), Files()) as (agent, peer):
        await agent.initialize(HELLO)
    sent = peer.frames[0]["params"]
    assert sent["protocolVersion"] == 2
    assert sent["info"] == sent["clientInfo"] == {"name": "tests", "version": "1"}
    assert sent["clientCapabilities"]["fs"] == {"readTextFile": True}
    assert sent["clientCapabilities"]["session"].keys() == {
        "configOptions",
        "notices",
        "compaction",
    }


async def test_version_1_is_spoken_to_who_answers_1() -> None:
    async with talking_to(answering(initialize=OLD_BODY), RecordingDualClient()) as (agent, _):
        response = await agent.initialize(HELLO)
        assert (agent.version, response.protocol_version) == (1, 1)
        assert response.info == v2.Implementation(name="unknown", version="unknown")
        assert agent.replays


async def test_an_agent_that_echoes_2_in_the_words_of_version_1_is_taken_by_its_words() -> None:
    body = OLD_BODY | {"protocolVersion": 2}
    async with talking_to(answering(initialize=body), RecordingDualClient()) as (agent, _):
        await agent.initialize(HELLO)
        assert agent.version == 1
        assert agent.replays


async def test_an_agent_that_refuses_version_2_is_asked_for_version_1() -> None:
    def answer(message: dict[str, Any]) -> dict[str, Any]:
        if message["params"]["protocolVersion"] == 2:
            return {"error": {"code": -32602, "message": "Invalid params"}}
        return {"result": OLD_BODY}

    async with talking_to(answer, RecordingDualClient()) as (agent, peer):
        await agent.initialize(HELLO)
        assert agent.version == 1
    assert peer.frames[1]["params"].keys() == {
        "protocolVersion",
        "clientCapabilities",
        "clientInfo",
    }


async def test_an_agent_that_wants_a_login_first_is_not_asked_twice() -> None:
    def answer(message: dict[str, Any]) -> dict[str, Any]:
        return {"error": {"code": -32000, "message": "Authentication required"}}

    async with talking_to(answer, RecordingDualClient()) as (agent, peer):
        with pytest.raises(RequestError, match="Authentication required"):
            await agent.initialize(HELLO)
    assert len(peer.frames) == 1


async def test_who_asks_for_version_1_gets_it() -> None:
    hello = v2.InitializeRequest(protocol_version=1, info=HELLO.info)
    async with talking_to(answering(initialize=OLD_BODY), RecordingDualClient()) as (agent, peer):
        await agent.initialize(hello)
        assert agent.version == 1
    assert "info" not in peer.frames[0]["params"]


@pytest.mark.parametrize("body", [{"protocolVersion": 2}, {}, 5, {"protocolVersion": "x"}])
async def test_an_answer_that_is_none_is_an_error(body: Any) -> None:
    async with talking_to(answering(initialize=body), RecordingDualClient()) as (agent, _):
        with pytest.raises(RequestError, match="answer is invalid"):
            await agent.initialize(HELLO)


async def test_nothing_is_served_before_the_version_is_known() -> None:
    client = RecordingDualClient()
    async with talking_to(answering(initialize=NEW_BODY), client) as (agent, peer):
        update = {"sessionUpdate": "state_update", "state": "running"}
        peer.send({"method": "session/update", "params": {"sessionId": "s", "update": update}})
        peer.send({"id": "early", "method": "session/request_permission", "params": {}})
        await peer.until(lambda: peer.frames)
        assert peer.frames[0]["error"]["code"] == -32600
        await agent.initialize(HELLO)
    assert client.updates == []


async def test_a_question_of_version_2_is_withdrawn_by_cancel() -> None:
    class Undecided(RecordingDualClient):
        async def request_permission(
            self, params: v2.RequestPermissionRequest
        ) -> v2.RequestPermissionResponse:
            await super().request_permission(params)
            await asyncio.Event().wait()
            raise AssertionError

    client = Undecided()
    async with talking_to(answering(initialize=NEW_BODY), client) as (agent, peer):
        await agent.initialize(HELLO)
        options = [{"optionId": "y", "name": "Yes", "kind": "allow_once"}]
        for session_id in ("s", "other"):
            question = {"sessionId": session_id, "title": "Edit", "options": options}
            message = {"method": "session/request_permission", "params": question}
            peer.send({"id": session_id} | message)
        await client.until(lambda: len(client.permissions) == 2)
        await agent.cancel("s")
        await peer.until(lambda: "result" in peer.frames[-1])
        assert peer.frames[-1]["id"] == "s"
        assert peer.frames[-1]["result"] == {"outcome": {"outcome": "cancelled"}}
        peer.send({"method": "$/cancel_request", "params": {"requestId": "other"}})
        await peer.until(lambda: "error" in peer.frames[-1])
        assert peer.frames[-1]["error"]["code"] == -32800


async def test_an_agent_without_sessions_is_not_asked_for_one() -> None:
    body = NEW_BODY | {"capabilities": {}}
    async with talking_to(answering(initialize=body), RecordingDualClient()) as (agent, peer):
        await agent.initialize(HELLO)
        assert not agent.resumes
        with pytest.raises(CapabilityError, match="session"):
            await agent.new_session(v2.NewSessionRequest(cwd="/"))
        with pytest.raises(CapabilityError, match="session"):
            await agent.prompt(v2.PromptRequest(session_id="s", prompt=[]))
    assert len(peer.frames) == 1


async def test_extensions_are_called_both_ways() -> None:
    class Extended(RecordingDualClient):
        heard: Any = None

        async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
            return {"method": method, **params}

        async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
            self.heard = (method, params)
            async with self._news:
                self._news.notify_all()

    for body in (NEW_BODY, OLD_BODY):
        client = Extended()
        async with talking_to(answering(initialize=body, x={"a": 1}), client) as (agent, peer):
            await agent.initialize(HELLO)
            assert await agent.ext_method("_own/x") == {"a": 1}
            await agent.ext_notification("_own/y", {"b": 2})
            peer.send({"id": "z", "method": "_own/z", "params": {"c": 3}})
            peer.send({"method": "_own/n", "params": {}})
            await peer.until(lambda: "result" in peer.frames[-1])
            assert peer.frames[-1]["result"] == {"method": "_own/z", "c": 3}
            await client.until(lambda: client.heard)  # noqa: B023
        assert client.heard == ("_own/n", {})


async def test_a_repeated_handshake_keeps_the_turn_that_runs() -> None:
    done = asyncio.Event()

    class Old:
        def __init__(self, client: ClientProxy) -> None:
            pass

        async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
            return v1.InitializeResponse(protocol_version=1)

        async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
            return v1.NewSessionResponse(session_id="s")

        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            await done.wait()
            return v1.PromptResponse(stop_reason="end_turn")

        async def cancel(self, params: v1.CancelNotification) -> None:
            pass

        async def close(self) -> None:
            pass

    client = RecordingDualClient()
    async with linked_dual(Old, client) as agent:
        await agent.initialize(HELLO)
        await agent.new_session(v2.NewSessionRequest(cwd="/"))
        text: list[v2.ContentBlock] = [v2.TextContent(text="hi")]
        await agent.prompt(v2.PromptRequest(session_id="s", prompt=text))
        await agent.initialize(HELLO)
        done.set()
        await client.until_idle()
        assert not agent.closed
    await agent.wait_closed()
    assert agent.closed
    assert client.states == ["running", "idle"]
