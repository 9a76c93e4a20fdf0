"""How turns end: cancelled at any point, failed in one sentence, and always ready to go on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelAPIError, ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelRequest, ModelResponse, UserPromptPart

from punie.agent.errors import ModelUnavailableError
from punie.agent.events import (
    AgentMessageChunk,
    PermissionRequested,
    PermissionResolved,
    StateUpdate,
    ToolCallUpdate,
)
from punie.agent.testing import Answers, Call, Fail, Think, Wait


def prompts(messages: list[Any]) -> list[str]:
    parts = [part for message in messages for part in message.parts]
    return [part.content for part in parts if isinstance(part, UserPromptPart)]


async def gone(group: int | None) -> None:
    """Wait until a process group is no more; the test's time-out ends it otherwise."""
    assert group is not None
    with suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            await asyncio.sleep(0.01)


async def test_a_turn_cancelled_while_it_streams_keeps_what_was_said(
    play: Callable[..., Any],
) -> None:
    scene = play([["one two", Wait()], ["hello again"]])
    turn = asyncio.ensure_future(scene.session.prompt("count"))
    await scene.heard.first(AgentMessageChunk)
    scene.session.cancel()
    outcome = await turn
    assert (outcome.stop_reason, outcome.text, outcome.exit_code) == ("cancelled", "one two", 130)
    assert scene.heard.events[-1] == StateUpdate(state="idle", stop_reason="cancelled")
    again = await scene.session.prompt("go on")
    assert again.text == "hello again"
    messages = scene.requests[-1][0]
    assert prompts(messages) == ["count", "go on"]
    assert any(isinstance(m, ModelResponse) and "one two" in str(m.parts) for m in messages)


async def test_a_turn_cancelled_while_a_command_runs_kills_it_and_closes_the_call(
    play: Callable[..., Any],
) -> None:
    call = Call("run_command", {"command": "echo $$; sleep 600"})
    scene = play([[call], ["after"]], mode="bypass")
    turn = asyncio.ensure_future(scene.session.prompt("run"))

    def pid() -> int | None:
        for update in scene.heard.of(ToolCallUpdate):
            if update.content and update.status is not None and not update.status:
                return int(update.content[0].text)
        return None

    await scene.heard.until(pid)
    scene.session.cancel()
    outcome = await turn
    assert outcome.stop_reason == "cancelled"
    assert scene.heard.statuses == ["pending", "in_progress", "cancelled"]
    assert [record.status for record in outcome.tool_calls] == ["cancelled"]
    await gone(pid())
    assert (await scene.session.prompt("and now?")).text == "after"


async def test_a_turn_cancelled_while_a_person_is_asked_withdraws_the_question(
    play: Callable[..., Any],
) -> None:
    person = Answers(None)
    scene = play([[Call("write_file", {"path": "a", "content": "x"})], ["after"]], person=person)
    turn = asyncio.ensure_future(scene.session.prompt("write"))
    await person.was_asked.wait()
    scene.session.cancel()
    outcome = await turn
    assert outcome.stop_reason == "cancelled"
    assert person.cancelled
    assert list(scene.root.iterdir()) == []
    asked = scene.heard.of(PermissionRequested)[0]
    resolved = PermissionResolved(request_id=asked.request_id, outcome="cancelled")
    assert scene.heard.of(PermissionResolved) == [resolved]
    assert scene.heard.statuses == ["pending", "cancelled"]
    assert (await scene.session.prompt("and now?")).text == "after"


async def test_a_turn_cancelled_before_it_began_calls_no_model(play: Callable[..., Any]) -> None:
    scene = play([["never"]])
    turn = asyncio.ensure_future(scene.session.prompt("hello"))
    await asyncio.sleep(0)
    scene.session.cancel()
    assert (await turn).stop_reason == "cancelled"
    assert scene.requests == []


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (
            ModelHTTPError(500, "m", body={"error": "out of memory"}),
            "the model's server answered 500: {'error': 'out of memory'}",
            1,
        ),
        (ModelAPIError("m", "the stream was\ncut off"), "the stream was cut off", 1),
        (ModelConnectionError("m", "no route"), "the model's server does not answer", 3),
        (ModelUnavailableError("start one with: lms server start"), "lms server start", 3),
        (RuntimeError("boom"), "RuntimeError: boom", 1),
    ],
)
async def test_an_error_of_the_model_becomes_one_sentence(
    play: Callable[..., Any], error: Exception, sentence: str, code: int
) -> None:
    scene = play([["half an ", Fail(error)], ["better"]])
    outcome = await scene.session.prompt("hello")
    assert outcome.stop_reason == "error"
    assert sentence in outcome.error
    assert "\n" not in outcome.error
    assert outcome.exit_code == code
    assert scene.heard.events[-1] == StateUpdate(
        state="idle", stop_reason="error", error=outcome.error
    )
    assert (await scene.session.prompt("again")).text == "better"
    assert prompts(scene.requests[-1][0]) == ["hello", "again"]


async def test_an_error_during_tool_calls_closes_them(play: Callable[..., Any]) -> None:
    scene = play([[Call("git_status")], [Fail(RuntimeError("boom"))], ["fine"]])
    outcome = await scene.session.prompt("hello")
    assert outcome.stop_reason == "error"
    assert scene.heard.statuses[:2] == ["pending", "in_progress"]
    assert (await scene.session.prompt("again")).text == "fine"
    kinds = [type(message) for message in scene.requests[-1][0]]
    assert kinds[0] is ModelRequest


async def test_a_model_that_says_nothing_is_asked_again_and_then_fails(
    play: Callable[..., Any],
) -> None:
    scene = play([[Think("hm")]] * 3)
    outcome = await scene.session.prompt("hello")
    assert outcome.stop_reason == "error"
    assert "cannot be used" in outcome.error
    assert len(scene.requests) == 3
