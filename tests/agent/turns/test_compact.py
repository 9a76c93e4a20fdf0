"""Making room in a conversation that is nearly as long as the model's context window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from punie.agent.events import CompactionUpdate
from punie.agent.models.spec import ModelSpec
from punie.agent.testing import Call
from punie.agent.tools.catalog import CATALOG
from punie.agent.turns.compact import compact, size_of
from punie.agent.turns.window import changing_tools


def turn(number: int, *, tool: str = "read_file", result: str = "x" * 2_000) -> list[ModelMessage]:
    call_id = f"c{number}"
    return [
        ModelRequest(parts=[UserPromptPart(f"prompt {number}")]),
        ModelResponse(parts=[ToolCallPart(tool, {"path": "a.py"}, call_id)]),
        ModelRequest(parts=[ToolReturnPart(tool, f"a.py, 90 lines\n{result}", call_id)]),
        ModelResponse(parts=[TextPart(f"answer {number}")]),
    ]


def test_earlier_turns_become_a_summary_and_the_latest_one_stays() -> None:
    messages = [*turn(1), *turn(2), *turn(3)]
    shorter = compact(messages, room=3_000)
    assert shorter is not None
    assert shorter.messages[0] is messages[0]
    assert shorter.messages[2:] == messages[8:]
    for said in ("prompt 2", "read_file gave: a.py, 90 lines", "answer 1", "answer 2"):
        assert said in shorter.summary
    assert "prompt 3" not in shorter.summary


def test_a_second_summary_begins_with_the_first_one_to_the_letter() -> None:
    first = compact([*turn(1), *turn(2)], room=3_000)
    assert first is not None
    second = compact([*first.messages, *turn(3), *turn(4)], room=3_000)
    assert second is not None
    assert second.summary.startswith(first.summary + "\n")
    assert second.messages[0] is first.messages[0]


def test_a_summary_alone_is_not_summed_up_again() -> None:
    first = compact([*turn(1), *turn(2)], room=9_000)
    assert first is not None
    assert compact(first.messages, room=9_000) is None


def test_long_results_of_one_long_turn_are_cut_the_oldest_first() -> None:
    messages = [turn(1)[0], *(m for n in range(1, 7) for m in turn(n)[1:3])]
    shorter = compact(messages, room=8_000)
    assert shorter is not None
    texts = results(shorter.messages)
    assert [len(text) > 1_000 for text in texts] == [False, False, False, True, True, True]
    assert all(text.startswith("a.py, 90 lines\n") for text in texts)


def test_results_of_edits_are_never_cut() -> None:
    messages = [turn(1)[0], *(m for n in range(1, 7) for m in turn(n, tool="edit_file")[1:3])]
    assert compact(messages, room=100, changing={"edit_file"}) is None


def test_every_prompt_stays_in_a_summary_that_has_no_room() -> None:
    shorter = compact([m for n in range(1, 30) for m in turn(n)], room=0)
    assert shorter is not None
    assert [n for n in range(2, 29) if f"asked: prompt {n}" not in shorter.summary] == []
    assert "gave:" not in shorter.summary


STEPS = "[x] find it\n[~] mend it, which gave: trouble\n[ ] test it"


def planned(number: int, steps: str, result: str = "3 steps, 1 done") -> list[ModelMessage]:
    call_id = f"p{number}"
    return [
        ModelRequest(parts=[UserPromptPart(f"plan {number}")]),
        ModelResponse(parts=[ToolCallPart("plan", {"steps": steps}, call_id)]),
        ModelRequest(parts=[ToolReturnPart("plan", result, call_id)]),
        ModelResponse(parts=[TextPart("planned")]),
    ]


def test_the_latest_plan_stays_whole_in_a_summary_that_has_no_room() -> None:
    failed = planned(3, "nothing", "error: the plan has no steps: write one per line")
    messages = [*planned(1, "[ ] an older one"), *planned(2, STEPS), *failed, *turn(4), *turn(5)]
    shorter = compact(messages, room=0)
    assert shorter is not None
    assert shorter.summary.endswith(f"- the plan:\n{STEPS}")
    assert "an older one" not in shorter.summary
    again = compact([*shorter.messages, *turn(6)], room=0)
    assert again is not None
    assert again.summary.count("- the plan:") == 1


def test_a_plan_that_is_not_cut_is_not_repeated() -> None:
    shorter = compact([*planned(1, STEPS), *turn(2), *planned(3, STEPS)], room=3_000)
    assert shorter is not None
    assert "- the plan:" not in shorter.summary


def test_the_result_of_a_plan_is_never_cut() -> None:
    assert changing_tools([CATALOG["plan"], CATALOG["read_file"]]) == {"plan"}


def results(messages: list[ModelMessage]) -> list[str]:
    parts = [part for message in messages for part in message.parts]
    return [p.model_response_str() for p in parts if isinstance(p, ToolReturnPart)]


SMALL = ModelSpec(spec="test", context_window=2_500, max_tokens=500, tools=("read_file",))


async def test_a_turn_that_fills_the_window_goes_on_in_a_shorter_conversation(
    play: Callable[..., Any],
) -> None:
    reads = [[Call("read_file", {"path": f"f{n}.py"})] for n in range(12)]
    scene = play([*reads, ["done"]], spec=SMALL)
    for n in range(12):
        (scene.root / f"f{n}.py").write_text(f"# {n}\n" + "value = 1  # a line\n" * 200)
    outcome = await scene.session.prompt("read them all")
    assert outcome.text == "done"
    updates = scene.heard.of(CompactionUpdate)
    assert [u.status for u in updates[:2]] == ["in_progress", "completed"]
    for messages, _ in scene.requests:
        assert size_of(messages) < 2_500 * 4.5
        assert messages[0].parts[0].content == "read them all"


async def test_a_result_is_at_most_a_quarter_of_a_small_window(play: Callable[..., Any]) -> None:
    scene = play([[Call("read_file", {"path": "f.py"})], ["done"]], spec=SMALL)
    (scene.root / "f.py").write_text("value = 1  # a line\n" * 2_000)
    await scene.session.prompt("read it")
    (result,) = results(scene.requests[1][0])
    assert len(result) <= 2_500 * 4.5 / 4
    assert result.endswith("[cut: ask for a smaller part]")


async def test_a_prompt_that_cannot_fit_is_never_sent(play: Callable[..., Any]) -> None:
    scene = play([["never"]], spec=SMALL)
    outcome = await scene.session.prompt("word " * 4_000)
    assert (outcome.stop_reason, scene.requests) == ("error", [])
    assert "begin a new session" in outcome.error


async def test_a_person_can_ask_for_it_and_the_conversation_goes_on(
    play: Callable[..., Any],
) -> None:
    scene = play([["one " * 300], ["two"], ["three"]])
    assert not await scene.session.compact()
    await scene.session.prompt("first")
    await scene.session.prompt("second")
    assert await scene.session.compact()
    outcome = await scene.session.prompt("third")
    assert outcome.text == "three"
    sent = scene.requests[-1][0]
    assert [type(m) for m in sent] == [ModelRequest, ModelResponse] * 2 + [ModelRequest]
    assert "answered: one one" in sent[1].parts[0].content
    assert [u.status for u in scene.heard.of(CompactionUpdate)] == [
        *("in_progress", "failed"),
        *("in_progress", "completed"),
    ]


@pytest.mark.parametrize("asked", [8_192, 100])
async def test_prompt_and_answer_together_fit_the_window(
    play: Callable[..., Any], asked: int
) -> None:
    spec = ModelSpec(spec="test", context_window=4_000, max_tokens=asked)
    scene = play([["hi"]], spec=spec)
    await scene.session.prompt("hello")
    settings = scene.requests[0][1].model_settings
    assert settings["max_tokens"] <= min(asked, 4_000)
