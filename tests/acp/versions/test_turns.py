"""Prompts of version 1 that wait for the end of their turns, when two are on their way at once."""

from __future__ import annotations

import asyncio

from punie.acp.schema import v2
from punie.acp.versions.turns import Turns

IDLE = v2.IdleStateUpdate(stop_reason="end_turn")


def prompt(text: str) -> v2.PromptRequest:
    return v2.PromptRequest(session_id="s", prompt=[v2.TextContent(text=text)])


async def test_a_prompt_is_taken_while_the_agent_still_owes_an_answer_to_another() -> None:
    turns = Turns()
    answers: list[asyncio.Future[v2.PromptResponse]] = [asyncio.Future(), asyncio.Future()]
    first, second = (
        asyncio.ensure_future(turns.run(prompt(str(number)), answer))
        for number, answer in enumerate(answers)
    )
    await asyncio.sleep(0)
    answers[0].set_result(v2.PromptResponse(message_id="m0"))
    for _ in range(3):
        await asyncio.sleep(0)
    turns.is_own(v2.UserMessage(message_id="m0", content=[v2.TextContent(text="0")]))
    assert turns.state(IDLE)
    assert await first == IDLE
    assert not second.done()
    answers[1].set_result(v2.PromptResponse(message_id="m1"))
    for _ in range(3):
        await asyncio.sleep(0)
    turns.is_own(v2.UserMessage(message_id="m1", content=[v2.TextContent(text="1")]))
    assert turns.state(IDLE)
    assert await second == IDLE
