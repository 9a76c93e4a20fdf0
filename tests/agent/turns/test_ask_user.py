"""A model asks the person: who is asked, what counts as an answer, and what the model reads of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai.messages import ToolReturnPart

from punie.agent.events import PermissionRequested, PermissionResolved, ToolCallUpdate
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk
from punie.agent.testing import Answers, Call, Recorder, Requests

ASK = Call("ask_user", {"question": "Which one?", "choices": "a.py\n- b.py\na.py"})


def told(requests: Requests) -> list[str]:
    """What the model read from its tools, in the last request."""
    parts = [part for message in requests[-1][0] for part in message.parts]
    return [part.model_response_str() for part in parts if isinstance(part, ToolReturnPart)]


def person(answer: PermissionAnswer) -> Callable[[PermissionAsk], Any]:
    async def ask(ask: PermissionAsk) -> PermissionAnswer:
        return answer

    return ask


WITHOUT = "go on without the answer, and say what you assume"


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (
            PermissionAnswer("answered", text=" the second\nplease "),
            "the person answered: the second",
        ),
        (PermissionAnswer("allowed", "choice_2"), "the person answered: b.py"),
        (PermissionAnswer("allowed", "choice_9"), f"error: nobody is there to answer: {WITHOUT}"),
        (PermissionAnswer("answered"), f"the person does not want to answer: {WITHOUT}"),
        (PermissionAnswer("rejected"), f"the person does not want to answer: {WITHOUT}"),
        (PermissionAnswer("cancelled"), f"the question was not answered: {WITHOUT}"),
        (PermissionAnswer("unanswerable"), f"error: nobody is there to answer: {WITHOUT}"),
    ],
)
async def test_the_model_reads_what_became_of_its_question(
    play: Callable[..., Any], answer: PermissionAnswer, read: str
) -> None:
    scene = play([[ASK], ["I see"]], mode="read-only", person=person(answer))
    outcome = await scene.session.prompt("go")
    assert told(scene.requests)[0].splitlines()[0] == read
    assert (outcome.stop_reason, outcome.text, outcome.denied) == ("end_turn", "I see", False)


async def test_a_question_waits_as_pending_with_its_choices_once_each(
    play: Callable[..., Any],
) -> None:
    scene = play([[ASK], ["I see"]], person=Answers("allow_once"))
    await scene.session.prompt("go")
    (asked,) = scene.heard.of(PermissionRequested)
    assert [option.name for option in asked.options] == ["a.py", "b.py"]
    assert (asked.title, asked.about) == ("Which one?", "question")
    statuses = ["pending", "in_progress", "pending", "in_progress", "completed"]
    assert scene.heard.statuses == statuses
    assert scene.heard.of(ToolCallUpdate)[-1].raw_output["answer"] == "a.py"


async def test_the_first_answer_wins_and_the_others_are_no_longer_asked(
    play: Callable[..., Any],
) -> None:
    slow = Answers(None)
    scene = play([[ASK], ["I see"]], person=slow)
    scene.session.attach(Recorder(), asker=person(PermissionAnswer("answered", text="both")))
    await scene.session.prompt("go")
    assert told(scene.requests) == ["the person answered: both"]
    assert slow.cancelled


async def test_nobody_there_is_a_result_and_no_denial(play: Callable[..., Any]) -> None:
    scene = play([[ASK], ["I assume a.py"]])
    outcome = await scene.session.prompt("go")
    assert told(scene.requests) == [f"error: nobody is there to answer: {WITHOUT}"]
    assert (outcome.exit_code, outcome.tool_calls[0].ok) == (0, False)


async def test_an_answer_in_the_next_prompt_ends_the_turn_with_the_question(
    play: Callable[..., Any],
) -> None:
    scene = play([[ASK], ["a.py it is"]], person=person(PermissionAnswer("later")))
    outcome = await scene.session.prompt("go")
    assert (outcome.stop_reason, outcome.text) == ("end_turn", "Which one?\n- a.py\n- b.py")
    assert scene.heard.text == outcome.text
    assert len(scene.requests) == 1  # the question costs no model call
    await scene.session.prompt("the first")
    assert told(scene.requests) == ["the person was asked: their next prompt is the answer"]
    assert scene.requests[-1][0][-1].parts[-1].content == "the first"


async def test_a_cancel_takes_the_question_back(play: Callable[..., Any]) -> None:
    waiting = Answers(None)
    scene = play([[ASK]], person=waiting)
    turn = asyncio.ensure_future(scene.session.prompt("go"))
    await waiting.was_asked.wait()
    scene.session.cancel()
    assert (await turn).stop_reason == "cancelled"
    assert [event.outcome for event in scene.heard.of(PermissionResolved)] == ["cancelled"]
    assert scene.heard.statuses[-1] == "cancelled"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"question": " "}, "the question is empty"),
        (
            {"question": "x", "choices": "\n".join(map(str, range(21)))},
            "there are 21 choices: 20 at most",
        ),
    ],
)
async def test_a_question_that_nobody_could_answer_is_not_put(
    play: Callable[..., Any], arguments: dict[str, str], error: str
) -> None:
    nobody = Answers("allow_once")
    scene = play([[Call("ask_user", arguments)], ["oh"]], person=nobody)
    await scene.session.prompt("go")
    assert (told(scene.requests), nobody.asked) == ([f"error: {error}"], [])


async def test_of_two_questions_for_the_next_prompt_none_is_lost(play: Callable[..., Any]) -> None:
    other = Call("ask_user", {"question": "And where?"})
    scene = play([[ASK, other], ["fine"]], person=person(PermissionAnswer("later")))
    outcome = await scene.session.prompt("go")
    assert outcome.text == "Which one?\n- a.py\n- b.py\n\nAnd where?"
