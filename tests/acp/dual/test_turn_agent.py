"""An agent that is one coroutine per prompt, and the example that is built on it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from punie.acp.agent_side import serve_dual
from punie.acp.agent_side.turn_agent import TurnAgent
from punie.acp.check import examine
from punie.acp.client_side.dual import DualAgentProxy
from punie.acp.errors import RequestError
from punie.acp.schema import v2
from punie.acp.testing.dual import HELLO, RecordingDualClient, served_dual

EXAMPLE = Path(__file__).parents[3] / "examples" / "acp_dual_agent.py"


class Waiting(TurnAgent):
    """Says what it hears; the word `wait` takes until it is cancelled, others fail."""

    left = 0

    async def turn(self, session_id: str, prompt: list[v2.ContentBlock]) -> v2.StopReason:
        (block,) = prompt
        await self.say(session_id, v2.AgentMessageChunk(message_id=self.new_id(), content=block))
        match block:
            case v2.TextContent(text="wait"):
                try:
                    await asyncio.Event().wait()
                finally:
                    self.left += 1
            case v2.TextContent(text="refuse"):
                raise RequestError(-32000, "log in first", {"a": 1})
            case v2.TextContent(text="break"):
                raise ValueError("secret")
            case _:
                pass
        return "end_turn"


class Editor:
    def __init__(self, agent: DualAgentProxy, client: RecordingDualClient, session: str) -> None:
        self.agent, self.client, self.session_id = agent, client, session

    async def put(self, text: str) -> str:
        prompt: list[v2.ContentBlock] = [v2.TextContent(text=text)]
        request = v2.PromptRequest(session_id=self.session_id, prompt=prompt)
        return (await self.agent.prompt(request)).message_id

    async def ask(self, text: str, *, turns: int = 1) -> v2.StateUpdate:
        await self.put(text)
        return await self.client.until_idle(turns)


@asynccontextmanager
async def editor(make: Callable[..., TurnAgent] = Waiting) -> AsyncGenerator[Editor, None]:
    client = RecordingDualClient()
    async with served_dual(lambda transport: serve_dual(make, transport), client) as agent:
        await agent.initialize(HELLO)
        opened = await agent.new_session(v2.NewSessionRequest(cwd="/a"))
        yield Editor(agent, client, opened.session_id)


async def test_a_turn_is_told_with_its_states() -> None:
    async with editor() as one:
        message_id = await one.put("hello")
        end = await one.client.until_idle()
    assert [message.message_id for message in one.client.of(v2.UserMessage)] == [message_id]
    assert (one.client.text, one.client.states) == ("hello", ["running", "idle"])
    assert end.stop_reason == "end_turn"


async def test_cancelling_ends_the_turn_and_drops_what_waits() -> None:
    async with editor() as one:
        await one.put("wait")
        waiting = asyncio.ensure_future(one.put("never"))
        await one.client.until(lambda: one.client.text)
        await one.agent.cancel(one.session_id)
        with pytest.raises(RequestError) as dropped:
            await waiting
        assert (await one.client.until_idle()).stop_reason == "cancelled"
        assert (await one.ask("hello", turns=2)).stop_reason == "end_turn"
    assert dropped.value.code == -32800
    assert one.client.text == "waithello"


async def test_a_turn_that_is_cancelled_before_it_runs_is_told_too() -> None:
    class Early(Waiting):
        async def say(self, session_id: str, update: v2.SessionUpdate) -> None:
            await super().say(session_id, update)
            if isinstance(update, v2.StateUpdate) and update.state == "running":
                await self.cancel(v2.CancelSessionNotification(session_id=session_id))

    async with editor(Early) as one:
        assert (await one.ask("hello")).stop_reason == "cancelled"
    assert one.client.text == ""


async def test_a_turn_that_fails_ends_with_an_error_and_no_secret() -> None:
    async with editor() as one:
        refused = await one.ask("refuse")
        broken = await one.ask("break", turns=2)
    assert refused.error == v2.Error(code=-32000, message="log in first", data={"a": 1})
    assert (broken.stop_reason, broken.error) == (
        "error",
        v2.Error(code=-32603, message="Internal error"),
    )


async def test_sessions_are_listed_resumed_and_closed() -> None:
    async with editor() as one:
        await one.ask("hello")
        listed = await one.agent.list_sessions(v2.ListSessionsRequest(cwd="/a"))
        other = await one.agent.list_sessions(v2.ListSessionsRequest(cwd="/b"))
        place = {"session_id": one.session_id, "cwd": "/a"}
        told = len(one.client.updates)
        await one.agent.resume_session(v2.ResumeSessionRequest(**place))
        silent = [type(update) for update in one.client.updates[told:]]
        told = len(one.client.updates)
        await one.agent.resume_session(
            v2.ResumeSessionRequest(replay_from=v2.ReplayFromStart(), **place)
        )
        replayed = [type(update) for update in one.client.updates[told:]]
        odd = v2.UnknownVariant(kind="_own", body={})
        with pytest.raises(RequestError, match="Invalid params"):
            await one.agent.resume_session(v2.ResumeSessionRequest(replay_from=odd, **place))
        await one.put("wait")
        await one.agent.resume_session(v2.ResumeSessionRequest(**place))
        assert one.client.states[-1] == "running"
        await one.agent.close_session(v2.CloseSessionRequest(session_id=one.session_id))
        with pytest.raises(RequestError, match="Session not found"):
            await one.put("hello")
    assert [session.session_id for session in listed.sessions] == [one.session_id]
    assert other.sessions == []
    assert silent == [v2.StateUpdate]
    assert replayed == [v2.UserMessage, v2.AgentMessageChunk, v2.StateUpdate]


async def test_a_relative_folder_is_refused() -> None:
    async with editor() as one:
        with pytest.raises(RequestError) as refused:
            await one.agent.new_session(v2.NewSessionRequest(cwd="a"))
    assert refused.value.data["path"] == "$.cwd"


async def test_the_end_of_the_connection_ends_the_turns() -> None:
    made: list[Waiting] = []

    def make(*given: Any) -> Waiting:
        made.append(Waiting(*given))
        return made[0]

    async with editor(make) as one:
        await one.put("wait")
        await one.client.until(lambda: one.client.text == "wait")
        assert made[0].left == 0
    assert made[0].left == 1


async def test_a_turn_must_be_written() -> None:
    async with editor(TurnAgent) as one:
        assert (await one.ask("hello")).stop_reason == "error"


async def test_the_example_holds_what_is_asked_of_both_versions() -> None:
    only = ("initialize.answer", "session.new", "prompt.answer", "prompt.order", "v2.initialize")
    more = ("v2.older-client", "v2.replay", "v2.baseline", "v2.state-order", "v2.prompt-message")
    verdicts = await examine([sys.executable, str(EXAMPLE)], timeout=20.0, only=(*only, *more))
    assert [verdict for verdict in verdicts if verdict.outcome != "held"] == []
