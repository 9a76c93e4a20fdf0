"""The person stays in charge: cancelling ends the turn and the model's work, also with a question open.

How long that takes is measured by `benchmarks/agent.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from punie.acp.agent_side import serve_dual
from punie.acp.errors import RequestError
from punie.acp.schema import v1
from punie.acp.testing import served
from punie.agent.acp.agent import PunieAgent
from punie.agent.runtime import Runtime
from punie.agent.testing.fake_server import chunk, open_fake_server


async def cancelled(editor: Any, prompt: str, begun: Any) -> None:
    """Cancel a prompt once it has begun; nothing is told of it after its answer."""
    turn = asyncio.ensure_future(editor.ask(prompt))
    await editor.until(begun)
    await editor.agent.cancel(editor.session_id)
    response = await turn
    assert response.stop_reason == "cancelled"
    told = len(editor.updates)
    assert (await editor.ask("hello")).stop_reason == "end_turn"
    later = editor.updates[told:]
    assert {type(one.update) for one in later} <= {
        v1.UserMessageChunk,
        v1.AgentMessageChunk,
        v1.UsageUpdate,
    }


async def test_a_cancelled_answer_ends_there(opened, editor) -> None:
    async with opened(editor) as client:
        await cancelled(client, "count slowly", lambda: client.of(v1.AgentMessageChunk))
    assert client.text.endswith("Hello from Punie's test model.")
    assert "100" not in client.text


async def test_cancelling_with_a_question_open_fails_the_call_before_the_turn_ends(
    opened, editor, project
) -> None:
    class Silent(type(editor)):
        """Never answers a question."""

        asked = 0
        withdrawn = 0

        async def request_permission(self, params: Any) -> Any:
            self.asked += 1
            self.__dict__["changed"].set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.withdrawn += 1
                raise

    async with opened(Silent()) as client:
        await cancelled(client, "write b.txt hello", lambda: client.asked == 1)
        assert client.withdrawn == 1
    assert client.of(v1.ToolCallUpdate)[-1].status == "failed"
    assert not (project / "b.txt").exists()


async def test_cancelling_closes_the_stream_of_the_models_server(
    editor, project, environment
) -> None:
    async with open_fake_server() as server:
        server.scripts = [[chunk(content="begun"), asyncio.Event()], [chunk(content="again")]]

        def make(transport: Any) -> Any:
            host = lambda: Runtime(model=f"local:{server.url}/fake", environ=environment)  # noqa: E731
            return serve_dual(lambda proxy: PunieAgent(proxy, host), transport)

        async with served(make, editor) as agent:
            hello = v1.InitializeRequest(
                protocol_version=1, client_capabilities=v1.ClientCapabilities()
            )
            await agent.initialize(hello)
            new = await agent.new_session(v1.NewSessionRequest(cwd=str(project), mcp_servers=[]))
            editor.agent, editor.session_id = agent, new.session_id
            await cancelled(editor, "go", lambda: editor.of(v1.AgentMessageChunk))
            async with asyncio.timeout(10):
                await server.disconnected.wait()
        assert len(server.requests) == 2


async def test_a_second_prompt_waits_for_the_first(opened, editor) -> None:
    async with opened(editor) as client:
        first = asyncio.ensure_future(client.ask("read a.txt"))
        second = asyncio.ensure_future(client.ask("hello"))
        assert [r.stop_reason for r in await asyncio.gather(first, second)] == ["end_turn"] * 2


def steering(editor: Any, text: str, **more: Any) -> Any:
    prompt = [{"type": "text", "text": text}]
    params = {"sessionId": editor.session_id, "prompt": prompt, **more}
    return editor.agent.ext_method("_session/steering", params)


async def test_steering_reaches_the_model_of_the_running_turn(opened, editor) -> None:
    async with opened(editor) as client:
        turn = asyncio.ensure_future(client.ask("run sleep 0.3; echo slept"))
        await client.until(
            lambda: [u for u in client.of(v1.ToolCallUpdate) if u.status == "in_progress"]
        )
        assert await steering(client, "read a.txt") == {"outcome": "injected"}
        assert (await turn).stop_reason == "end_turn"
        assert [call.title for call in client.of(v1.ToolCall)] == [
            "sleep 0.3; echo slept",
            "Read a.txt",
        ]


async def test_steering_begins_a_turn_when_none_runs_or_says_so(opened, editor) -> None:
    async with opened(editor) as client:
        required = {"_meta": {"steering": {"idleBehavior": "promptRequired"}}}
        assert await steering(client, "x", **required) == {"outcome": "promptRequired"}
        assert await steering(client, "read a.txt") == {"outcome": "startedNewTurn"}
        await client.until(lambda: client.of(v1.ToolCall))
        await client.ask("hello")
        assert await steering(client, "x", **required) == {"outcome": "promptRequired"}


async def test_steering_that_says_nothing_is_refused(opened, editor) -> None:
    async with opened(editor) as client:
        with pytest.raises(RequestError) as refused:
            await client.agent.ext_method("_session/steering", {"sessionId": client.session_id})
        assert refused.value.code == -32602
