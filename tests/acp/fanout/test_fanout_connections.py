"""A fan-out over real connections: the same words, and the loser is told."""

from __future__ import annotations

import asyncio

from punie.acp.agent_side import ClientProxy, serve
from punie.acp.client_side import connect
from punie.acp.fanout import Fanout
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient
from punie.acp.transports.memory import pair

OPTION = v1.PermissionOption(option_id="no", name="No", kind="reject_once")
QUESTION = v1.RequestPermissionRequest(
    session_id="s", tool_call=v1.ToolCallPatch(tool_call_id="t"), options=[OPTION]
)


class Quiet:
    """One agent for one client of the session."""

    proxies: list[ClientProxy]

    def __init__(self, client: ClientProxy) -> None:
        self.proxies.append(client)

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        return v1.InitializeResponse(protocol_version=1)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        return v1.NewSessionResponse(session_id="s")

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        return v1.PromptResponse(stop_reason="end_turn")

    async def cancel(self, params: v1.CancelNotification) -> None:
        pass

    async def close(self) -> None:
        pass


class Undecided(RecordingClient):
    """Never answers, and knows when it need not any more."""

    def __init__(self) -> None:
        super().__init__()
        self.taken_back = asyncio.Event()

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        try:
            await asyncio.Event().wait()
        finally:
            self.taken_back.set()
        raise AssertionError


async def test_the_loser_of_a_permission_race_gets_a_cancel_request() -> None:
    Quiet.proxies = []
    ends = [pair(), pair()]
    undecided, page = Undecided(), RecordingClient(allow=False)
    async with asyncio.TaskGroup() as tasks:
        for agent_end, _ in ends:
            tasks.create_task(serve(Quiet, agent_end))
        async with connect(undecided, ends[0][1]) as first, connect(page, ends[1][1]) as second:
            for agent in (first, second):
                await agent.initialize(INITIALIZE)
                await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
            fanout: Fanout[v1.SessionUpdate] = Fanout("s")
            for proxy in Quiet.proxies:
                fanout.attach(proxy, owns=True)
            fanout.tell(v1.AgentMessageChunk(content=v1.TextContent(text="hello")))
            assert (await fanout.ask(QUESTION)).option_id == "no"
            await undecided.taken_back.wait()
            assert fanout.owner is Quiet.proxies[0]
            await fanout.aclose()
    assert [client.text for client in (undecided, page)] == ["hello", "hello"]
