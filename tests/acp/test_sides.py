"""An agent and a client in one event loop: what each may count on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from punie.acp.agent_side import ClientProxy, serve
from punie.acp.client_side import AgentProxy, connect
from punie.acp.errors import (
    CapabilityError,
    ConnectionClosedError,
    RequestError,
    SessionNotOpenError,
)
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient, linked
from punie.acp.transports.memory import MemoryTransport, pair


class BaseAgent:
    """Opens sessions and ends turns at once; tests override what they are about."""

    def __init__(self, client: ClientProxy) -> None:
        self.client = client
        self.cancelled: list[str] = []
        self.closes = 0

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        return v1.InitializeResponse(protocol_version=1)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        return v1.NewSessionResponse(session_id="s")

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        return v1.PromptResponse(stop_reason="end_turn")

    async def cancel(self, params: v1.CancelNotification) -> None:
        self.cancelled.append(params.session_id)

    async def close(self) -> None:
        self.closes += 1

    async def say(self, text: str, session_id: str = "s") -> None:
        update = v1.AgentMessageChunk(content=v1.TextContent(text=text))
        await self.client.session_update(session_id, update)


NEW = v1.NewSessionRequest(cwd="/", mcp_servers=[])
PROMPT = v1.PromptRequest(session_id="s", prompt=[v1.TextContent(text="hi")])


async def open_session(agent: AgentProxy) -> None:
    await agent.initialize(INITIALIZE)
    await agent.new_session(NEW)


class Wire:
    """The far end of an agent: frames in, frames out, in the order they passed."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    def frame_received(self, frame: bytes) -> None:
        self.frames.put_nowait(msgspec.json.decode(frame))

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass

    def send(self, method: str, params: Any = None, **more: Any) -> None:
        frame = {"jsonrpc": "2.0", "method": method, "params": params, **more}
        self.transport.send(msgspec.json.encode(frame))

    async def ask(self, method: str, params: Any = None, *, id: Any = 1) -> Any:
        self.send(method, params, id=id)
        return await self.frames.get()


async def wired(
    make_agent: Callable[[ClientProxy], Any], tasks: asyncio.TaskGroup, *, initialize: bool = True
) -> Wire:
    ours, theirs = pair()
    wire = Wire(ours)
    await ours.open(wire)
    tasks.create_task(serve(make_agent, theirs))
    if initialize:
        await wire.ask("initialize", {"protocolVersion": 1})
    return wire


async def test_before_initialize_a_request_is_invalid_and_a_notification_is_ignored() -> None:
    async with asyncio.TaskGroup() as tasks:
        wire = await wired(BaseAgent, tasks, initialize=False)
        wire.send("session/cancel", {"sessionId": "s"})
        assert (await wire.ask("session/new", {"cwd": "/", "mcpServers": []}))["error"]["code"] == (
            -32600
        )
        assert (await wire.ask("_nope"))["error"]["code"] == -32600
        assert (await wire.ask("initialize", {"protocolVersion": 1}))["result"]
        await wire.transport.aclose()


async def test_requests_sent_right_behind_initialize_wait_for_it() -> None:
    class Slow(BaseAgent):
        async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
            await asyncio.sleep(0.01)
            return await super().initialize(params)

    async with asyncio.TaskGroup() as tasks:
        wire = await wired(Slow, tasks, initialize=False)
        wire.send("initialize", {"protocolVersion": 1}, id="a")
        wire.send("session/new", {"cwd": "/", "mcpServers": []}, id="b")
        assert [(await wire.frames.get())["id"] for _ in range(2)] == ["a", "b"]
        await wire.transport.aclose()


async def test_an_initialize_that_ends_while_a_newer_one_runs_leaves_it_to_that_one() -> None:
    waiting = [first := asyncio.Event(), second := asyncio.Event()]
    both_run = asyncio.Event()

    class Held(BaseAgent):
        async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
            mine = waiting.pop(0)
            if not waiting:
                both_run.set()
            await mine.wait()
            return await super().initialize(params)

    async with asyncio.TaskGroup() as tasks:
        wire = await wired(Held, tasks, initialize=False)
        wire.send("initialize", {"protocolVersion": 1}, id="a")
        wire.send("initialize", {"protocolVersion": 1}, id="b")
        await both_run.wait()
        first.set()
        assert (await wire.frames.get())["id"] == "a"
        wire.send("session/new", {"cwd": "/", "mcpServers": []}, id="c")
        second.set()
        assert [(await wire.frames.get())["id"] for _ in range(2)] == ["b", "c"]
        await wire.transport.aclose()


async def test_a_failed_initialize_can_be_repeated() -> None:
    class Once(BaseAgent):
        failed = False

        async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
            if not self.failed:
                self.failed = True
                raise RequestError(-32000, "log in first")
            return await super().initialize(params)

    async with linked(Once, RecordingClient()) as agent:
        with pytest.raises(RequestError, match="log in first"):
            await agent.initialize(INITIALIZE)
        await open_session(agent)
        assert (await agent.initialize(INITIALIZE)).protocol_version == 1


@pytest.mark.parametrize(
    "params",
    [
        {"protocolVersion": 2, "info": {"name": "x", "version": "1"}, "capabilities": {}},
        {"protocolVersion": 2, "clientCapabilities": {"fs": "v2 has another shape"}},
        {"protocolVersion": 65535},
        {"protocolVersion": "1"},
        {"protocolVersion": 0},
    ],
)
async def test_version_1_is_answered_to_whoever_asks(params: dict[str, Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        wire = await wired(BaseAgent, tasks, initialize=False)
        assert (await wire.ask("initialize", params))["result"] == {"protocolVersion": 1}
        await wire.transport.aclose()


async def test_methods_nobody_serves_are_not_found() -> None:
    async with asyncio.TaskGroup() as tasks:
        wire = await wired(BaseAgent, tasks)
        for method in (
            "nope",
            "_ext/x",
            "session/load",
            "session/update",
            "session/cancel",
            "close",
        ):
            assert (await wire.ask(method, {"sessionId": "s"}))["error"]["code"] == -32601
        wire.send("nope", {})  # a notification: no answer
        assert (await wire.ask("session/new", {"cwd": "/", "mcpServers": []}))["result"]
        await wire.transport.aclose()


async def test_nothing_about_a_session_is_sent_before_its_answer() -> None:
    class Early(BaseAgent):
        async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
            await self.say("one")
            await self.say("two")
            return v1.NewSessionResponse(session_id="s")

    async with asyncio.TaskGroup() as tasks:
        wire = await wired(Early, tasks)
        frames = [await wire.ask("session/new", {"cwd": "/", "mcpServers": []})]
        frames += [await wire.frames.get() for _ in range(2)]
        assert frames[0]["result"] == {"sessionId": "s"}
        texts = [frame["params"]["update"]["content"]["text"] for frame in frames[1:]]
        assert texts == ["one", "two"]
        await wire.transport.aclose()


async def test_a_question_about_a_session_waits_for_its_answer_too() -> None:
    questions: list[asyncio.Task[str]] = []

    class Asking(BaseAgent):
        async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
            with pytest.raises(SessionNotOpenError):
                await self.client.read_text_file("s", "/a")
            questions.append(asyncio.create_task(self.client.read_text_file("s", "/a")))
            await asyncio.sleep(0)
            return v1.NewSessionResponse(session_id="s")

    async with linked(Asking, RecordingClient(files={"/a": "text"})) as agent:
        await open_session(agent)
        assert await questions[0] == "text"


async def test_a_loaded_session_is_replayed_before_the_answer() -> None:
    class Loading(BaseAgent):
        async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
            known = v1.AgentCapabilities(load_session=True)
            return v1.InitializeResponse(protocol_version=1, agent_capabilities=known)

        async def load_session(self, params: v1.LoadSessionRequest) -> v1.LoadSessionResponse:
            await self.say("history", params.session_id)
            return v1.LoadSessionResponse()

    client = RecordingClient()
    async with linked(Loading, client) as agent:
        await agent.initialize(INITIALIZE)
        load = v1.LoadSessionRequest(session_id="old", cwd="/", mcp_servers=[])
        await agent.load_session(load)
        assert client.text == "history"


async def test_all_updates_of_a_turn_are_handled_when_prompt_returns() -> None:
    class Talking(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            for number in range(5000):
                await self.say(f"{number},")
            return v1.PromptResponse(stop_reason="end_turn")

    class Slow(RecordingClient):
        async def session_update(self, params: v1.SessionNotification) -> None:
            await asyncio.sleep(0)
            await super().session_update(params)

    client = Slow()
    async with linked(Talking, client) as agent:
        await open_session(agent)
        await agent.prompt(PROMPT)
        assert client.text == "".join(f"{number}," for number in range(5000))


async def test_a_permission_question_is_asked_after_the_updates_before_it() -> None:
    seen: list[int] = []

    class Asking(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            call = v1.ToolCallUpdate(tool_call_id="t", title="Edit", status="pending")
            await self.client.session_update("s", v1.ToolCall(tool_call_id="t", title="Edit"))
            option = v1.PermissionOption(option_id="no", name="No", kind="reject_once")
            answer = await self.client.request_permission(
                v1.RequestPermissionRequest(session_id="s", tool_call=call, options=[option])
            )
            assert answer.outcome == v1.CancelledPermissionOutcome()
            return v1.PromptResponse(stop_reason="refusal")

    class Watching(RecordingClient):
        async def session_update(self, params: v1.SessionNotification) -> None:
            await asyncio.sleep(0)
            await super().session_update(params)

        async def request_permission(
            self, params: v1.RequestPermissionRequest
        ) -> v1.RequestPermissionResponse:
            seen.append(len(self.updates))
            return await super().request_permission(params)

    client = Watching()
    async with linked(Asking, client) as agent:
        await open_session(agent)
        assert (await agent.prompt(PROMPT)).stop_reason == "refusal"
    assert seen == [1]
    # The call stands alone here, without the tag that it has as an update.
    call = client.permissions[0].tool_call
    assert call == v1.ToolCallPatch(tool_call_id="t", title="Edit", status="pending")


async def test_what_the_client_did_not_advertise_is_not_asked() -> None:
    problems: list[str] = []

    class Curious(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            terminal = v1.CreateTerminalRequest(session_id="s", command="ls")
            for asking in (
                self.client.read_text_file("s", "/a"),
                self.client.write_text_file("s", "/a", "text"),
                self.client.create_terminal(terminal),
            ):
                with pytest.raises(CapabilityError) as refused:
                    await asking
                problems.append(refused.value.capability)
            return v1.PromptResponse(stop_reason="end_turn")

    files: dict[str, str] = {}
    async with linked(Curious, RecordingClient(files=files)) as agent:
        await agent.initialize(v1.InitializeRequest(protocol_version=1))
        await agent.new_session(NEW)
        await agent.prompt(PROMPT)
    assert problems == ["fs.readTextFile", "fs.writeTextFile", "terminal"]
    assert files == {}


async def test_files_and_terminals_reach_the_client() -> None:
    class Terminals(RecordingClient):
        def __init__(self) -> None:
            super().__init__(files={"/a": "1\n2\n3\n"})
            self.calls: list[str] = []

        async def create_terminal(
            self, params: v1.CreateTerminalRequest
        ) -> v1.CreateTerminalResponse:
            self.calls.append(f"create {params.command}")
            return v1.CreateTerminalResponse(terminal_id="t1")

        async def terminal_output(
            self, params: v1.TerminalOutputRequest
        ) -> v1.TerminalOutputResponse:
            self.calls.append(f"output {params.terminal_id}")
            return v1.TerminalOutputResponse(output="out", truncated=False)

        async def wait_for_terminal_exit(
            self, params: v1.WaitForTerminalExitRequest
        ) -> v1.WaitForTerminalExitResponse:
            self.calls.append(f"wait {params.terminal_id}")
            return v1.WaitForTerminalExitResponse(exit_code=3)

        async def kill_terminal(self, params: v1.KillTerminalRequest) -> v1.KillTerminalResponse:
            self.calls.append(f"kill {params.terminal_id}")
            return v1.KillTerminalResponse()

        async def release_terminal(
            self, params: v1.ReleaseTerminalRequest
        ) -> v1.ReleaseTerminalResponse:
            self.calls.append(f"release {params.terminal_id}")
            return v1.ReleaseTerminalResponse()

    class Working(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            assert await self.client.read_text_file("s", "/a", line=2, limit=1) == "2\n"
            await self.client.write_text_file("s", "/b", "new")
            request = v1.CreateTerminalRequest(session_id="s", command="ls")
            terminal = await self.client.create_terminal(request)
            assert (await terminal.output()).output == "out"
            assert (await terminal.wait_for_exit()).exit_code == 3
            await terminal.kill()
            await terminal.release()
            return v1.PromptResponse(stop_reason="end_turn")

    client = Terminals()
    async with linked(Working, client) as agent:
        await open_session(agent)
        await agent.prompt(PROMPT)
    assert client.calls == ["create ls", "output t1", "wait t1", "kill t1", "release t1"]
    assert client.files["/b"] == "new"


async def test_an_error_of_a_handler_travels_and_an_accident_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(BaseAgent):
        async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
            raise RequestError(-32000, "Authentication required", {"authMethods": []})

        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            raise ValueError("SECRET")

    async with linked(Failing, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        with pytest.raises(RequestError) as refused:
            await agent.new_session(NEW)
        assert refused.value.code == -32000
        assert refused.value.data == {"authMethods": []}
        with caplog.at_level(logging.CRITICAL), pytest.raises(RequestError) as broken:
            await agent.prompt(PROMPT)
        assert (broken.value.code, broken.value.data) == (-32603, None)
        assert "SECRET" not in str(broken.value)


async def test_an_answer_that_cannot_be_written_is_an_internal_error() -> None:
    class Odd(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            return v1.PromptResponse(stop_reason="end_turn", meta={"odd": object()})

        async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
            raise RequestError(-32000, "odd", object())

    async with linked(Odd, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        with pytest.raises(RequestError) as broken:
            await agent.prompt(PROMPT)
        assert broken.value.code == -32603
        with pytest.raises(RequestError) as odd:
            await agent.new_session(NEW)
        assert (odd.value.code, odd.value.data) == (-32000, None)


class Waiting(BaseAgent):
    """Its turns and `session/list` last until they are stopped."""

    def __init__(self, client: ClientProxy) -> None:
        super().__init__(client)
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()
        self.ends: list[str] = []

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        self.started.set()
        await self.stopped.wait()
        return v1.PromptResponse(stop_reason="cancelled", meta={"by": "agent"})

    async def cancel(self, params: v1.CancelNotification) -> None:
        await super().cancel(params)
        self.stopped.set()

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        sessions = v1.SessionCapabilities(list=v1.SessionListCapabilities())
        known = v1.AgentCapabilities(session_capabilities=sessions)
        return v1.InitializeResponse(protocol_version=1, agent_capabilities=known)

    async def list_sessions(self, params: v1.ListSessionsRequest) -> v1.ListSessionsResponse:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ends.append("list")
        raise AssertionError


def keep(made: list[Waiting]) -> Callable[[ClientProxy], Waiting]:
    def make(client: ClientProxy) -> Waiting:
        made.append(Waiting(client))
        return made[0]

    return make


async def test_session_cancel_lets_the_turn_answer() -> None:
    made: list[Waiting] = []
    async with linked(keep(made), RecordingClient()) as agent:
        await open_session(agent)
        turn = asyncio.ensure_future(agent.prompt(PROMPT))
        await made[0].started.wait()
        await agent.cancel("s")
        assert (await turn).meta == {"by": "agent"}


async def test_cancel_request_of_a_prompt_gets_the_agents_own_answer() -> None:
    made: list[Waiting] = []
    async with asyncio.TaskGroup() as tasks:
        wire = await wired(keep(made), tasks)
        wire.send("session/prompt", {"sessionId": "s", "prompt": []}, id="turn")
        wire.send("$/cancel_request", {"requestId": "turn"})
        answer = await wire.frames.get()
        assert answer["id"] == "turn"
        assert answer["result"] == {"_meta": {"by": "agent"}, "stopReason": "cancelled"}
        await wire.transport.aclose()
    assert made[0].cancelled == ["s"]


@pytest.mark.parametrize("at_once", [True, False])
async def test_cancel_request_of_another_request_cancels_its_handler(at_once: bool) -> None:
    made: list[Waiting] = []
    async with asyncio.TaskGroup() as tasks:
        wire = await wired(keep(made), tasks)
        wire.send("session/list", {}, id=5)
        if not at_once:
            await made[0].started.wait()
        wire.send("$/cancel_request", {"requestId": 6})  # of nothing
        wire.send("$/cancel_request", {"requestId": 5})
        answer = await wire.frames.get()
        assert (answer["id"], answer["error"]["code"]) == (5, -32800)
        assert made[0].ends == ([] if at_once else ["list"])
        await wire.transport.aclose()


async def test_cancelling_a_caller_cancels_the_request_at_the_peer() -> None:
    made: list[Waiting] = []
    async with linked(keep(made), RecordingClient()) as agent:
        await open_session(agent)
        calling = asyncio.ensure_future(agent.list_sessions(v1.ListSessionsRequest()))
        await made[0].started.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await agent.initialize(INITIALIZE)  # behind the cancellation
        assert made[0].ends == ["list"]


async def test_the_end_of_the_connection_fails_calls_and_closes_the_agent_once() -> None:
    made: list[Waiting] = []
    calling: asyncio.Future[Any] | None = None
    async with linked(keep(made), RecordingClient()) as agent:
        await open_session(agent)
        calling = asyncio.ensure_future(agent.prompt(PROMPT))
        await made[0].started.wait()
    with pytest.raises(ConnectionClosedError):
        await calling
    with pytest.raises(ConnectionClosedError):
        await agent.prompt(PROMPT)
    assert made[0].closes == 1


async def test_the_end_is_bounded_even_when_everything_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    released = asyncio.Event()

    async def hang() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    class Hanging(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            await hang()
            return v1.PromptResponse(stop_reason="end_turn")

        async def close(self) -> None:
            await hang()

    ours, theirs = pair()
    wire = Wire(ours)
    await ours.open(wire)
    serving = asyncio.ensure_future(serve(Hanging, theirs))
    await wire.ask("initialize", {"protocolVersion": 1})
    wire.send("session/prompt", {"sessionId": "s", "prompt": []}, id=2)
    await ours.aclose()
    with caplog.at_level(logging.CRITICAL):
        _, waiting = await asyncio.wait([serving], timeout=2)
    assert not waiting
    assert serving.exception() is None
    released.set()
    await asyncio.sleep(0)


async def test_an_update_of_an_unknown_kind_is_kept() -> None:
    ours, theirs = pair()
    wire = Wire(ours)
    await ours.open(wire)
    client = RecordingClient()
    async with connect(client, theirs) as agent:
        body = {"sessionUpdate": "hologram", "depth": 3}
        wire.send("session/update", {"sessionId": "s", "update": body})
        wire.send("session/update", {"sessionId": "s", "update": {"sessionUpdate": "plan"}})
        wire.send("session/update", {"sessionId": "s", "update": 5})
        calling = asyncio.ensure_future(agent.initialize(INITIALIZE))
        request = await wire.frames.get()
        ours.send(
            msgspec.json.encode({
                "jsonrpc": "2.0",
                "id": request["id"],
                "result": {"protocolVersion": 1},
            })
        )
        await calling
    unknown = v1.UnknownUpdate(kind="hologram", body=body)
    assert client.updates == [v1.SessionNotification(session_id="s", update=unknown)]


@pytest.mark.parametrize(
    "answer",
    [{"result": {"sessionId": 5}}, {"result": {}}, {"result": None}, {"result": [1]}],
)
async def test_an_answer_of_the_wrong_shape_is_an_error(answer: dict[str, Any]) -> None:
    ours, theirs = pair()
    wire = Wire(ours)
    await ours.open(wire)
    async with connect(RecordingClient(), theirs) as agent:
        calling = asyncio.ensure_future(agent.new_session(NEW))
        request = await wire.frames.get()
        ours.send(msgspec.json.encode({"jsonrpc": "2.0", "id": request["id"], **answer}))
        with pytest.raises(RequestError) as broken:
            await calling
        assert broken.value.code == -32603


async def test_a_handler_of_updates_that_fails_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Talking(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            await self.say("bad")
            await self.say("good")
            return v1.PromptResponse(stop_reason="end_turn")

    class Choosy(RecordingClient):
        async def session_update(self, params: v1.SessionNotification) -> None:
            if "bad" in str(params):
                raise ValueError
            await super().session_update(params)

    client = Choosy()
    async with linked(Talking, client) as agent:
        await open_session(agent)
        with caplog.at_level(logging.CRITICAL):
            await agent.prompt(PROMPT)
    assert client.text == "good"


async def test_a_turn_that_the_end_of_the_connection_stops_is_cancelled_not_failed() -> None:
    class Endless(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            await asyncio.Event().wait()
            raise AssertionError

    async with asyncio.TaskGroup() as tasks:
        wire = await wired(Endless, tasks)
        wire.send("session/prompt", {"sessionId": "s", "prompt": []}, id=2)
        assert wire.transport._peer is not None
        wire.transport._peer.stop_reading()  # as SIGTERM does: the client still listens
        assert (await wire.frames.get())["result"] == {"stopReason": "cancelled"}


async def test_a_request_within_an_update_does_not_wait_for_itself() -> None:
    agents: list[AgentProxy] = []

    class Talking(BaseAgent):
        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            await self.say("one")
            return v1.PromptResponse(stop_reason="end_turn")

    class Asking(RecordingClient):
        async def session_update(self, params: v1.SessionNotification) -> None:
            await agents[0].initialize(INITIALIZE)
            await super().session_update(params)

    client = Asking()
    async with linked(Talking, client) as agent:
        agents.append(agent)
        await open_session(agent)
        await agent.prompt(PROMPT)
        assert client.text == "one"


async def test_initialize_is_answered_even_when_it_is_cancelled() -> None:
    """What came behind it waits for it."""

    class Slow(BaseAgent):
        async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
            for _ in range(10):
                await asyncio.sleep(0)
            return await super().initialize(params)

    async with asyncio.TaskGroup() as tasks:
        wire = await wired(Slow, tasks, initialize=False)
        wire.send("initialize", {"protocolVersion": 1}, id="a")
        wire.send("$/cancel_request", {"requestId": "a"})
        assert (await wire.frames.get())["result"]["protocolVersion"] == 1
        await wire.transport.aclose()


async def test_an_agent_that_fails_to_close_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(BaseAgent):
        async def close(self) -> None:
            raise RuntimeError("clumsy")

    async with linked(Clumsy, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
    assert "the agent failed to close" in caplog.text
