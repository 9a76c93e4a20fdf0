"""A client shaped like version 2 drives an agent of version 1: what it sees, and that it is true."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import UNSET

from punie.acp.agent_side import ClientProxy
from punie.acp.client_side.dual import DualAgentProxy
from punie.acp.errors import CapabilityError, RequestError
from punie.acp.schema import v1, v2
from punie.acp.testing.dual import HELLO, RecordingDualClient, linked_dual
from punie.acp.versions.diffs import FileDiff, git_patch

Turn = Callable[["OldAgent"], Awaitable[v1.PromptResponse]]
MODES = v1.SessionModeState(
    current_mode_id="ask",
    available_modes=[v1.SessionMode(id="ask", name="Ask"), v1.SessionMode(id="edit", name="Edit")],
)
MODEL = v1.SessionConfigSelect(
    id="model",
    name="Model",
    current_value="small",
    options=[
        v1.SessionConfigSelectOption(value="small", name="Small"),
        v1.SessionConfigSelectOption(value="big", name="Big"),
    ],
)
FAST = v1.SessionConfigBoolean(id="fast", name="Fast", current_value=False)
ALLOW = v1.PermissionOption(option_id="yes", name="Yes", kind="allow_once")
REJECT = v1.PermissionOption(option_id="no", name="No", kind="reject_once")
CAN_ALL = v1.SessionCapabilities(
    list=v1.SessionListCapabilities(),
    delete=v1.SessionDeleteCapabilities(),
    resume=v1.SessionResumeCapabilities(),
    close=v1.SessionCloseCapabilities(),
    additional_directories=v1.SessionAdditionalDirectoriesCapabilities(),
)


async def quiet(agent: OldAgent) -> v1.PromptResponse:
    return v1.PromptResponse(stop_reason="end_turn")


class OldAgent:
    """An agent of version 1; a test says what its turns do and what it can."""

    def __init__(
        self,
        client: ClientProxy,
        turn: Turn = quiet,
        capabilities: v1.AgentCapabilities | None = None,
        opened: v1.NewSessionResponse | None = None,
    ) -> None:
        self.client = client
        self.turn = turn
        self.capabilities = capabilities or v1.AgentCapabilities()
        self.opened = opened or v1.NewSessionResponse(session_id="s")
        self.calls: list[Any] = []
        self.cancelled = asyncio.Event()

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        self.calls.append(params)
        return v1.InitializeResponse(protocol_version=1, agent_capabilities=self.capabilities)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        self.calls.append(params)
        return self.opened

    async def load_session(self, params: v1.LoadSessionRequest) -> v1.LoadSessionResponse:
        self.calls.append(params)
        await self.tell(v1.UserMessageChunk(content=v1.TextContent(text="then")))
        await self.say("old")
        await self.tell(v1.AvailableCommandsUpdate(available_commands=[]))
        return v1.LoadSessionResponse(config_options=[FAST])

    async def resume_session(self, params: v1.ResumeSessionRequest) -> v1.ResumeSessionResponse:
        self.calls.append(params)
        return v1.ResumeSessionResponse(modes=MODES)

    async def list_sessions(self, params: v1.ListSessionsRequest) -> v1.ListSessionsResponse:
        self.calls.append(params)
        return v1.ListSessionsResponse(sessions=[v1.SessionInfo(session_id="s", cwd="/")])

    async def close_session(self, params: v1.CloseSessionRequest) -> v1.CloseSessionResponse:
        self.calls.append(params)
        return v1.CloseSessionResponse()

    async def delete_session(self, params: v1.DeleteSessionRequest) -> v1.DeleteSessionResponse:
        self.calls.append(params)
        return v1.DeleteSessionResponse()

    async def authenticate(self, params: v1.AuthenticateRequest) -> v1.AuthenticateResponse:
        self.calls.append(params)
        return v1.AuthenticateResponse()

    async def logout(self, params: v1.LogoutRequest) -> v1.LogoutResponse:
        self.calls.append(params)
        return v1.LogoutResponse()

    async def set_session_mode(self, params: v1.SetSessionModeRequest) -> v1.SetSessionModeResponse:
        self.calls.append(params)
        return v1.SetSessionModeResponse()

    async def set_session_config_option(
        self, params: v1.SetSessionConfigOptionRequest
    ) -> v1.SetSessionConfigOptionResponse:
        self.calls.append(params)
        changed = v1.SessionConfigBoolean(id="fast", name="Fast", current_value=True)
        return v1.SetSessionConfigOptionResponse(config_options=[MODEL, changed])

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        self.calls.append(params)
        return await self.turn(self)

    async def cancel(self, params: v1.CancelNotification) -> None:
        self.calls.append(params)
        self.cancelled.set()

    async def close(self) -> None:
        pass

    async def tell(self, update: v1.SessionUpdate) -> None:
        await self.client.session_update("s", update)

    async def say(self, text: str) -> None:
        await self.tell(v1.AgentMessageChunk(content=v1.TextContent(text=text)))

    async def ask(self) -> v1.RequestPermissionOutcome:
        request = v1.RequestPermissionRequest(
            session_id="s",
            tool_call=v1.ToolCallPatch(tool_call_id="t"),
            options=[ALLOW, REJECT],
        )
        return (await self.client.request_permission(request)).outcome


class Made:
    """Builds the agent, and keeps it for the test to look at."""

    def __init__(self, turn: Turn = quiet, **more: Any) -> None:
        self._turn, self._more = turn, more
        self.agent: OldAgent

    def __call__(self, client: ClientProxy) -> OldAgent:
        self.agent = OldAgent(client, self._turn, **self._more)
        return self.agent


async def open_session(agent: DualAgentProxy) -> v2.NewSessionResponse:
    await agent.initialize(HELLO)
    return await agent.new_session(v2.NewSessionRequest(cwd="/"))


async def ask(agent: DualAgentProxy, text: str = "hi") -> v2.PromptResponse:
    prompt: list[v2.ContentBlock] = [v2.TextContent(text=text)]
    return await agent.prompt(v2.PromptRequest(session_id="s", prompt=prompt))


async def run(turn: Turn, client: RecordingDualClient | None = None) -> RecordingDualClient:
    """One turn from the handshake to idle."""
    client = client or RecordingDualClient()
    async with linked_dual(Made(turn), client) as agent:
        await open_session(agent)
        await ask(agent)
        await client.until_idle()
    return client


async def test_a_turn_is_told_from_the_message_to_idle() -> None:
    async def turn(agent: OldAgent) -> v1.PromptResponse:
        await agent.say("a")
        await agent.say("b")
        return v1.PromptResponse(stop_reason="max_tokens")

    client = RecordingDualClient()
    async with linked_dual(Made(turn), client) as agent:
        await open_session(agent)
        taken = await ask(agent, "hello")
        await client.until_idle()
    said = v2.TextContent(text="hello")
    first, running, one, two, idle = client.updates
    assert first == v2.UserMessage(message_id=taken.message_id, content=[said])
    assert running == v2.RunningStateUpdate()
    assert isinstance(one, v2.AgentMessageChunk)
    assert isinstance(two, v2.AgentMessageChunk)
    assert client.text == "ab"
    assert one.message_id == two.message_id != taken.message_id
    assert idle == v2.IdleStateUpdate(stop_reason="max_tokens")


async def test_idle_comes_after_every_update_even_for_a_slow_client() -> None:
    class Slow(RecordingDualClient):
        async def session_update(self, params: v2.UpdateSessionNotification) -> None:
            await asyncio.sleep(0)
            await super().session_update(params)

    async def turn(agent: OldAgent) -> v1.PromptResponse:
        for number in range(2000):
            await agent.say(f"{number},")
        return v1.PromptResponse(stop_reason="end_turn")

    client = await run(turn, Slow())
    assert client.text == "".join(f"{number}," for number in range(2000))
    assert isinstance(client.updates[-1], v2.StateUpdate)


async def test_a_client_that_fails_on_an_update_hears_the_next_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Clumsy(RecordingDualClient):
        async def session_update(self, params: v2.UpdateSessionNotification) -> None:
            if isinstance(params.update, v2.UserMessage):
                raise RuntimeError("clumsy")
            await super().session_update(params)

    client = await run(quiet, Clumsy())
    assert client.states == ["running", "idle"]
    assert "the client failed on an update" in caplog.text


async def test_a_failed_turn_is_idle_stopped_by_error() -> None:
    async def turn(agent: OldAgent) -> v1.PromptResponse:
        raise RequestError(-32000, "Log in first", {"authMethods": []})

    client = await run(turn)
    error = v2.Error(code=-32000, message="Log in first", data={"authMethods": []})
    assert client.updates[-1] == v2.IdleStateUpdate(stop_reason="error", error=error)


async def test_an_agent_that_dies_in_a_turn_leaves_the_session_idle() -> None:
    async def turn(agent: OldAgent) -> v1.PromptResponse:
        await agent.say("a")
        await asyncio.Event().wait()
        raise AssertionError

    client = RecordingDualClient()
    made = Made(turn)
    async with linked_dual(made, client) as agent:
        await open_session(agent)
        await ask(agent)
        await client.until(lambda: client.text)
        await made.agent.client._connection._transport.aclose()
        idle = await client.until_idle()
    assert idle.stop_reason == "error"
    assert idle.error is not None
    assert "closed" in idle.error.message


async def test_a_request_cancelled_by_the_agent_counts_as_a_cancelled_turn() -> None:
    async def turn(agent: OldAgent) -> v1.PromptResponse:
        raise RequestError(-32800, "Request cancelled")

    client = await run(turn)
    assert client.updates[-1] == v2.IdleStateUpdate(stop_reason="cancelled")


async def test_a_question_requires_action_and_the_answer_goes_back() -> None:
    outcomes: list[Any] = []

    async def turn(agent: OldAgent) -> v1.PromptResponse:
        await agent.tell(v1.ToolCall(tool_call_id="t", title="Edit a.py"))
        outcomes.append(await agent.ask())
        return v1.PromptResponse(stop_reason="end_turn")

    client = await run(turn)
    assert client.states == ["running", "requires_action", "running", "idle"]
    assert outcomes == [v1.SelectedPermissionOutcome(option_id="yes")]
    question = client.permissions[0]
    assert question.title == "Edit a.py"
    call = v2.ToolCallPatch(tool_call_id="t")
    assert question.subject == v2.ToolCallPermissionSubject(tool_call=call)
    assert [option.option_id for option in question.options] == ["yes", "no"]


async def test_cancelling_withdraws_the_question_and_the_turn_ends_cancelled() -> None:
    outcomes: list[Any] = []

    class Undecided(RecordingDualClient):
        withdrawn = False

        async def request_permission(
            self, params: v2.RequestPermissionRequest
        ) -> v2.RequestPermissionResponse:
            await super().request_permission(params)
            try:
                await asyncio.Event().wait()
            finally:
                self.withdrawn = True
            raise AssertionError

    async def turn(agent: OldAgent) -> v1.PromptResponse:
        outcomes.append(await agent.ask())
        await agent.cancelled.wait()
        return v1.PromptResponse(stop_reason="cancelled")

    client = Undecided()
    async with linked_dual(Made(turn), client) as agent:
        await open_session(agent)
        await ask(agent)
        await client.until(lambda: client.permissions)
        await agent.cancel("s")
        idle = await client.until_idle()
    assert client.withdrawn
    assert outcomes == [v1.CancelledPermissionOutcome()]
    assert idle.stop_reason == "cancelled"
    assert client.states == ["running", "requires_action", "running", "idle"]


async def test_a_question_outside_of_a_turn_ends_idle_again() -> None:
    client = RecordingDualClient(allow=False)
    made = Made()
    async with linked_dual(made, client) as agent:
        await open_session(agent)
        outcome = await made.agent.ask()
        await client.until_idle()
    assert outcome == v1.SelectedPermissionOutcome(option_id="no")
    assert client.states == ["requires_action", "idle"]
    assert client.permissions[0].title == "Permission"


async def test_a_second_prompt_keeps_the_session_running() -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    waiting = iter(gates)

    async def turn(agent: OldAgent) -> v1.PromptResponse:
        await next(waiting).wait()
        return v1.PromptResponse(stop_reason="end_turn")

    client = RecordingDualClient()
    async with linked_dual(Made(turn), client) as agent:
        await open_session(agent)
        await ask(agent, "one")
        await ask(agent, "two")
        gates[0].set()
        await client.until_idle()
        gates[1].set()
        await client.until_idle(2)
    assert client.states == ["running", "idle", "running", "idle"]


async def test_an_echo_of_the_prompt_is_not_told_twice_but_later_user_messages_are() -> None:
    async def turn(agent: OldAgent) -> v1.PromptResponse:
        await agent.tell(v1.UserMessageChunk(content=v1.TextContent(text="hi")))
        await agent.say("a")
        await agent.tell(v1.UserMessageChunk(content=v1.TextContent(text="steered")))
        return v1.PromptResponse(stop_reason="end_turn")

    client = await run(turn)
    assert [chunk.content for chunk in client.of(v2.UserMessageChunk)] == [
        v2.TextContent(text="steered")
    ]


async def test_modes_are_a_config_option() -> None:
    client = RecordingDualClient()
    made = Made(opened=v1.NewSessionResponse(session_id="s", modes=MODES, config_options=[FAST]))
    async with linked_dual(made, client) as agent:
        opened = await open_session(agent)
        mode, fast = opened.config_options
        assert isinstance(mode, v2.SessionConfigSelect)
        assert (mode.config_id, mode.category, mode.current_value) == ("mode", "mode", "ask")
        assert [item.value for item in mode.options] == ["ask", "edit"]
        assert fast == v2.SessionConfigBoolean(config_id="fast", name="Fast", current_value=False)

        choice = v2.SetSessionConfigOptionRequest(
            session_id="s", config_id="mode", type="id", value="edit"
        )
        chosen = (await agent.set_session_config_option(choice)).config_options[0]
        assert made.agent.calls[-1] == v1.SetSessionModeRequest(session_id="s", mode_id="edit")
        assert isinstance(chosen, v2.SessionConfigSelect)
        assert chosen.current_value == "edit"

        await made.agent.tell(v1.CurrentModeUpdate(current_mode_id="ask"))
        await client.until(lambda: client.of(v2.ConfigOptionUpdate))
    told = client.of(v2.ConfigOptionUpdate)[0].config_options
    assert told == opened.config_options


async def test_an_agents_own_mode_option_is_kept_and_follows_the_mode() -> None:
    own = v1.SessionConfigSelect(
        id="how",
        name="How",
        category="mode",
        current_value="ask",
        options=[
            v1.SessionConfigSelectOption(value="ask", name="Ask"),
            v1.SessionConfigSelectOption(value="edit", name="Edit"),
        ],
    )
    client = RecordingDualClient()
    made = Made(opened=v1.NewSessionResponse(session_id="s", modes=MODES, config_options=[own]))
    async with linked_dual(made, client) as agent:
        assert len((await open_session(agent)).config_options) == 1
        await made.agent.tell(v1.CurrentModeUpdate(current_mode_id="edit"))
        await made.agent.tell(v1.CurrentModeUpdate(current_mode_id="unheard of"))
        await client.until(lambda: len(client.of(v2.ConfigOptionUpdate)) == 2)
    values = [
        option.current_value
        for update in client.of(v2.ConfigOptionUpdate)
        for option in update.config_options
        if isinstance(option, v2.SessionConfigSelect)
    ]
    assert values == ["edit", "edit"]


async def test_other_options_are_set_by_their_id_and_type() -> None:
    made = Made(opened=v1.NewSessionResponse(session_id="s", config_options=[MODEL, FAST]))
    client = RecordingDualClient()
    async with linked_dual(made, client) as agent:
        await open_session(agent)
        fast = v2.SetSessionConfigOptionRequest(
            session_id="s", config_id="fast", type="boolean", value=True
        )
        options = (await agent.set_session_config_option(fast)).config_options
        assert made.agent.calls[-1] == v1.SetSessionConfigOptionRequest(
            session_id="s", config_id="fast", value=True, type="boolean"
        )
        assert options[1] == v2.SessionConfigBoolean(
            config_id="fast", name="Fast", current_value=True
        )
        model = v2.SetSessionConfigOptionRequest(
            session_id="s", config_id="model", type="id", value="big"
        )
        await agent.set_session_config_option(model)
        assert made.agent.calls[-1].type is None
        await made.agent.tell(v1.ConfigOptionUpdate(config_options=[FAST]))
        await client.until(lambda: client.of(v2.ConfigOptionUpdate))
    assert len(client.of(v2.ConfigOptionUpdate)[0].config_options) == 1


async def test_a_diff_keeps_its_texts_and_has_a_patch() -> None:
    async def turn(agent: OldAgent) -> v1.PromptResponse:
        diff = v1.Diff(path="/a.py", old_text="x = 1\n", new_text="x = 2\n")
        call = v1.ToolCall(tool_call_id="t", title="Edit", kind="edit", content=[diff])
        await agent.tell(call)
        await agent.tell(v1.ToolCallUpdate(tool_call_id="t", status="completed"))
        return v1.PromptResponse(stop_reason="end_turn")

    first, second = (await run(turn)).of(v2.ToolCallUpdate)
    assert (first.title, first.kind, first.status) == ("Edit", "edit", UNSET)
    assert isinstance(first.content, list)
    diff = first.content[0]
    assert isinstance(diff, FileDiff)
    assert (diff.old_text, diff.new_text) == ("x = 1\n", "x = 2\n")
    assert diff.changes == [v2.DiffModify(path="/a.py", file_type="text")]
    assert "-x = 1\n+x = 2\n" in git_patch(diff)
    assert (second.title, second.status, second.content) == (UNSET, "completed", UNSET)


async def test_files_are_served_by_the_clients_own_methods_and_offered_only_then() -> None:
    class Files(RecordingDualClient):
        async def read_text_file(self, params: v1.ReadTextFileRequest) -> v1.ReadTextFileResponse:
            return v1.ReadTextFileResponse(content=f"text of {params.path}")

    async def turn(agent: OldAgent) -> v1.PromptResponse:
        await agent.say(await agent.client.read_text_file("s", "/a"))
        return v1.PromptResponse(stop_reason="end_turn")

    made, client = Made(turn), Files()
    async with linked_dual(made, client) as agent:
        await open_session(agent)
        await ask(agent)
        await client.until_idle()
        offered = made.agent.client.capabilities
    assert client.text == "text of /a"
    assert offered.fs == v1.FileSystemCapabilities(read_text_file=True)
    assert not offered.terminal


class Terminals(RecordingDualClient):
    """Serves terminals that print one line; the first ends, the second goes on."""

    async def create_terminal(self, params: v1.CreateTerminalRequest) -> v1.CreateTerminalResponse:
        return v1.CreateTerminalResponse(terminal_id="t1" if params.args else "t2")

    async def terminal_output(self, params: v1.TerminalOutputRequest) -> v1.TerminalOutputResponse:
        ended = v1.TerminalExitStatus(exit_code=3) if params.terminal_id == "t1" else None
        return v1.TerminalOutputResponse(output="out", truncated=False, exit_status=ended)

    async def wait_for_terminal_exit(
        self, params: v1.WaitForTerminalExitRequest
    ) -> v1.WaitForTerminalExitResponse:
        return v1.WaitForTerminalExitResponse(exit_code=3)

    async def kill_terminal(self, params: v1.KillTerminalRequest) -> v1.KillTerminalResponse:
        return v1.KillTerminalResponse()

    async def release_terminal(
        self, params: v1.ReleaseTerminalRequest
    ) -> v1.ReleaseTerminalResponse:
        return v1.ReleaseTerminalResponse()


async def test_what_runs_in_the_clients_terminals_is_told() -> None:
    async def turn(agent: OldAgent) -> v1.PromptResponse:
        terminal = await agent.client.create_terminal(
            v1.CreateTerminalRequest(session_id="s", command="ls", args=["-l"], cwd="/tmp")
        )
        content: list[v1.ToolCallContent] = [v1.Terminal(terminal_id=terminal.id)]
        await agent.tell(v1.ToolCall(tool_call_id="t", title="ls", content=content))
        await terminal.wait_for_exit()
        await terminal.output()
        await terminal.release()
        bare = v1.CreateTerminalRequest(session_id="s", command="pwd")
        running = await agent.client.create_terminal(bare)
        await running.output()
        await running.kill()
        return v1.PromptResponse(stop_reason="end_turn")

    client = await run(turn, Terminals())
    begun, ended, printed, again, bare, _ = client.of(v2.TerminalUpdate)
    assert (begun.terminal_id, begun.command, begun.cwd) == ("t1", "ls -l", "/tmp")
    assert ended.exit_status == v2.TerminalExitStatus(exit_code=3) == again.exit_status
    assert isinstance(printed.output, v2.TerminalOutput)
    assert base64.b64decode(printed.output.data) == b"out"
    assert bare.cwd is UNSET
    assert client.of(v2.ToolCallUpdate)[0].content == [v2.Terminal(terminal_id="t1")]


async def test_a_resumed_session_is_loaded_for_its_history() -> None:
    client = RecordingDualClient()
    made = Made(capabilities=v1.AgentCapabilities(load_session=True))
    async with linked_dual(made, client) as agent:
        await agent.initialize(HELLO)
        assert (agent.lists, agent.resumes, agent.replays) == (False, True, True)
        resume = v2.ResumeSessionRequest(session_id="s", cwd="/", replay_from=v2.ReplayFromStart())
        resumed = await agent.resume_session(resume)
        assert len(resumed.config_options) == 1
        kinds = [type(update) for update in client.updates]
        assert kinds == [v2.UserMessageChunk, v2.AgentMessageChunk, v2.AvailableCommandsUpdate]
        await made.agent.say("new")
        await client.until(lambda: client.text == "oldnew")
    old, new = client.of(v2.AgentMessageChunk)
    assert old.message_id != new.message_id


async def test_a_session_that_can_only_be_loaded_is_resumed_without_showing_its_history() -> None:
    client = RecordingDualClient()
    made = Made(capabilities=v1.AgentCapabilities(load_session=True))
    async with linked_dual(made, client) as agent:
        await agent.initialize(HELLO)
        await agent.resume_session(v2.ResumeSessionRequest(session_id="s", cwd="/"))
        await made.agent.say("new")
        await client.until(lambda: client.text)
    assert client.text == "new"
    assert len(client.of(v2.AvailableCommandsUpdate)) == 1


async def test_a_session_is_resumed_without_a_load_where_that_is_possible() -> None:
    made = Made(capabilities=v1.AgentCapabilities(session_capabilities=CAN_ALL))
    async with linked_dual(made, RecordingDualClient()) as agent:
        await agent.initialize(HELLO)
        resumed = await agent.resume_session(v2.ResumeSessionRequest(session_id="s", cwd="/"))
        assert isinstance(made.agent.calls[-1], v1.ResumeSessionRequest)
        assert len(resumed.config_options) == 1
        with pytest.raises(CapabilityError, match="replayFrom"):
            await agent.resume_session(
                v2.ResumeSessionRequest(session_id="s", cwd="/", replay_from=v2.ReplayFromStart())
            )


async def test_sessions_are_listed_closed_and_deleted() -> None:
    auth = v1.AgentAuthCapabilities(logout=v1.LogoutCapabilities())
    made = Made(capabilities=v1.AgentCapabilities(session_capabilities=CAN_ALL, auth=auth))
    async with linked_dual(made, RecordingDualClient()) as agent:
        await open_session(agent)
        listed = await agent.list_sessions(v2.ListSessionsRequest(cwd="/"))
        assert listed.sessions == [v2.SessionInfo(session_id="s", cwd="/")]
        await agent.close_session(v2.CloseSessionRequest(session_id="s"))
        await agent.delete_session(v2.DeleteSessionRequest(session_id="s"))
        await agent.login(v2.LoginAuthRequest(method_id="key"))
        await agent.logout(v2.LogoutAuthRequest())
        assert made.agent.calls[-4:] == [
            v1.CloseSessionRequest(session_id="s"),
            v1.DeleteSessionRequest(session_id="s"),
            v1.AuthenticateRequest(method_id="key"),
            v1.LogoutRequest(),
        ]


async def test_closing_where_there_is_no_close_cancels() -> None:
    made = Made()
    async with linked_dual(made, RecordingDualClient()) as agent:
        await open_session(agent)
        await agent.close_session(v2.CloseSessionRequest(session_id="s"))
        await made.agent.cancelled.wait()
    assert not [call for call in made.agent.calls if isinstance(call, v1.CloseSessionRequest)]


async def test_what_the_agent_did_not_advertise_is_not_asked() -> None:
    made = Made()
    stdio = v2.McpServerStdio(name="x", command="/x")
    http = v2.McpServerHttp(name="x", url="http://x")
    sse = v2.UnknownVariant(kind="sse", body={"type": "sse", "name": "x", "url": "http://x"})
    picture = v2.ImageContent(data="", mime_type="image/png")
    text = v2.EmbeddedResource(resource=v2.TextResourceContents(uri="file:///a", text=""))
    async with linked_dual(made, RecordingDualClient()) as agent:
        await open_session(agent)
        await agent.new_session(v2.NewSessionRequest(cwd="/", mcp_servers=[stdio]))
        known = len(made.agent.calls)
        for capability, asking in (
            ("session.list", agent.list_sessions(v2.ListSessionsRequest())),
            ("session.delete", agent.delete_session(v2.DeleteSessionRequest(session_id="s"))),
            (
                "session.resume",
                agent.resume_session(v2.ResumeSessionRequest(session_id="s", cwd="/")),
            ),
            ("auth.logout", agent.logout(v2.LogoutAuthRequest())),
            (
                "session.mcp.http",
                agent.new_session(v2.NewSessionRequest(cwd="/", mcp_servers=[http])),
            ),
            (
                "session.mcp.sse",
                agent.new_session(v2.NewSessionRequest(cwd="/", mcp_servers=[sse])),
            ),
            (
                "session.additionalDirectories",
                agent.new_session(v2.NewSessionRequest(cwd="/", additional_directories=["/b"])),
            ),
            (
                "session.prompt.image",
                agent.prompt(v2.PromptRequest(session_id="s", prompt=[picture])),
            ),
            (
                "session.prompt.embeddedContext",
                agent.prompt(v2.PromptRequest(session_id="s", prompt=[text])),
            ),
            (
                "tool_call.cancel",
                agent.cancel_tool_call(v2.CancelToolCallRequest(session_id="s", tool_call_id="t")),
            ),
            (
                "terminal.cancel",
                agent.cancel_terminal(v2.CancelTerminalRequest(session_id="s", terminal_id="t")),
            ),
        ):
            with pytest.raises(CapabilityError) as refused:
                await asking
            assert refused.value.capability == capability
        assert len(made.agent.calls) == known
