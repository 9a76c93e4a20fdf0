"""Whatever a client asks of an agent of both versions: one answer each, never of a handler that broke."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from punie.acp.agent_side import serve_dual
from punie.acp.agent_side.turn_agent import TurnAgent
from punie.acp.methods import TABLE
from punie.acp.schema import v2
from punie.acp.transports.memory import pair

CODES = {-32600, -32601, -32602, -32800, -32002}


class Echo(TurnAgent):
    name = "echo"

    async def turn(self, session_id: str, prompt: list[v2.ContentBlock]) -> v2.StopReason:
        for block in prompt:
            await self.say(session_id, v2.AgentMessageChunk(message_id="a", content=block))
        return "end_turn"


ODD = st.sampled_from([None, True, -1, 2.5, "", "x", [], [1], {}, {"type": "_own"}])
SERVERS = [{"name": "a", "command": "/a", "args": [], "env": []}, {"type": "sse", "name": "b"}]
PARAMS = st.fixed_dictionaries(
    {
        "sessionId": st.sampled_from(["echo-1", "echo-2", "none"]) | ODD,
        "cwd": st.just("/a") | ODD,
        "mcpServers": st.lists(st.sampled_from(SERVERS), max_size=2) | ODD,
        "protocolVersion": st.sampled_from([1, 2, 65535, "1"]) | ODD,
    },
    optional={
        "prompt": st.lists(
            st.sampled_from([{"type": "text", "text": "hi"}, {"type": "_own"}]), max_size=2
        )
        | ODD,
        "info": st.just({"name": "n", "version": "1"}) | ODD,
        "replayFrom": st.just({"type": "start"}) | ODD,
        "configId": st.text(max_size=2) | ODD,
        "type": st.sampled_from(["id", "boolean"]) | ODD,
        "value": ODD,
        "modeId": ODD,
        "modelId": ODD,
        "methodId": ODD,
        "toolCallId": ODD,
    },
)
METHODS = st.sampled_from(sorted({name for _, name, _ in TABLE} | {"_own", "nope"}))
GOOD = ["session/new", "session/prompt", "session/resume", "session/load", "session/close"]
REQUESTS = st.lists(
    st.tuples(METHODS | st.sampled_from(GOOD), PARAMS | ODD, st.booleans()), max_size=12
)


class End:
    """The client's end: notes the answers, and how often each came."""

    def __init__(self) -> None:
        self.answers: dict[int, list[Any]] = {}
        self.news = asyncio.Event()

    def frame_received(self, frame: bytes) -> None:
        message = msgspec.json.decode(frame)
        if "method" not in message:
            self.answers.setdefault(message["id"], []).append(message)
            self.news.set()

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass


async def exchange(version: int, requests: list[tuple[str, Any, bool]]) -> dict[int, list[Any]]:
    ours, theirs = pair()
    end = End()
    await ours.open(end)
    serving = asyncio.ensure_future(serve_dual(Echo, theirs))
    hello = {"protocolVersion": version, "info": {"name": "n", "version": "1"}}
    new = {"cwd": "/a", "mcpServers": []}
    first = [("initialize", hello, True), ("session/new", new, True)]
    due: set[int] = set()
    for number, (method, params, answered) in enumerate([*first, *requests]):
        frame = {"jsonrpc": "2.0", "method": method, "params": params}
        if answered:
            frame["id"] = number
            due.add(number)
        ours.send(msgspec.json.encode(frame))
    async with asyncio.timeout(10):
        while due - end.answers.keys():
            end.news.clear()
            await end.news.wait()
    await ours.aclose()
    await serving
    return end.answers


@given(st.sampled_from([1, 2]), REQUESTS)
@settings(max_examples=150, deadline=None)
def test_each_request_gets_one_answer_and_no_handler_breaks(
    version: int, requests: list[tuple[str, Any, bool]]
) -> None:
    answers = asyncio.run(exchange(version, requests))
    assert {len(each) for each in answers.values()} == {1}
    codes = {each[0]["error"]["code"] for each in answers.values() if "error" in each[0]}
    assert codes <= CODES
