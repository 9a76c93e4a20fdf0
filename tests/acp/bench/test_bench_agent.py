"""The agent that benchmarks measure does what drivers rely on."""

from __future__ import annotations

from typing import Any

import pytest

from punie.acp.errors import RequestError
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient, linked
from punie.acp.testing.bench_agent import BenchAgent


async def prompt(text: str, client: RecordingClient) -> v1.PromptResponse:
    async with linked(BenchAgent, client) as agent:
        await agent.initialize(INITIALIZE)
        session = await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
        block = v1.TextContent(text=text)
        params = v1.PromptRequest(session_id=session.session_id, prompt=[block])
        try:
            return await agent.prompt(params)
        except RequestError as error:
            refused = error
    raise refused


async def test_it_streams_as_many_chunks_of_that_size_as_asked() -> None:
    client = RecordingClient()
    await prompt("bench:stream:5:100", client)
    updates: list[Any] = [notification.update for notification in client.updates]
    assert [len(update.content.text) for update in updates] == [100] * 5


async def test_it_completes_tool_calls_with_results_of_that_size() -> None:
    client = RecordingClient()
    await prompt("bench:big:2:1000", client)
    updates: list[Any] = [notification.update for notification in client.updates]
    assert [update.status for update in updates] == ["in_progress", "completed"] * 2
    assert updates[-1].content[0].content.text == "x" * 1000


@pytest.mark.parametrize(
    "text", ["hello", "bench:stream:x:1", "bench:big:1", "bench:big:1:x", "bench:other:1:1"]
)
async def test_any_other_prompt_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        await prompt(text, RecordingClient())
    assert refused.value.code == -32602


async def test_it_answers_pings_and_no_other_extension() -> None:
    async with linked(BenchAgent, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        await agent.cancel("s")
        assert await agent.ext_method("_bench/ping") == {}
        with pytest.raises(RequestError) as refused:
            await agent.ext_method("_bench/pong")
    assert refused.value.code == -32601
