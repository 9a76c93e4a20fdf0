"""An agent and a client that are each written once: over either version they tell the same story."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from punie.acp.agent_side import DualClientProxy, serve_dual
from punie.acp.client_side.dual import DualAgentProxy, connect_dual
from punie.acp.schema import v2
from punie.acp.testing.dual import HELLO, RecordingDualClient
from punie.acp.transports.memory import pair
from punie.acp.versions.diffs import diff_to_v2, file_diff

MODE = v2.SessionConfigSelect(
    config_id="mode",
    name="Mode",
    category="mode",
    current_value="ask",
    options=[
        v2.SessionConfigSelectOption(value="ask", name="Ask"),
        v2.SessionConfigSelectOption(value="edit", name="Edit"),
    ],
)
OPTIONS = [
    v2.PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
    v2.PermissionOption(option_id="no", name="No", kind="reject_once"),
]


class Editing:
    """Edits a file when it is allowed to, and remembers its conversation."""

    def __init__(self, client: DualClientProxy) -> None:
        self.client = client
        self.history: list[v2.SessionUpdate] = []
        self.turns: set[asyncio.Task[None]] = set()

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        return v2.InitializeResponse(
            protocol_version=2,
            info=v2.Implementation(name="editing", version="1"),
            capabilities=v2.AgentCapabilities(session=v2.SessionCapabilities()),
        )

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        return v2.NewSessionResponse(session_id="s", config_options=[MODE])

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        for update in self.history if params.replay_from is not None else ():
            await self.client.session_update("s", update)
        return v2.ResumeSessionResponse(config_options=[MODE])

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        return v2.ListSessionsResponse(sessions=[v2.SessionInfo(session_id="s", cwd="/")])

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        return v2.CloseSessionResponse()

    async def set_session_config_option(
        self, params: v2.SetSessionConfigOptionRequest
    ) -> v2.SetSessionConfigOptionResponse:
        changed = v2.SessionConfigSelect(
            config_id="mode",
            name="Mode",
            category="mode",
            current_value=str(params.value),
            options=MODE.options,
        )
        return v2.SetSessionConfigOptionResponse(config_options=[changed])

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        turn = asyncio.create_task(self.turn(params))
        self.turns.add(turn)
        turn.add_done_callback(self.turns.discard)
        return v2.PromptResponse(message_id="m1")

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        for turn in self.turns:
            turn.cancel()

    async def close(self) -> None:
        await self.cancel(v2.CancelSessionNotification(session_id="s"))

    async def tell(self, update: v2.SessionUpdate) -> None:
        self.history.append(update)
        await self.client.session_update("s", update)

    async def turn(self, params: v2.PromptRequest) -> None:
        await self.tell(v2.UserMessage(message_id="m1", content=params.prompt))
        await self.tell(v2.RunningStateUpdate())
        try:
            await self.edit()
        except asyncio.CancelledError:
            await self.tell(v2.IdleStateUpdate(stop_reason="cancelled"))
        else:
            await self.tell(v2.IdleStateUpdate(stop_reason="end_turn"))

    async def edit(self) -> None:
        diff = file_diff("/a.py", old_text="x = 1\n", new_text="x = 2\n")
        call = v2.ToolCallUpdate(
            tool_call_id="t", title="Edit a.py", kind="edit", status="pending", content=[diff]
        )
        await self.tell(call)
        await self.tell(v2.RequiresActionStateUpdate())
        subject = v2.ToolCallPermissionSubject(tool_call=v2.ToolCallPatch(tool_call_id="t"))
        answer = await self.client.request_permission(
            v2.RequestPermissionRequest(
                session_id="s", title="Edit a.py", subject=subject, options=OPTIONS
            )
        )
        await self.tell(v2.RunningStateUpdate())
        chosen = getattr(answer.outcome, "option_id", "nothing")
        await self.tell(v2.ToolCallUpdate(tool_call_id="t", status="completed"))
        text = v2.TextContent(text=f"chose {chosen}")
        await self.tell(v2.AgentMessageChunk(message_id="m2", content=text))


@asynccontextmanager
async def linked(
    client: RecordingDualClient, versions: tuple[int, ...]
) -> AsyncGenerator[DualAgentProxy, None]:
    agent_end, client_end = pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_dual(Editing, agent_end, versions=versions))
        async with connect_dual(client, client_end) as agent:
            await agent.initialize(HELLO)
            yield agent


def told(update: v2.SessionUpdate) -> Any:
    """An update as it is compared: ids of messages differ, and version 2 has no whole texts."""
    match update:
        case v2.UserMessage(content=content):
            return ("user", content)
        case v2.AgentMessageChunk(content=content):
            return ("agent", content)
        case v2.ToolCallUpdate(tool_call_id=call, title=title, status=status, content=content):
            diffs = content if isinstance(content, list) else []
            return (call, title, status, [diff_to_v2(d) for d in diffs if isinstance(d, v2.Diff)])
        case v2.StateUpdate(state=state, stop_reason=reason):
            return (state, reason)
        case _:
            return type(update)


async def story(*versions: int) -> tuple[list[Any], list[str]]:
    client = RecordingDualClient()
    async with linked(client, versions) as agent:
        assert agent.version == versions[-1]
        assert (agent.lists, agent.resumes, agent.replays) == (True, True, True)
        opened = await agent.new_session(v2.NewSessionRequest(cwd="/"))
        (mode,) = opened.config_options
        assert isinstance(mode, v2.SessionConfigSelect)
        assert (mode.config_id, mode.current_value) == ("mode", "ask")
        choice = v2.SetSessionConfigOptionRequest(
            session_id="s", config_id="mode", type="id", value="edit"
        )
        (mode,) = (await agent.set_session_config_option(choice)).config_options
        assert isinstance(mode, v2.SessionConfigSelect)
        assert mode.current_value == "edit"
        text: list[v2.ContentBlock] = [v2.TextContent(text="edit it")]
        await agent.prompt(v2.PromptRequest(session_id="s", prompt=text))
        await client.until_idle()
        titles = [question.title for question in client.permissions]
        seen = [told(update) for update in client.updates]
        return [one for one in seen if isinstance(one, tuple)], titles


async def test_the_story_of_a_turn_is_the_same_over_either_version() -> None:
    over_2, over_1 = await story(1, 2), await story(1)
    assert over_2[1] == over_1[1] == ["Edit a.py"]
    assert over_2[0] == over_1[0]
    assert [entry[0] for entry in over_2[0]] == [
        "user",
        "running",
        "t",
        "requires_action",
        "running",
        "t",
        "agent",
        "idle",
    ]


@pytest.mark.parametrize("versions", [(1,), (1, 2)])
async def test_a_turn_is_cancelled_and_its_question_withdrawn(versions: tuple[int, ...]) -> None:
    class Undecided(RecordingDualClient):
        async def request_permission(
            self, params: v2.RequestPermissionRequest
        ) -> v2.RequestPermissionResponse:
            await super().request_permission(params)
            await asyncio.Event().wait()
            raise AssertionError

    client = Undecided()
    async with linked(client, versions) as agent:
        await agent.new_session(v2.NewSessionRequest(cwd="/"))
        text: list[v2.ContentBlock] = [v2.TextContent(text="edit it")]
        await agent.prompt(v2.PromptRequest(session_id="s", prompt=text))
        await client.until(lambda: client.permissions)
        await agent.cancel("s")
        idle = await client.until_idle()
    assert idle.stop_reason == "cancelled"


@pytest.mark.parametrize("versions", [(1,), (1, 2)])
async def test_a_session_is_resumed_with_its_history(versions: tuple[int, ...]) -> None:
    client = RecordingDualClient()
    async with linked(client, versions) as agent:
        await agent.new_session(v2.NewSessionRequest(cwd="/"))
        text: list[v2.ContentBlock] = [v2.TextContent(text="edit it")]
        await agent.prompt(v2.PromptRequest(session_id="s", prompt=text))
        await client.until_idle()
        client.updates.clear()
        await agent.resume_session(v2.ResumeSessionRequest(session_id="s", cwd="/"))
        assert client.of(v2.AgentMessageChunk) == []
        replay = v2.ResumeSessionRequest(session_id="s", cwd="/", replay_from=v2.ReplayFromStart())
        await agent.resume_session(replay)
        assert client.text == "chose yes"
        assert len(client.of(v2.ToolCallUpdate)) >= 1
        said = [*client.of(v2.UserMessage), *client.of(v2.UserMessageChunk)]
        assert len(said) == 1
