"""Whatever the interleaving: nothing lost, nothing reordered, answers in their place."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from punie.acp.agent_side import ClientProxy, serve
from punie.acp.connection.inbox import Inbox
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient, linked
from punie.acp.transports.memory import pair

# What a session does: `None` gives way to the others, a number says that many updates.
STEPS = st.lists(st.none() | st.integers(1, 30), max_size=8)
SESSIONS = st.lists(st.tuples(STEPS, STEPS), min_size=1, max_size=5)


class Scripted:
    """Each session follows its script: some steps in `session/new`, the rest in the turn."""

    def __init__(self, client: ClientProxy, scripts: list[tuple[Any, Any]]) -> None:
        self.client = client
        self.scripts = scripts
        self.said: defaultdict[str, int] = defaultdict(int)

    async def follow(self, session_id: str, steps: list[int | None]) -> None:
        for step in steps:
            if step is None:
                await asyncio.sleep(0)
            for _ in range(step or 0):
                text = v1.TextContent(text=str(self.said[session_id]))
                self.said[session_id] += 1
                await self.client.session_update(session_id, v1.AgentMessageChunk(content=text))

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        return v1.InitializeResponse(protocol_version=1)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        number = params.cwd.removeprefix("/")
        await self.follow(number, self.scripts[int(number)][0])
        return v1.NewSessionResponse(session_id=number)

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        await self.follow(params.session_id, self.scripts[int(params.session_id)][1])
        return v1.PromptResponse(stop_reason="end_turn")

    async def cancel(self, params: v1.CancelNotification) -> None:
        pass

    async def close(self) -> None:
        pass


class Log:
    """Sees the frames of an agent in the order in which they pass."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.over = asyncio.Event()

    def frame_received(self, frame: bytes) -> None:
        self.frames.append(msgspec.json.decode(frame))

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        self.over.set()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts=SESSIONS)
def test_on_the_wire_each_sessions_updates_stand_between_its_answers(
    scripts: list[tuple[Any, Any]],
) -> None:
    async def scenario() -> list[dict[str, Any]]:
        ours, theirs = pair()
        log = Log()
        await ours.open(log)

        def send(request_id: str, method: str, params: dict[str, Any]) -> None:
            frame = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
            ours.send(msgspec.json.encode(frame))

        async def client() -> None:
            send("init", "initialize", {"protocolVersion": 1})
            for number in range(len(scripts)):
                send(f"new {number}", "session/new", {"cwd": f"/{number}", "mcpServers": []})
            answered: set[str] = set()
            while len(answered) < 2 * len(scripts) + 1:
                await asyncio.sleep(0)
                for frame in log.frames:
                    request_id = frame.get("id")
                    if request_id is None or request_id in answered:
                        continue
                    answered.add(request_id)
                    if request_id.startswith("new"):
                        number = frame["result"]["sessionId"]
                        params = {"sessionId": number, "prompt": []}
                        send(f"turn {number}", "session/prompt", params)
            await ours.aclose()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(lambda proxy: Scripted(proxy, scripts), theirs))
            tasks.create_task(client())
        return log.frames

    frames = asyncio.run(scenario())
    for number, steps in enumerate(scripts):
        passed = [
            frame.get("id") or frame["params"]["update"]["content"]["text"]
            for frame in frames
            if frame.get("id") in (f"new {number}", f"turn {number}")
            or frame.get("params", {}).get("sessionId") == str(number)
        ]
        count = sum(step or 0 for script in steps for step in script)
        assert passed == [f"new {number}", *map(str, range(count)), f"turn {number}"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts=SESSIONS, naps=st.lists(st.booleans(), min_size=1, max_size=7))
def test_a_client_has_handled_every_update_of_a_turn_when_its_answer_is_there(
    scripts: list[tuple[Any, Any]], naps: list[bool]
) -> None:
    class Napping(RecordingClient):
        async def session_update(self, params: v1.SessionNotification) -> None:
            if naps[len(self.updates) % len(naps)]:
                await asyncio.sleep(0)
            await super().session_update(params)

        def texts(self, session_id: str) -> list[str]:
            return [
                one.update.content.text
                for one in self.updates
                if one.session_id == session_id
                and isinstance(one.update, v1.AgentMessageChunk)
                and isinstance(one.update.content, v1.TextContent)
            ]

    async def scenario() -> None:
        client = Napping()
        async with linked(lambda proxy: Scripted(proxy, scripts), client) as agent:
            await agent.initialize(INITIALIZE)

            async def turn(number: int) -> None:
                new = v1.NewSessionRequest(cwd=f"/{number}", mcp_servers=[])
                session_id = (await agent.new_session(new)).session_id
                await agent.prompt(v1.PromptRequest(session_id=session_id, prompt=[]))
                count = sum(step or 0 for script in scripts[number] for step in script)
                assert client.texts(session_id) == list(map(str, range(count)))

            async with asyncio.TaskGroup() as tasks:
                for number in range(len(scripts)):
                    tasks.create_task(turn(number))

    asyncio.run(scenario())


class _Reading:
    """Remembers whether frames may come."""

    def __init__(self) -> None:
        self.paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


async def test_a_few_large_messages_pause_the_transport_as_many_small_ones_do() -> None:
    """Punie's own rule: what waits is bounded in bytes, not in messages alone."""
    transport: Any = _Reading()
    may_go_on, done = asyncio.Event(), asyncio.Event()
    inbox = Inbox(transport, asyncio.get_running_loop().create_task)
    for _ in range(3):
        inbox.put(may_go_on.wait, size=1_000_000)
    assert not transport.paused
    for _ in range(2):
        inbox.put(may_go_on.wait, size=1_000_000)
    assert transport.paused
    inbox.put(done.set)
    may_go_on.set()
    await done.wait()
    assert not transport.paused
