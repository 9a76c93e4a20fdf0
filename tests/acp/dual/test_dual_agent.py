"""An agent written once, as clients of both versions meet it, frame by frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from punie.acp.agent_side import DualClientProxy, serve_dual
from punie.acp.errors import CapabilityError, RequestError
from punie.acp.schema import v1, v2
from punie.acp.transports.memory import MemoryTransport, pair
from punie.acp.versions.diffs import file_diff

MODES = v2.SessionConfigSelect(
    config_id="how",
    name="Mode",
    category="mode",
    current_value="ask",
    options=[
        v2.SessionConfigSelectOption(value="ask", name="Ask"),
        v2.SessionConfigSelectOption(value="edit", name="Edit"),
    ],
)
MODELS = v2.SessionConfigSelect(
    config_id="which",
    name="Model",
    category="model",
    current_value="small",
    options=[v2.SessionConfigSelectOption(value="small", name="Small")],
)
SWITCH = v2.SessionConfigBoolean(config_id="loud", name="Loud", current_value=False)
HELP = v2.Command(name="help", description="Says what there is")


class Agent:
    """Opens sessions `s`; a prompt runs the coroutine that a test gives."""

    capabilities = v2.AgentCapabilities(session=v2.SessionCapabilities())
    auth_methods: tuple[v2.AuthMethod, ...] = ()
    options: tuple[v2.SessionConfigOption, ...] = (MODES, MODELS, SWITCH)

    def __init__(self, client: DualClientProxy) -> None:
        self.client = client
        self.work: Callable[[], Any] = self.nothing
        self.seen: list[Any] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.prompts = 0

    async def nothing(self) -> None:
        pass

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        self.seen.append(params)
        return v2.InitializeResponse(
            protocol_version=2,
            info=v2.Implementation(name="agent", version="1"),
            capabilities=self.capabilities,
            auth_methods=list(self.auth_methods),
        )

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        self.seen.append(params)
        return v2.NewSessionResponse(
            session_id="s", config_options=list(self.options), available_commands=[HELP]
        )

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        self.seen.append(params)
        if params.replay_from is not None:
            await self.say(v2.UserMessage(message_id="old", content=[text("before")]))
            await self.say(v2.AgentMessageChunk(message_id="older", content=text("then")))
        await self.say(v2.IdleStateUpdate(stop_reason="end_turn"))
        return v2.ResumeSessionResponse(config_options=list(self.options))

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        info = v2.SessionInfo(session_id="s", cwd="/", title="One")
        return v2.ListSessionsResponse(sessions=[info], next_cursor="more")

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        return v2.CloseSessionResponse()

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        self.seen.append(params)
        self.prompts += 1
        message_id = f"m{self.prompts}"
        task = asyncio.create_task(self.turn(message_id, params.prompt))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return v2.PromptResponse(message_id=message_id)

    async def turn(self, message_id: str, prompt: list[v2.ContentBlock]) -> None:
        await self.say(v2.UserMessage(message_id=message_id, content=prompt))
        await self.say(v2.RunningStateUpdate())
        end = await self.work()
        await self.say(end or v2.IdleStateUpdate(stop_reason="end_turn"))

    async def set_session_config_option(
        self, params: v2.SetSessionConfigOptionRequest
    ) -> v2.SetSessionConfigOptionResponse:
        self.seen.append(params)
        self.options = tuple(
            msgspec.structs.replace(option, current_value=params.value)
            if option.config_id == params.config_id
            else option
            for option in (MODES, MODELS, SWITCH)
        )
        return v2.SetSessionConfigOptionResponse(config_options=list(self.options))

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        for task in list(self.tasks):
            task.cancel()
        await self.say(v2.IdleStateUpdate(stop_reason="cancelled"))

    async def close(self) -> None:
        pass

    async def say(self, update: v2.SessionUpdate) -> None:
        await self.client.session_update("s", update)


def text(value: str) -> v2.TextContent:
    return v2.TextContent(text=value)


class Wire:
    """The client's end: frames in, frames out, in the order they passed."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.agent: Agent

    def frame_received(self, frame: bytes) -> None:
        self.frames.put_nowait(msgspec.json.decode(frame))

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass

    def send(self, method: str, params: Any = None, **more: Any) -> None:
        frame = {"jsonrpc": "2.0", "method": method, "params": params, **more}
        self.transport.send(msgspec.json.encode(frame))

    def answer(self, request: Any, result: Any) -> None:
        self.transport.send(
            msgspec.json.encode({"jsonrpc": "2.0", "id": request["id"], "result": result})
        )

    async def until_answer(self, id: Any) -> list[Any]:
        """All frames up to the answer of a request, the answer last."""
        frames: list[Any] = []
        while not frames or frames[-1].get("id") != id or "method" in frames[-1]:
            frames.append(await self.frames.get())
        return frames

    async def ask(self, method: str, params: Any = None, *, id: Any = 1) -> Any:
        """The answer; what came before it must be nothing."""
        self.send(method, params, id=id)
        (answer,) = await self.until_answer(id)
        return answer.get("result", answer.get("error"))

    async def exchange(self, method: str, params: Any = None, *, id: Any = 1) -> list[Any]:
        """Updates before the answer, by what is told, and the answer."""
        self.send(method, params, id=id)
        *updates, answer = await self.until_answer(id)
        return [one["params"]["update"] for one in updates] + [
            answer.get("result", answer.get("error"))
        ]

    async def update(self) -> Any:
        frame = await self.frames.get()
        assert frame["method"] == "session/update"
        return frame["params"]["update"]


HELLO: dict[int, dict[str, Any]] = {
    1: {"protocolVersion": 1},
    2: {"protocolVersion": 2, "info": {"name": "tests", "version": "1"}},
}
NEW: dict[int, dict[str, Any]] = {1: {"cwd": "/", "mcpServers": []}, 2: {"cwd": "/"}}
PROMPT = {"sessionId": "s", "prompt": [{"type": "text", "text": "hi"}]}


@asynccontextmanager
async def wired(
    make: Callable[[DualClientProxy], Any] = Agent, versions: tuple[int, ...] = (1, 2)
) -> AsyncGenerator[Wire, None]:
    ours, theirs = pair()
    wire = Wire(ours)
    await ours.open(wire)

    def remember(client: DualClientProxy) -> Any:
        wire.agent = make(client)
        return wire.agent

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_dual(remember, theirs, versions=versions))
        yield wire
        await ours.aclose()


@asynccontextmanager
async def opened(
    version: int, make: Callable[[DualClientProxy], Any] = Agent, **hello: Any
) -> AsyncGenerator[Wire, None]:
    """One open session, with what came of opening it read."""
    async with wired(make) as wire:
        await wire.ask("initialize", HELLO[version] | hello)
        await wire.ask("session/new", NEW[version])
        if version == 1 and wire.agent.options:
            assert (await wire.update())["sessionUpdate"] == "available_commands_update"
        yield wire


async def test_a_prompt_of_version_2_is_answered_at_once_and_goes_on() -> None:
    async with opened(2) as wire:
        assert await wire.exchange("session/prompt", PROMPT) == [{"messageId": "m1"}]
        assert [await wire.update() for _ in range(3)] == [
            {
                "sessionUpdate": "user_message",
                "messageId": "m1",
                "content": [{"type": "text", "text": "hi"}],
            },
            {"sessionUpdate": "state_update", "state": "running"},
            {"sessionUpdate": "state_update", "state": "idle", "stopReason": "end_turn"},
        ]


async def test_a_prompt_of_version_1_is_answered_at_the_end_of_its_turn() -> None:
    async with opened(1) as wire:
        agent = wire.agent

        async def work() -> None:
            await agent.say(v2.AgentMessageChunk(message_id="a", content=text("hello")))

        agent.work = work
        assert await wire.exchange("session/prompt", PROMPT) == [
            {
                "sessionUpdate": "agent_message_chunk",
                "messageId": "a",
                "content": {"type": "text", "text": "hello"},
            },
            {"stopReason": "end_turn"},
        ]


async def test_nothing_is_served_before_initialize_and_a_failed_one_can_be_repeated() -> None:
    async with wired() as wire:
        assert (await wire.ask("session/new", NEW[2]))["code"] == -32600
        assert (await wire.ask("initialize", {"protocolVersion": 2}))["code"] == -32602
        assert (await wire.ask("session/new", NEW[2]))["code"] == -32600
        assert (await wire.ask("initialize", HELLO[2]))["protocolVersion"] == 2


async def test_the_agent_says_nothing_before_initialize() -> None:
    async with wired() as wire:
        assert (await wire.ask("nope"))["code"] == -32600
        with pytest.raises(RequestError, match="Invalid request"):
            await wire.agent.say(v2.RunningStateUpdate())
        assert wire.agent.client.version is None


@pytest.mark.parametrize(("requested", "spoken"), [(1, 1), ("1", 1), (2, 2), (65535, 2)])
async def test_the_highest_version_of_both_is_spoken(requested: Any, spoken: int) -> None:
    async with wired() as wire:
        hello = HELLO[2] | {"protocolVersion": requested}
        assert (await wire.ask("initialize", hello))["protocolVersion"] == spoken
        assert wire.agent.client.version == spoken
        assert (wire.agent.client.v1 is None) == (spoken == 2)


async def test_an_agent_of_version_2_alone_refuses_a_client_of_version_1() -> None:
    async with wired(versions=(2,)) as wire:
        refused = await wire.ask("initialize", HELLO[1])
        assert refused["code"] == -32022
        assert refused["data"] == {"requested": 1, "supported": [2]}
        assert (await wire.ask("initialize", HELLO[2]))["protocolVersion"] == 2


async def test_version_1_lets_the_handshake_repeat_and_version_2_does_not() -> None:
    async with wired() as wire:
        assert (await wire.ask("initialize", HELLO[1]))["protocolVersion"] == 1
        assert (await wire.ask("initialize", HELLO[2]))["protocolVersion"] == 1
    async with wired() as wire:
        await wire.ask("initialize", HELLO[2])
        assert (await wire.ask("initialize", HELLO[2]))["code"] == -32600


async def test_each_version_has_its_own_methods() -> None:
    foreign = {
        1: ("auth/login", "tool_call/cancel", "terminal/cancel", "fs/read_text_file"),
        2: ("authenticate", "logout", "session/load", "session/set_mode", "session/set_model"),
    }
    for version, methods in foreign.items():
        async with opened(version) as wire:
            for method in (*methods, "session/delete", "session/fork", "nope", "_own"):
                assert (await wire.ask(method, {"sessionId": "s"}))["code"] == -32601


async def test_the_handshake_says_the_same_in_both_versions() -> None:
    class Able(Agent):
        capabilities = v2.AgentCapabilities(
            session=v2.SessionCapabilities(
                prompt=v2.PromptCapabilities(image=v2.PromptImageCapabilities()),
                mcp=v2.McpCapabilities(
                    stdio=v2.McpStdioCapabilities(), http=v2.McpHttpCapabilities()
                ),
                delete=v2.SessionDeleteCapabilities(),
                additional_directories=v2.SessionAdditionalDirectoriesCapabilities(),
            )
        )
        auth_methods = (
            v2.AuthMethodAgent(method_id="a", name="A"),
            v2.AuthMethodTerminal(
                method_id="t", name="T", args=["in"], env=[v2.EnvVariable(name="K", value="V")]
            ),
            v2.UnknownVariant(kind="_own", body={"type": "_own"}),
        )

    async with wired(Able) as wire:
        more = {
            "clientCapabilities": {
                "auth": {"terminal": True},
                "elicitation": {"form": {}},
                "_meta": {"k": 1},
            },
            "clientInfo": {"name": "editor", "version": "3"},
        }
        answer = await wire.ask("initialize", HELLO[1] | more)
        (said,) = wire.agent.seen
        info = wire.agent.client.info
    assert answer["agentInfo"] == {"name": "agent", "version": "1"}
    assert answer["agentCapabilities"] == {
        "loadSession": True,
        "promptCapabilities": {"image": True},
        "mcpCapabilities": {"http": True},
        "sessionCapabilities": {
            name: {} for name in ("list", "delete", "additionalDirectories", "resume", "close")
        },
        "auth": {"logout": {}},
    }
    assert answer["authMethods"] == [
        {"id": "a", "name": "A"},
        {"id": "t", "name": "T", "type": "terminal", "args": ["in"], "env": {"K": "V"}},
    ]
    assert info == v2.Implementation(name="editor", version="3") == said.info
    assert said.capabilities == v2.ClientCapabilities(
        auth=v2.ClientAuthCapabilities(terminal=v2.TerminalAuthCapabilities()),
        elicitation=v2.ElicitationCapabilities(form=v2.ElicitationFormCapabilities()),
        meta={"k": 1},
    )


async def test_an_agent_without_sessions_offers_none() -> None:
    class Bare(Agent):
        capabilities = v2.AgentCapabilities()

    async with wired(Bare) as wire:
        able = (await wire.ask("initialize", HELLO[1]))["agentCapabilities"]
        assert not any(able.values())
        assert (await wire.ask("session/list"))["code"] == -32601
    async with wired(Bare) as wire:
        await wire.ask("initialize", HELLO[2])
        assert (await wire.ask("session/new", NEW[2]))["code"] == -32601


async def test_what_a_session_begins_with_is_told_in_the_words_of_version_1() -> None:
    async with wired() as wire:
        await wire.ask("initialize", HELLO[1])
        answer = await wire.ask("session/new", NEW[1])
        commands = await wire.update()
    assert answer["modes"] == {
        "currentModeId": "ask",
        "availableModes": [{"id": "ask", "name": "Ask"}, {"id": "edit", "name": "Edit"}],
    }
    assert [option["id"] for option in answer["configOptions"]] == ["how", "which"]
    assert commands == {
        "sessionUpdate": "available_commands_update",
        "availableCommands": [{"name": "help", "description": "Says what there is"}],
    }


async def test_switches_are_for_clients_that_show_them() -> None:
    async with wired() as wire:
        shows = {"session": {"configOptions": {"boolean": {}}}}
        await wire.ask("initialize", HELLO[1] | {"clientCapabilities": shows})
        options = (await wire.ask("session/new", NEW[1]))["configOptions"]
        assert options[-1] == {
            "type": "boolean",
            "id": "loud",
            "name": "Loud",
            "currentValue": False,
        }
        await wire.update()
        loud = {"sessionId": "s", "configId": "loud", "type": "boolean", "value": True}
        changed = await wire.ask("session/set_config_option", loud)
    assert changed["configOptions"][-1]["currentValue"] is True
    assert wire.agent.seen[-1].type == "boolean"


async def test_modes_and_their_option_stay_in_step() -> None:
    async with opened(1) as wire:
        updates = await wire.exchange("session/set_mode", {"sessionId": "s", "modeId": "edit"})
        assert updates[0] == {"sessionUpdate": "current_mode_update", "currentModeId": "edit"}
        assert updates[1]["configOptions"][0]["currentValue"] == "edit"
        assert updates[2:] == [{}]
        again = await wire.exchange("session/set_mode", {"sessionId": "s", "modeId": "edit"})
        assert again == [{}]
        option = {"sessionId": "s", "configId": "how", "value": "ask"}
        mode, answer = await wire.exchange("session/set_config_option", option)
        assert mode == {"sessionUpdate": "current_mode_update", "currentModeId": "ask"}
        assert answer["configOptions"][0]["currentValue"] == "ask"


async def test_the_removed_way_to_choose_a_model_still_works() -> None:
    async with opened(1) as wire:
        model = {"sessionId": "s", "modelId": "large"}
        update, answer = await wire.exchange("session/set_model", model)
        assert update["configOptions"][1]["currentValue"] == "large"
        assert answer == {}
        assert wire.agent.seen[-1].config_id == "which"


async def test_without_an_option_of_the_category_there_is_nothing_to_choose() -> None:
    class Plain(Agent):
        options = ()

    async with wired(Plain) as wire:
        await wire.ask("initialize", HELLO[1])
        assert "modes" not in await wire.ask("session/new", NEW[1])
        await wire.update()
        mode = await wire.ask("session/set_mode", {"sessionId": "s", "modeId": "x"})
        assert mode["code"] == -32601


async def test_loading_replays_and_resuming_does_not() -> None:
    ids = {"sessionId": "s", "cwd": "/", "mcpServers": []}
    async with opened(1) as wire:
        user, assistant, answer = await wire.exchange("session/load", ids)
        assert (user["sessionUpdate"], user["messageId"]) == ("user_message_chunk", "old")
        assert assistant["messageId"] == "older"
        assert answer["modes"]["currentModeId"] == "ask"
        assert wire.agent.seen[-1].replay_from == v2.ReplayFromStart()
        (resumed,) = await wire.exchange("session/resume", ids)
        assert resumed == answer
        assert wire.agent.seen[-1].replay_from is None


async def test_mcp_servers_reach_the_agent_whatever_their_transport() -> None:
    headers = [{"name": "H", "value": "h"}]
    servers = [
        {"name": "a", "command": "/a", "args": ["x"], "env": [{"name": "K", "value": "V"}]},
        {"type": "http", "name": "b", "url": "http://b", "headers": headers},
        {"type": "sse", "name": "c", "url": "http://c", "headers": []},
    ]
    async with wired() as wire:
        await wire.ask("initialize", HELLO[1])
        await wire.ask("session/new", {"cwd": "/", "mcpServers": servers})
        stdio, http, sse = wire.agent.seen[-1].mcp_servers
    assert stdio == v2.McpServerStdio(
        name="a", command="/a", args=["x"], env=[v2.EnvVariable(name="K", value="V")]
    )
    assert http == v2.McpServerHttp(
        name="b", url="http://b", headers=[v2.HttpHeader(name="H", value="h")]
    )
    assert (sse.kind, sse.body["url"]) == ("sse", "http://c")


async def test_sessions_are_listed_closed_and_deleted() -> None:
    class Deleting(Agent):
        capabilities = v2.AgentCapabilities(
            session=v2.SessionCapabilities(delete=v2.SessionDeleteCapabilities())
        )

        async def delete_session(self, params: v2.DeleteSessionRequest) -> v2.DeleteSessionResponse:
            self.seen.append(params)
            return v2.DeleteSessionResponse()

    for version in (1, 2):
        async with opened(version, Deleting) as wire:
            assert await wire.ask("session/list", {}) == {
                "sessions": [{"sessionId": "s", "cwd": "/", "title": "One"}],
                "nextCursor": "more",
            }
            assert await wire.ask("session/close", {"sessionId": "s"}) == {}
            assert await wire.ask("session/delete", {"sessionId": "s"}) == {}
            assert wire.agent.seen[-1] == v2.DeleteSessionRequest(session_id="s")


async def test_logging_in_and_out_works_in_both_versions() -> None:
    class Locked(Agent):
        auth_methods = (v2.AuthMethodAgent(method_id="key", name="Key"),)

        async def login(self, params: v2.LoginAuthRequest) -> v2.LoginAuthResponse:
            self.seen.append(params.method_id)
            return v2.LoginAuthResponse()

        async def logout(self, params: v2.LogoutAuthRequest) -> v2.LogoutAuthResponse:
            self.seen.append("out")
            return v2.LogoutAuthResponse()

    for version, login, logout in ((1, "authenticate", "logout"), (2, "auth/login", "auth/logout")):
        async with wired(Locked) as wire:
            await wire.ask("initialize", HELLO[version])
            assert await wire.ask(login, {"methodId": "key"}) == {}
            assert await wire.ask(logout) == {}
            assert wire.agent.seen[1:] == ["key", "out"]


async def test_a_session_is_forked_when_the_agent_offers_it() -> None:
    from punie.acp.schema.v2 import unstable

    class Forking(Agent):
        capabilities = v2.AgentCapabilities(
            session=unstable.SessionCapabilities(fork=unstable.SessionForkCapabilities())
        )

        async def fork_session(self, params: Any) -> unstable.ForkSessionResponse:
            await self.client.session_update("copy", v2.Notice(severity="info", title="new"))
            return unstable.ForkSessionResponse(session_id="copy", config_options=[MODES])

    for version in (1, 2):
        async with opened(version, Forking) as wire:
            answer = await wire.ask("session/fork", {"sessionId": "s", "cwd": "/"})
            assert answer["sessionId"] == "copy"
            await wire.update()  # held back until the client knew the copy


async def test_extensions_pass_both_ways() -> None:
    class Extended(Agent):
        async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
            return [method, params, await self.client.ext_method("_back", {"x": 1})]

        async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
            await self.client.ext_notification("_heard", {"method": method})

    for version in (1, 2):
        async with opened(version, Extended) as wire:
            wire.send("_tell")
            assert (await wire.frames.get())["params"] == {"method": "_tell"}
            wire.send("_ask", {"a": 1}, id="x")
            back = await wire.frames.get()
            assert (back["method"], back["params"]) == ("_back", {"x": 1})
            wire.answer(back, "yes")
            answer = await wire.frames.get()
            assert answer["result"] == ["_ask", {"a": 1}, "yes"]
    async with opened(1) as wire:
        wire.send("_tell")  # nobody listens
        assert (await wire.ask("_ask"))["code"] == -32601


async def test_version_2_cancels_tool_calls_and_terminals() -> None:
    class Stopping(Agent):
        async def cancel_tool_call(
            self, params: v2.CancelToolCallRequest
        ) -> v2.CancelToolCallResponse:
            return v2.CancelToolCallResponse()

        async def cancel_terminal(
            self, params: v2.CancelTerminalRequest
        ) -> v2.CancelTerminalResponse:
            return v2.CancelTerminalResponse()

    async with opened(2, Stopping) as wire:
        assert await wire.ask("tool_call/cancel", {"sessionId": "s", "toolCallId": "t"}) == {}
        assert await wire.ask("terminal/cancel", {"sessionId": "s", "terminalId": "t"}) == {}


# Turns


async def test_all_updates_of_a_turn_come_before_its_answer_and_none_of_the_next() -> None:
    async with opened(1) as wire:
        agent = wire.agent

        async def work() -> Any:
            for number in range(50):
                await agent.say(v2.AgentMessageChunk(message_id="a", content=text(str(number))))
            await agent.say(v2.IdleStateUpdate(stop_reason="max_tokens"))
            # What the agent says right behind the end belongs to what comes next.
            await agent.say(v2.SessionInfoUpdate(title="Next"))
            return v2.IdleStateUpdate(stop_reason="end_turn")

        agent.work = work
        *updates, answer = await wire.exchange("session/prompt", PROMPT)
        assert [one["content"]["text"] for one in updates] == [str(n) for n in range(50)]
        assert answer == {"stopReason": "max_tokens"}
        assert (await wire.update())["title"] == "Next"


@pytest.mark.parametrize(
    ("told", "answered"),
    [
        ("refusal", "refusal"),
        ("max_turn_requests", "max_turn_requests"),
        ("cancelled", "cancelled"),
        ("_own", "end_turn"),
        (None, "end_turn"),
    ],
)
async def test_the_reason_of_the_end_is_one_that_version_1_has(told: Any, answered: str) -> None:
    async with opened(1) as wire:

        async def work() -> Any:
            return v2.IdleStateUpdate(stop_reason=told)

        wire.agent.work = work
        assert await wire.ask("session/prompt", PROMPT) == {"stopReason": answered}


async def test_a_turn_that_fails_is_an_error_of_version_1() -> None:
    ends = [
        v2.IdleStateUpdate(
            stop_reason="error", error=v2.Error(code=-32603, message="no model", data={"a": 1})
        ),
        v2.IdleStateUpdate(stop_reason="error"),
    ]
    async with opened(1) as wire:

        async def work() -> Any:
            return ends.pop(0)

        wire.agent.work = work
        failed = await wire.ask("session/prompt", PROMPT)
        assert failed == {"code": -32603, "message": "no model", "data": {"a": 1}}
        assert (await wire.ask("session/prompt", PROMPT))["message"] == "the turn failed"


async def test_cancelling_answers_cancelled() -> None:
    for how in ("session/cancel", "$/cancel_request"):
        async with opened(1) as wire:
            started = asyncio.Event()

            async def work(started: asyncio.Event = started) -> None:
                started.set()
                await asyncio.Event().wait()

            wire.agent.work = work
            wire.send("session/prompt", PROMPT, id=7)
            await started.wait()
            wire.send(how, {"sessionId": "s", "requestId": 7})
            (answer,) = await wire.until_answer(7)
            assert answer["result"] == {"stopReason": "cancelled"}


async def test_a_prompt_that_was_never_taken_is_cancelled_too() -> None:
    class Refusing(Agent):
        code = -32800

        async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
            raise RequestError(self.code, "no")

    async with opened(1, Refusing) as wire:
        assert await wire.ask("session/prompt", PROMPT) == {"stopReason": "cancelled"}
        for code in (-32002, -32602):
            wire.agent.code = code  # type: ignore[attr-defined]
            assert (await wire.ask("session/prompt", PROMPT))["code"] == code


async def test_a_prompt_during_a_turn_ends_with_it() -> None:
    async with opened(1) as wire:
        agent = wire.agent
        begun: list[asyncio.Event] = []

        async def work() -> None:
            begun.append(asyncio.Event())
            if len(begun) == 2:
                begun[0].set()
            await begun[-1].wait()

        agent.work = work
        wire.send("session/prompt", PROMPT, id=1)
        wire.send("session/prompt", PROMPT, id=2)
        answers = [await wire.frames.get() for _ in range(2)]
        assert {one["id"] for one in answers} == {1, 2}
        for task in agent.tasks:
            task.cancel()


async def test_a_turn_that_is_over_before_its_prompt_is_answered_ends_it() -> None:
    class Quick(Agent):
        async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
            await self.turn("quick", params.prompt)
            await self.say(v2.IdleStateUpdate(stop_reason="refusal"))  # told again: no other end
            return v2.PromptResponse(message_id="quick")

    async with opened(1, Quick) as wire:
        assert await wire.exchange("session/prompt", PROMPT) == [{"stopReason": "end_turn"}]


async def test_a_state_that_is_told_again_ends_no_turn() -> None:
    class Late(Agent):
        async def turn(self, message_id: str, prompt: list[v2.ContentBlock]) -> None:
            await asyncio.sleep(0)
            await self.say(v2.IdleStateUpdate(stop_reason="refusal"))
            await super().turn(message_id, prompt)

    async with opened(1, Late) as wire:
        assert await wire.ask("session/prompt", PROMPT) == {"stopReason": "end_turn"}


async def test_what_somebody_else_asks_is_shown_to_a_client_of_version_1() -> None:
    async with opened(1) as wire:
        await wire.agent.say(v2.UserMessage(message_id="other", content=[text("from afar")]))
        await wire.agent.say(v2.UserMessageChunk(message_id="more", content=text("and more")))
        assert (await wire.update())["content"]["text"] == "from afar"
        assert (await wire.update())["content"]["text"] == "and more"


async def test_closing_a_session_ends_its_prompts() -> None:
    async with opened(1) as wire:
        started = asyncio.Event()

        async def work() -> None:
            started.set()
            await asyncio.Event().wait()

        wire.agent.work = work
        wire.send("session/prompt", PROMPT, id=7)
        await started.wait()
        wire.send("session/close", {"sessionId": "s"}, id=8)
        answers = {one["id"]: one["result"] for one in [await wire.frames.get() for _ in range(2)]}
        assert answers == {7: {"stopReason": "cancelled"}, 8: {}}
        for task in list(wire.agent.tasks):
            task.cancel()


# Questions


def ask_permission(subject: Any, *kinds: str) -> v2.RequestPermissionRequest:
    return v2.RequestPermissionRequest(
        session_id="s",
        title="Edit a?",
        description="It changes a.",
        subject=subject,
        options=[v2.PermissionOption(option_id=kind, name=kind, kind=kind) for kind in kinds],
    )


DIFF = file_diff("/a", old_text="1\n", new_text="2\n")
CALL = v2.ToolCallUpdate(tool_call_id="t", title="Edit a", kind="edit", content=[DIFF])


async def test_permission_is_asked_with_the_whole_call_in_version_1() -> None:
    async with opened(1) as wire:
        await wire.agent.say(CALL)
        begun = await wire.update()
        subject = v2.ToolCallPermissionSubject(tool_call=v2.ToolCallPatch(tool_call_id="t"))
        asking = asyncio.ensure_future(
            wire.agent.client.request_permission(ask_permission(subject, "allow_once", "_own"))
        )
        asked = await wire.frames.get()
        wire.answer(asked, {"outcome": {"outcome": "selected", "optionId": "allow_once"}})
        assert (await asking).outcome == v2.SelectedPermissionOutcome(option_id="allow_once")
    diff = {"type": "diff", "path": "/a", "oldText": "1\n", "newText": "2\n"}
    assert begun["content"] == [diff]
    assert asked["params"] == {
        "sessionId": "s",
        "toolCall": {"toolCallId": "t", "title": "Edit a", "kind": "edit", "content": [diff]},
        "options": [{"optionId": "allow_once", "name": "allow_once", "kind": "allow_once"}],
    }


async def test_permission_is_asked_with_a_patch_in_version_2() -> None:
    async with opened(2) as wire:
        call = v2.ToolCallPatch(tool_call_id="t", title="Edit a", content=[DIFF])
        subject = v2.ToolCallPermissionSubject(tool_call=call)
        asking = asyncio.ensure_future(
            wire.agent.client.request_permission(ask_permission(subject, "allow_once"))
        )
        asked = await wire.frames.get()
        wire.answer(asked, {"outcome": {"outcome": "cancelled"}})
        assert (await asking).outcome == v2.CancelledPermissionOutcome()
    (content,) = asked["params"]["subject"]["toolCall"]["content"]
    assert content["changes"] == [{"operation": "modify", "path": "/a", "fileType": "text"}]
    assert content["patch"]["text"].endswith("@@ -1 +1 @@\n-1\n+2\n")
    assert "path" not in content


@pytest.mark.parametrize(
    ("subject", "kind", "shown"),
    [
        (None, "other", "It changes a."),
        (v2.CommandPermissionSubject(command="ls", cwd="/"), "execute", "It changes a.\nls"),
    ],
)
async def test_a_question_about_no_call_makes_one_for_version_1(
    subject: Any, kind: str, shown: str
) -> None:
    async with opened(1) as wire:
        asking = asyncio.ensure_future(
            wire.agent.client.request_permission(ask_permission(subject, "reject_once"))
        )
        begun, asked = await wire.update(), await wire.frames.get()
        wire.answer(asked, {"outcome": {"outcome": "cancelled"}})
        await asking
        assert (begun["title"], begun["kind"]) == ("Edit a?", kind)
        assert begun["content"][0]["content"]["text"] == shown
        assert asked["params"]["toolCall"]["toolCallId"] == begun["toolCallId"]


async def test_a_question_whose_answers_version_1_cannot_give_is_not_asked() -> None:
    async with opened(1) as wire:
        answer = await wire.agent.client.request_permission(ask_permission(None, "_own"))
        assert answer.outcome == v2.CancelledPermissionOutcome()
        assert wire.frames.empty()


FORM = v2.ElicitationFormMode(
    session_id="s",
    message="Which?",
    requested_schema=v2.ElicitationSchema(
        type="object", properties={"a": v2.StringPropertySchema(title="A")}
    ),
)


async def test_a_form_reaches_clients_of_both_versions() -> None:
    able = {"elicitation": {"form": {}, "url": {}}}
    for version, more in ((1, {"clientCapabilities": able}), (2, {"capabilities": able})):
        async with opened(version, **more) as wire:
            asking = asyncio.ensure_future(wire.agent.client.create_elicitation(FORM))
            asked = await wire.frames.get()
            wire.answer(asked, {"action": "accept", "content": {"a": "x"}})
            assert (await asking).content == {"a": "x"}
            assert (asked["method"], asked["params"]["message"]) == ("elicitation/create", "Which?")
            await wire.agent.client.complete_elicitation("e")
            assert (await wire.frames.get())["params"] == {"elicitationId": "e"}


async def test_a_form_that_the_client_does_not_show_is_not_sent() -> None:
    for version in (1, 2):
        async with opened(version) as wire:
            with pytest.raises(CapabilityError, match=r"elicitation\.form"):
                await wire.agent.client.create_elicitation(FORM)
            with pytest.raises(CapabilityError, match=r"elicitation\.url"):
                await wire.agent.client.complete_elicitation("e")
            assert wire.frames.empty()


async def test_files_are_the_clients_in_version_1_alone() -> None:
    async with opened(1, clientCapabilities={"fs": {"readTextFile": True}}) as wire:
        assert wire.agent.client.v1 is not None
        reading = asyncio.ensure_future(wire.agent.client.v1.read_text_file("s", "/a"))
        wire.answer(await wire.frames.get(), {"content": "text"})
        assert await reading == "text"
        with pytest.raises(CapabilityError):
            await wire.agent.client.v1.create_terminal(
                v1.CreateTerminalRequest(session_id="s", command="ls")
            )


async def test_diffs_of_updates_are_patches_in_version_2() -> None:
    async with opened(2) as wire:
        await wire.agent.say(CALL)
        await wire.agent.say(v2.ToolCallContentChunk(tool_call_id="t", content=DIFF))
        await wire.agent.say(v2.ToolCallUpdate(tool_call_id="t", status="completed"))
        begun, more, done = [await wire.update() for _ in range(3)]
    assert begun["content"][0]["patch"]["format"] == "git_patch"
    assert more["content"]["patch"] == begun["content"][0]["patch"]
    assert done == {
        "sessionUpdate": "tool_call_update",
        "toolCallId": "t",
        "status": "completed",
    }
