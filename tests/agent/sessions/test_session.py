"""A session: one turn at a time, every reader in order, the first answer wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.agent.errors import ModelUnavailableError
from punie.agent.events import (
    AgentMessageChunk,
    AnyEvent,
    Progress,
    SettingsUpdate,
    StateUpdate,
    UserMessage,
)
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk
from punie.agent.sessions.brain import Brain, OnProgress
from punie.agent.sessions.questions import _Question
from punie.agent.sessions.session import Session
from punie.agent.testing import Answers, Call, Recorder, Wait
from punie.agent.workspaces.local import LocalWorkspace

WRITE = Call("write_file", {"path": "a.txt", "content": "x"})


async def test_a_second_prompt_waits_for_the_first(play: Callable[..., Any]) -> None:
    go = asyncio.Event()
    scene = play([["one", Wait(go)], ["two"]])
    first = asyncio.ensure_future(scene.session.prompt("first"))
    await scene.heard.first(AgentMessageChunk)
    second = asyncio.ensure_future(scene.session.prompt("second"))
    await asyncio.sleep(0)
    assert [message.text for message in scene.heard.of(UserMessage)] == ["first"]
    go.set()
    assert [(await first).text, (await second).text] == ["one", "two"]
    assert [message.text for message in scene.heard.of(UserMessage)] == ["first", "second"]


async def test_cancelling_drops_the_prompts_that_wait(play: Callable[..., Any]) -> None:
    scene = play([["one", Wait()]])
    first = asyncio.ensure_future(scene.session.prompt("first"))
    await scene.heard.first(AgentMessageChunk)
    second = asyncio.ensure_future(scene.session.prompt("second"))
    await asyncio.sleep(0)
    scene.session.cancel()
    assert [(await first).stop_reason, (await second).stop_reason] == ["cancelled", "cancelled"]
    assert not scene.session.busy


async def test_the_conversation_goes_on_over_turns(play: Callable[..., Any]) -> None:
    scene = play([["one"], ["two"]])
    await scene.session.prompt("first")
    await scene.session.prompt("second")
    said = [str(part.content) for message in scene.requests[1][0] for part in message.parts]
    assert said == ["first", "one", "second"]


async def test_every_event_is_heard_before_the_outcome_and_kept(play: Callable[..., Any]) -> None:
    scene = play([["one ", "two ", "three"]])
    slow: list[AnyEvent] = []

    async def listen(event: AnyEvent) -> None:
        await asyncio.sleep(0.01)
        slow.append(event)

    scene.session.attach(listen)
    outcome = await scene.session.prompt("count")
    assert slow == scene.heard.events == scene.session.events
    assert slow[-1] == StateUpdate(state="idle", stop_reason=outcome.stop_reason)


async def test_a_reader_that_breaks_is_dropped_and_the_turn_goes_on(
    play: Callable[..., Any],
) -> None:
    scene = play([["fine"]])

    async def broken(_event: AnyEvent) -> None:
        raise OSError("gone")

    scene.session.attach(broken)
    assert (await scene.session.prompt("hello")).text == "fine"
    assert scene.heard.text == "fine"


async def test_a_reader_that_detached_hears_nothing_more(play: Callable[..., Any]) -> None:
    scene = play([["fine"]])
    late = Recorder()
    scene.session.attach(late)()
    await scene.session.prompt("hello")
    assert late.events == []


async def test_the_first_answer_wins_and_the_other_question_is_withdrawn(
    play: Callable[..., Any],
) -> None:
    silent, quick = Answers(None), Answers("allow_once")
    scene = play([[WRITE], ["done"]], person=silent)
    scene.session.attach(Recorder(), asker=quick)
    await scene.session.prompt("write")
    assert (scene.root / "a.txt").read_text() == "x"
    assert silent.cancelled
    assert len(silent.asked) == len(quick.asked) == 1


async def test_an_asker_that_fails_leaves_the_answer_to_the_others(
    play: Callable[..., Any],
) -> None:
    async def broken(_ask: Any) -> Any:
        raise OSError("gone")

    scene = play([[WRITE], ["done"]], person=Answers("allow_once"))
    scene.session.attach(Recorder(), asker=broken)
    outcome = await scene.session.prompt("write")
    assert not outcome.denied


async def test_the_state_says_when_a_person_is_needed(play: Callable[..., Any]) -> None:
    scene = play([[WRITE], ["done"]], person=Answers("allow_once"))
    await scene.session.prompt("write")
    states = [update.state for update in scene.heard.of(StateUpdate)]
    assert states == ["running", "requires_action", "running", "idle"]


async def test_a_model_that_does_not_open_ends_the_turn_with_its_sentence(tmp_path: Path) -> None:
    async def open_brain(*, on_progress: OnProgress) -> Brain:
        raise ModelUnavailableError("start one with: lms server start")

    session = Session("s", workspace=LocalWorkspace(tmp_path), mode="ask", open_brain=open_brain)
    outcome = await session.prompt("hello")
    assert (outcome.stop_reason, outcome.error) == ("error", "start one with: lms server start")
    assert outcome.exit_code == 3


async def test_opening_a_model_shows_progress_and_can_be_cancelled(tmp_path: Path) -> None:
    was_cancelled = asyncio.Event()

    async def open_brain(*, on_progress: OnProgress) -> Brain:
        on_progress(Progress(what="download", done=1, total=9))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise
        raise AssertionError

    session = Session("s", workspace=LocalWorkspace(tmp_path), mode="ask", open_brain=open_brain)
    heard = Recorder()
    session.attach(heard)
    turn = asyncio.ensure_future(session.prompt("hello"))
    assert await heard.first(Progress) == Progress(what="download", done=1, total=9)
    session.cancel()
    assert (await turn).stop_reason == "cancelled"
    assert was_cancelled.is_set()
    assert Progress(what="download", done=1, total=9) not in session.events


async def test_closing_cancels_the_turn_and_returns_when_nothing_runs(
    play: Callable[..., Any],
) -> None:
    scene = play([["one", Wait()]])
    turn = asyncio.ensure_future(scene.session.prompt("first"))
    await scene.heard.first(AgentMessageChunk)
    await scene.session.aclose()
    assert (await turn).stop_reason == "cancelled"


async def test_whoever_comes_while_a_question_is_open_is_asked_too(
    play: Callable[..., Any],
) -> None:
    silent, late = Answers(None), Answers("allow_once")
    scene = play([[WRITE], ["done"]], person=silent)
    turn = asyncio.ensure_future(scene.session.prompt("write"))
    await silent.was_asked.wait()
    screen = Recorder()
    await scene.session.join(screen, asker=late)
    await turn
    assert (scene.root / "a.txt").read_text() == "x"
    assert silent.cancelled
    assert len(late.asked) == 1
    assert screen.text == "done"


async def test_of_two_answers_in_the_same_moment_the_refusal_counts() -> None:
    ask = PermissionAsk(tool_call_id="1", tool="write_file", title="", reason="", options=())
    outcomes: set[str] = set()
    for _ in range(30):  # they are asked in any order
        go = asyncio.Event()

        async def answer(outcome: Any, go: asyncio.Event = go) -> PermissionAnswer:
            await go.wait()
            return PermissionAnswer(outcome)

        question = _Question(ask)
        question.ask(lambda _: answer("allowed"))
        question.ask(lambda _: answer("rejected"))
        asyncio.get_running_loop().call_soon(go.set)
        outcomes.add((await question.answer()).outcome)
    assert outcomes == {"rejected"}


async def test_a_mode_for_one_turn_holds_in_it_alone_and_not_before_its_turn(
    play: Callable[..., Any],
) -> None:
    begin = asyncio.Event()
    script = [[Wait(begin), WRITE], ["one"], [WRITE], ["two"], [WRITE], ["three"]]
    scene = play(script, mode="edit")
    first = asyncio.ensure_future(scene.session.prompt("write"))
    second = asyncio.ensure_future(scene.session.prompt("plan", mode="plan"))
    third = asyncio.ensure_future(scene.session.prompt("write"))
    await scene.heard.until(lambda: scene.heard.of(StateUpdate))
    begin.set()
    assert [(await turn).denied for turn in (first, second, third)] == [False, True, False]


@pytest.mark.parametrize(
    ("mode", "told"), [("read-only", []), ("plan", []), ("ask", ["plan", "ask"])]
)
async def test_a_mode_for_one_turn_is_never_freer_than_the_sessions(
    play: Callable[..., Any], mode: str, told: list[str]
) -> None:
    scene = play([["hi"]], mode=mode)
    await scene.session.prompt("plan", mode="plan")
    assert [event.mode for event in scene.heard.of(SettingsUpdate)] == told
    assert scene.session.mode == mode


async def test_a_mode_that_a_person_chooses_meanwhile_stays(play: Callable[..., Any]) -> None:
    begin = asyncio.Event()
    scene = play([[Wait(begin), "hi"]], mode="edit")
    turn = asyncio.ensure_future(scene.session.prompt("plan", mode="plan"))
    await scene.heard.first(SettingsUpdate)
    scene.session.mode = "read-only"
    begin.set()
    await turn
    assert scene.session.mode == "read-only"
