"""What a client's side does by itself: it asks only for what there is, and withdraws questions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from punie.acp.agent_side import ClientProxy, serve
from punie.acp.client_side import connect
from punie.acp.errors import CapabilityError, RequestError
from punie.acp.schema import v1
from punie.acp.schema.v1 import unstable
from punie.acp.testing import INITIALIZE, RecordingClient, linked
from punie.acp.transports.memory import MemoryTransport, pair

STDIO = v1.McpServerStdio(name="x", command="/x", args=[], env=[])
HTTP = v1.McpServerHttp(name="x", url="http://x", headers=[])
SSE = v1.McpServerSse(name="x", url="http://x", headers=[])
IMAGE = v1.ImageContent(data="", mime_type="image/png")
AUDIO = v1.AudioContent(data="", mime_type="audio/wav")
TEXT = v1.EmbeddedResource(resource=v1.TextResourceContents(uri="file:///a", text=""))
LINK = v1.ResourceLink(name="a", uri="file:///a")

# What is called, with what, and the capability that it needs.
CALLS: list[tuple[str, Any, str]] = [
    ("logout", v1.LogoutRequest(), "auth.logout"),
    (
        "load_session",
        v1.LoadSessionRequest(session_id="s", cwd="/", mcp_servers=[]),
        "loadSession",
    ),
    (
        "resume_session",
        v1.ResumeSessionRequest(session_id="s", cwd="/"),
        "sessionCapabilities.resume",
    ),
    ("list_sessions", v1.ListSessionsRequest(), "sessionCapabilities.list"),
    ("close_session", v1.CloseSessionRequest(session_id="s"), "sessionCapabilities.close"),
    ("delete_session", v1.DeleteSessionRequest(session_id="s"), "sessionCapabilities.delete"),
    (
        "fork_session",
        unstable.ForkSessionRequest(session_id="s", cwd="/"),
        "sessionCapabilities.fork",
    ),
    ("new_session", v1.NewSessionRequest(cwd="/", mcp_servers=[HTTP]), "mcpCapabilities.http"),
    ("new_session", v1.NewSessionRequest(cwd="/", mcp_servers=[SSE]), "mcpCapabilities.sse"),
    (
        "new_session",
        v1.NewSessionRequest(cwd="/", mcp_servers=[], additional_directories=["/b"]),
        "sessionCapabilities.additionalDirectories",
    ),
    ("prompt", v1.PromptRequest(session_id="s", prompt=[IMAGE]), "promptCapabilities.image"),
    ("prompt", v1.PromptRequest(session_id="s", prompt=[AUDIO]), "promptCapabilities.audio"),
    (
        "prompt",
        v1.PromptRequest(session_id="s", prompt=[TEXT]),
        "promptCapabilities.embeddedContext",
    ),
]


class Plain:
    """An agent that advertises nothing, and remembers what it was asked."""

    asked: list[Any] = []  # noqa: RUF012 - of the one agent of a test

    def __init__(self, client: ClientProxy) -> None:
        Plain.asked = []
        self.client = client
        self.cancelled = asyncio.Event()

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        return v1.InitializeResponse(protocol_version=1)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        Plain.asked.append(params)
        return v1.NewSessionResponse(session_id="s")

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        Plain.asked.append(params)
        return v1.PromptResponse(stop_reason="end_turn")

    async def cancel(self, params: v1.CancelNotification) -> None:
        self.cancelled.set()

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("attribute", "params", "capability"), CALLS)
async def test_what_was_not_advertised_is_refused_and_not_sent(
    attribute: str, params: Any, capability: str
) -> None:
    async with linked(Plain, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        with pytest.raises(CapabilityError) as refused:
            await getattr(agent, attribute)(params)
        assert refused.value.capability == capability
    assert Plain.asked == []


async def test_what_needs_no_capability_is_sent() -> None:
    async with linked(Plain, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[STDIO]))
        await agent.prompt(v1.PromptRequest(session_id="s", prompt=[LINK]))
    assert len(Plain.asked) == 2


class ForkingPeer:
    """The far end of a client: an agent that forks sessions."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport

    def frame_received(self, frame: bytes) -> None:
        answer = (
            b'"result":{"sessionId":"fork"}'
            if b"session/fork" in frame
            else b'"result":{"protocolVersion":1,"agentCapabilities":'
            b'{"sessionCapabilities":{"fork":{}}}}'
        )
        request_id = b"2" if b"session/fork" in frame else b"1"
        self.transport.send(b'{"jsonrpc":"2.0","id":' + request_id + b"," + answer + b"}")

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass


async def test_a_session_is_forked_by_a_client_that_reads_what_is_unstable() -> None:
    theirs, ours = pair()
    await theirs.open(ForkingPeer(theirs))
    async with connect(RecordingClient(), ours, unstable=True) as agent:
        await agent.initialize(INITIALIZE)
        forked = await agent.fork_session(unstable.ForkSessionRequest(session_id="s", cwd="/"))
    assert forked.session_id == "fork"


async def test_cancel_answers_the_sessions_open_questions() -> None:
    outcomes: list[Any] = []

    class Asking(Plain):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            option = v1.PermissionOption(option_id="y", name="Yes", kind="allow_once")
            question = v1.RequestPermissionRequest(
                session_id="s", tool_call=v1.ToolCallPatch(tool_call_id="t"), options=[option]
            )
            outcomes.append((await self.client.request_permission(question)).outcome)
            await self.cancelled.wait()
            return v1.PromptResponse(stop_reason="cancelled")

    class Undecided(RecordingClient):
        asked = asyncio.Event()

        async def request_permission(
            self, params: v1.RequestPermissionRequest
        ) -> v1.RequestPermissionResponse:
            self.asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    client = Undecided()
    async with linked(Asking, client) as agent:
        await agent.initialize(INITIALIZE)
        await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
        turn = asyncio.ensure_future(agent.prompt(v1.PromptRequest(session_id="s", prompt=[])))
        await client.asked.wait()
        await agent.cancel("another")
        await agent.cancel("s")
        assert (await turn).stop_reason == "cancelled"
    assert outcomes == [v1.CancelledPermissionOutcome()]


async def test_a_client_that_refuses_to_ask_is_answered_with_its_error() -> None:
    codes: list[int] = []

    class Asking(Plain):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            question = v1.RequestPermissionRequest(
                session_id="s", tool_call=v1.ToolCallPatch(tool_call_id="t"), options=[]
            )
            with pytest.raises(RequestError) as refused:
                await self.client.request_permission(question)
            codes.append(refused.value.code)
            return v1.PromptResponse(stop_reason="refusal")

    class Busy(RecordingClient):
        async def request_permission(
            self, params: v1.RequestPermissionRequest
        ) -> v1.RequestPermissionResponse:
            raise RequestError(-32000, "not now")

    async with linked(Asking, Busy()) as agent:
        await agent.initialize(INITIALIZE)
        await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
        await agent.prompt(v1.PromptRequest(session_id="s", prompt=[]))
    assert codes == [-32000]


class OddPeer(ForkingPeer):
    """An agent that asks for what nobody serves."""

    answers: list[bytes] = []  # noqa: RUF012 - of the one test

    def frame_received(self, frame: bytes) -> None:
        self.answers.append(frame)
        if b'"initialize"' in frame:
            for message in (
                b'{"jsonrpc":"2.0","method":"nope","params":{}}',
                b'{"jsonrpc":"2.0","method":"elicitation/complete","params":{"elicitationId":"e"}}',
                b'{"jsonrpc":"2.0","id":7,"method":"nope","params":{}}',
            ):
                self.transport.send(message)
        else:
            super().frame_received(b"")


async def test_a_client_answers_what_nobody_knows_and_passes_over_what_it_need_not_hear() -> None:
    theirs, ours = pair()
    peer = OddPeer(theirs)
    await theirs.open(peer)
    async with connect(RecordingClient(), ours) as agent:
        await agent.initialize(INITIALIZE)
        await theirs.aclose()
        await agent.wait_closed()
        assert agent.closed
    assert b"-32601" in peer.answers[1]


async def test_a_file_that_is_not_there_is_not_found() -> None:
    codes: list[int] = []

    class Reading(Plain):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            with pytest.raises(RequestError) as refused:
                await self.client.read_text_file("s", "/nothing")
            codes.append(refused.value.code)
            return v1.PromptResponse(stop_reason="end_turn")

    async with linked(Reading, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
        await agent.prompt(v1.PromptRequest(session_id="s", prompt=[]))
    assert codes == [-32002]


async def test_a_call_is_given_up_after_a_while_with_the_standard_librarys_timeout() -> None:
    cancelled = asyncio.Event()

    class Sleepy(Plain):
        async def authenticate(self, params: v1.AuthenticateRequest) -> v1.AuthenticateResponse:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

    agent_end, client_end = pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(Sleepy, agent_end))
        async with connect(RecordingClient(), client_end) as agent:
            await agent.initialize(INITIALIZE)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await agent.authenticate(v1.AuthenticateRequest(method_id="x"))
            await cancelled.wait()
