"""An agent written once, and the client's end of its connection, frame by frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from punie.acp.agent_side import DualClientProxy, serve_dual
from punie.acp.schema import v2
from punie.acp.transports.memory import MemoryTransport, pair

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
