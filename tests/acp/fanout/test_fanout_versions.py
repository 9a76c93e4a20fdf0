"""One session with an editor of version 1 and a page of version 2."""

from __future__ import annotations

import asyncio
from typing import Any

from punie.acp.agent_side import DualClientProxy, serve_dual
from punie.acp.client_side import connect
from punie.acp.client_side.dual import connect_dual
from punie.acp.fanout import Answer, Fanout
from punie.acp.schema import v1, v2
from punie.acp.testing import INITIALIZE, RecordingClient
from punie.acp.testing.dual import HELLO, RecordingDualClient
from punie.acp.transports.memory import pair

OPTION = v2.PermissionOption(option_id="no", name="No", kind="reject_once")
QUESTION = v2.RequestPermissionRequest(
    session_id="s",
    title="Edit a.py",
    subject=v2.ToolCallPermissionSubject(tool_call=v2.ToolCallPatch(tool_call_id="t")),
    options=[OPTION],
)


class Shared:
    """Serves one client of the session; all of them are members of one fan-out."""

    def __init__(self, client: DualClientProxy, fanout: Fanout[v2.SessionUpdate]) -> None:
        self.client = client
        self.fanout = fanout

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        return v2.InitializeResponse(
            protocol_version=2,
            info=v2.Implementation(name="shared", version="1"),
            capabilities=v2.AgentCapabilities(session=v2.SessionCapabilities()),
        )

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        self.fanout.attach(self.client, owns=self.client.v1 is not None)
        return v2.NewSessionResponse(session_id="s")

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        member = self.fanout.attach(self.client)
        await member.caught_up()
        return v2.ResumeSessionResponse()

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        return v2.ListSessionsResponse(sessions=[])

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        return v2.CloseSessionResponse()

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        raise AssertionError

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        pass

    async def close(self) -> None:
        pass


class Undecided(RecordingClient):
    """An editor whose person is away."""

    def __init__(self) -> None:
        super().__init__()
        self.taken_back = asyncio.Event()

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        self.permissions.append(params)
        try:
            await asyncio.Event().wait()
        finally:
            self.taken_back.set()
        raise AssertionError


async def test_a_page_of_version_2_joins_and_answers_for_an_editor_of_version_1() -> None:
    fanout: Fanout[v2.SessionUpdate] = Fanout("s")
    editor_ends, page_ends = pair(), pair()
    editor, page = Undecided(), RecordingDualClient(allow=False)

    def make(client: DualClientProxy) -> Any:
        return Shared(client, fanout)

    async with asyncio.TaskGroup() as tasks:
        for agent_end, _ in (editor_ends, page_ends):
            tasks.create_task(serve_dual(make, agent_end))
        async with (
            connect(editor, editor_ends[1]) as first,
            connect_dual(page, page_ends[1]) as second,
        ):
            await first.initialize(INITIALIZE)
            await first.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
            said = v2.AgentMessageChunk(message_id="m", content=v2.TextContent(text="hello"))
            call = v2.ToolCallUpdate(tool_call_id="t", title="Edit a.py", kind="edit")
            fanout.tell(said)
            fanout.tell(call)

            await second.initialize(HELLO)
            join = v2.ResumeSessionRequest(
                session_id="s", cwd="/", replay_from=v2.ReplayFromStart()
            )
            await second.resume_session(join)
            assert page.updates == [said, call]

            answer = await fanout.ask(QUESTION)
            assert answer == Answer("no", fanout.members[1])
            await editor.taken_back.wait()
            assert fanout.owner is fanout.members[0].peer
            await fanout.aclose()
    assert editor.text == "hello"
    assert [type(one.update) for one in editor.updates] == [v1.AgentMessageChunk, v1.ToolCall]
    assert editor.permissions[0].tool_call.tool_call_id == "t"
