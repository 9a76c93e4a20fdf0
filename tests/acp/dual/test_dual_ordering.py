"""Whatever the interleaving: a prompt of version 1 is answered after its turn's updates, before the next's."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from punie.acp.agent_side import DualClientProxy, serve_dual
from punie.acp.agent_side.turn_agent import TurnAgent
from punie.acp.schema import v2
from punie.acp.transports.memory import pair

# What a turn does: `None` gives way to the others, a number says that many updates.
TURN = st.lists(st.none() | st.integers(1, 20), max_size=5)
SESSIONS = st.lists(st.lists(TURN, min_size=1, max_size=4), min_size=1, max_size=4)


class Scripted(TurnAgent):
    """Each session follows its script, a turn at a time."""

    def __init__(self, client: DualClientProxy, scripts: list[list[list[int | None]]]) -> None:
        super().__init__(client)
        self._scripts = scripts

    def new_id(self) -> str:
        return str(next(self._numbers) - 1)  # the sessions come first: they are 0, 1, ...

    async def turn(self, session_id: str, prompt: list[v2.ContentBlock]) -> v2.StopReason:
        (block,) = prompt
        assert isinstance(block, v2.TextContent)
        for step in self._scripts[int(session_id)][int(block.text)]:
            if step is None:
                await asyncio.sleep(0)
            for _ in range(step or 0):
                chunk = v2.AgentMessageChunk(message_id=block.text, content=block)
                await self.say(session_id, chunk)
        return "end_turn"


class Log:
    """The client's end: the turns of each session, as the frames tell them."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.news = asyncio.Event()

    def frame_received(self, frame: bytes) -> None:
        self.frames.append(msgspec.json.decode(frame))
        self.news.set()

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass


async def play(scripts: list[list[list[int | None]]]) -> list[Any]:
    ours, theirs = pair()
    log = Log()
    await ours.open(log)
    serving = asyncio.ensure_future(serve_dual(lambda client: Scripted(client, scripts), theirs))

    def send(request_id: str, method: str, params: Any) -> None:
        frame = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        ours.send(msgspec.json.encode(frame))

    send("hello", "initialize", {"protocolVersion": 1})
    for _ in scripts:
        send("new", "session/new", {"cwd": "/a", "mcpServers": []})
    due = {"hello"}
    for session, turns in enumerate(scripts):
        for number in range(len(turns)):
            prompt = [{"type": "text", "text": str(number)}]
            due.add(f"{session}.{number}")
            params = {"sessionId": str(session), "prompt": prompt}
            send(f"{session}.{number}", "session/prompt", params)
    async with asyncio.timeout(10):
        while due - {frame.get("id") for frame in log.frames}:
            log.news.clear()
            await log.news.wait()
    await ours.aclose()
    await serving
    return log.frames


@given(SESSIONS)
@settings(max_examples=100, deadline=None)
def test_updates_come_before_the_answer_of_their_turn_and_after_the_one_before(
    scripts: list[list[list[int | None]]],
) -> None:
    frames = asyncio.run(play(scripts))
    for session, turns in enumerate(scripts):
        told: list[str] = []
        for frame in frames:
            if "method" not in frame and frame["id"].startswith(f"{session}."):
                assert frame["result"] == {"stopReason": "end_turn"}
                told.append(f"end {frame['id'].split('.')[1]}")
            elif "method" in frame and frame["params"]["sessionId"] == str(session):
                told.append(frame["params"]["update"]["content"]["text"])
        expected: list[str] = []
        for number, steps in enumerate(turns):
            expected += [str(number)] * sum(step or 0 for step in steps)
            expected.append(f"end {number}")
        assert told == expected
