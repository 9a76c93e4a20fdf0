"""Methods of extensions reach an agent that has `ext_method`."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from punie.acp.agent_side import serve
from punie.acp.testing.bench_agent import BenchAgent
from punie.acp.transports.memory import pair


class Answers:
    """Collects what comes over a transport."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    def frame_received(self, frame: bytes) -> None:
        self.frames.put_nowait(msgspec.json.decode(frame))

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass


class Plain:
    """An agent without extensions."""

    _sessions = 0
    initialize = BenchAgent.initialize
    new_session = BenchAgent.new_session
    prompt = BenchAgent.prompt
    cancel = BenchAgent.cancel
    close = BenchAgent.close


async def ask(agent: Any, *requests: dict[str, Any]) -> dict[int, Any]:
    agent_end, client_end = pair()
    answers = Answers()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(agent, agent_end))
        await client_end.open(answers)
        for request in requests:
            client_end.send(msgspec.json.encode({"jsonrpc": "2.0"} | request))
        got = [await answers.frames.get() for _ in requests]
        await client_end.aclose()
    return {answer["id"]: answer for answer in got}


HELLO = {"id": 1, "method": "initialize", "params": {"protocolVersion": 1}}


async def test_an_extension_method_is_answered_by_the_agent() -> None:
    ping = {"id": 2, "method": "_bench/ping", "params": {"a": 1}}
    answers = await ask(BenchAgent, HELLO, ping)
    assert answers[2] == {"jsonrpc": "2.0", "id": 2, "result": {}}


async def test_an_extension_method_without_params_gets_none() -> None:
    answers = await ask(BenchAgent, HELLO, {"id": 2, "method": "_bench/ping"})
    assert answers[2]["result"] == {}


async def test_an_extension_method_waits_for_initialize() -> None:
    answers = await ask(BenchAgent, {"id": 2, "method": "_bench/ping"})
    assert answers[2]["error"]["code"] == -32600


async def test_params_of_an_extension_must_be_an_object() -> None:
    ping = {"id": 2, "method": "_bench/ping", "params": [1]}
    answers = await ask(BenchAgent, HELLO, ping)
    assert answers[2]["error"]["code"] == -32602


async def test_an_agent_without_extensions_knows_no_such_method() -> None:
    answers = await ask(lambda _client: Plain(), HELLO, {"id": 2, "method": "_bench/ping"})
    assert answers[2]["error"]["code"] == -32601
