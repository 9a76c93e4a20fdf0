"""What happens around a tool call: shown, permitted, run, reported, in this order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_ai.messages import ToolReturnPart

from punie.agent.events import (
    AgentMessageChunk,
    DiffContent,
    Notice,
    PermissionRequested,
    PermissionResolved,
    TextContent,
    ToolCallUpdate,
    UsageUpdate,
)
from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk
from punie.agent.testing import Answers, Call, Requests

WRITE = Call("write_file", {"path": "new.txt", "content": "x\n"})


def told(requests: Requests) -> list[str]:
    """What the model read from its tools, in the last request."""
    parts = [part for message in requests[-1][0] for part in message.parts]
    return [part.model_response_str() for part in parts if isinstance(part, ToolReturnPart)]


async def test_a_read_runs_without_asking_and_the_model_reads_the_result(
    play: Callable[..., Any],
) -> None:
    scene = play([[Call("read_file", {"path": "a.txt"})], ["it says hi"]])
    (scene.root / "a.txt").write_text("hi\n")
    outcome = await scene.session.prompt("what does a.txt say?")
    assert (outcome.stop_reason, outcome.text) == ("end_turn", "it says hi")
    assert scene.heard.statuses == ["pending", "in_progress", "completed"]
    assert told(scene.requests) == ["a.txt, 1 line\nhi\n"]
    assert [(call.name, call.status, call.ok) for call in outcome.tool_calls] == [
        ("read_file", "completed", True)
    ]


async def test_a_write_is_shown_with_its_diff_before_anybody_is_asked(
    play: Callable[..., Any],
) -> None:
    scene = play([[WRITE], ["done"]], person=Answers("allow_once"))
    outcome = await scene.session.prompt("write")
    kinds = [type(event) for event in scene.heard.events]
    shown = next(update for update in scene.heard.of(ToolCallUpdate))
    assert kinds.index(ToolCallUpdate) < kinds.index(PermissionRequested)
    path = str(scene.root / "new.txt")
    assert shown.content == (DiffContent(path=path, old_text=None, new_text="x\n"),)
    assert (shown.title, shown.kind, shown.status) == ("Write new.txt", "edit", "pending")
    assert (scene.root / "new.txt").read_text() == "x\n"
    assert outcome.exit_code == 0


async def test_a_rejected_write_leaves_no_trace_and_tells_the_model(
    play: Callable[..., Any],
) -> None:
    scene = play([[WRITE], ["it was refused"]], person=Answers("reject_once"))
    outcome = await scene.session.prompt("write")
    assert list(scene.root.iterdir()) == []
    assert told(scene.requests) == ["Permission denied: rejected by the person. Nothing was done."]
    assert outcome.denied
    assert outcome.exit_code == 4
    assert [call.status for call in outcome.tool_calls] == ["denied"]


async def test_nobody_there_means_no(play: Callable[..., Any]) -> None:
    scene = play([[WRITE], ["no"]])
    outcome = await scene.session.prompt("write")
    assert list(scene.root.iterdir()) == []
    assert outcome.denied
    assert scene.heard.statuses == ["pending", "failed"]


async def test_a_file_outside_is_not_read_before_somebody_allows_it(
    play: Callable[..., Any], tmp_path_factory: Any
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text("old secret")
    call = Call("write_file", {"path": str(secret), "content": "new"})
    scene = play([[call], ["no"]], person=Answers("reject_once"))
    await scene.session.prompt("write")
    assert "old secret" not in repr(scene.heard.events)
    assert secret.read_text() == "old secret"


async def test_arguments_that_do_not_fit_are_answered_in_one_sentence(
    play: Callable[..., Any],
) -> None:
    bad = Call("read_file", {"path": "a.txt", "lines": 3})
    scene = play([[bad], [Call("read_file", '{"path": ')], ["sorry"]])
    outcome = await scene.session.prompt("read")
    first, second = told(scene.requests)
    assert "read_file takes (path, line, limit): Object contains unknown field `lines`" in first
    assert "read_file: the arguments are not JSON" in second
    assert outcome.stop_reason == "end_turn"
    assert scene.heard.statuses == ["failed", "failed"]


async def test_a_tool_that_does_not_exist_is_told_to_the_model_and_shown(
    play: Callable[..., Any],
) -> None:
    scene = play([[Call("fly")], ["I cannot fly"]])
    outcome = await scene.session.prompt("fly")
    assert outcome.text == "I cannot fly"
    assert scene.heard.of(ToolCallUpdate)[0].title == "fly (not a valid call)"


async def test_the_same_call_with_the_same_result_three_times_ends_the_turn(
    play: Callable[..., Any],
) -> None:
    call = Call("list_files", {"path": "."})
    scene = play([[call], [call], [call], [call]])
    outcome = await scene.session.prompt("go")
    assert outcome.stop_reason == "max_turn_requests"
    assert len(outcome.tool_calls) == 3
    assert "made the same call 3 times" in scene.heard.of(Notice)[0].title


async def test_a_call_repeated_after_another_one_is_no_loop(play: Callable[..., Any]) -> None:
    (look, other) = Call("list_files", {"path": "."}), Call("git_status")
    scene = play([[look], [other], [look], [other], [look], ["done"]])
    assert (await scene.session.prompt("go")).stop_reason == "end_turn"


async def test_a_model_has_only_the_calls_that_its_spec_grants(play: Callable[..., Any]) -> None:
    look = Call("list_files", {"path": "."})
    spec = ModelSpec(spec="test", calls_per_turn=1)
    scene = play([[look], [look], ["nothing here"]], spec=spec)
    outcome = await scene.session.prompt("go")
    assert outcome.text == "nothing here"
    assert [call.name for call in outcome.tool_calls] == ["list_files"]
    assert told(scene.requests)[1] == "No more calls in this turn: answer with what you know now."
    choices = [info.model_settings.get("tool_choice") for _, info in scene.requests]
    assert choices == [None, "none", "none"]


async def test_a_spec_narrows_the_tools_and_the_length_of_results(
    play: Callable[..., Any],
) -> None:
    spec = ModelSpec(spec="test", tools=("read_file(path)", "git_status()"), result_limit=60)
    scene = play([[Call("read_file", {"path": "a.txt"})], ["long"]], spec=spec)
    (scene.root / "a.txt").write_text("word " * 1000)
    await scene.session.prompt("read")
    offered = scene.requests[0][1].function_tools
    assert [tool.name for tool in offered] == ["read_file", "git_status"]
    assert list(offered[0].parameters_json_schema["properties"]) == ["path"]
    assert offered[0].metadata == {"paths": ["path"], "copied": []}
    assert len(told(scene.requests)[0]) <= 60


async def test_output_of_a_running_command_is_shown_while_it_runs(
    play: Callable[..., Any], tmp_path: Path
) -> None:
    gate = tmp_path / "go"
    command = f"echo started; while [ ! -e '{gate}' ]; do sleep 0.02; done; echo ended"
    scene = play([[Call("run_command", {"command": command})], ["ok"]], mode="bypass")
    turn = asyncio.ensure_future(scene.session.prompt("run"))

    def live() -> bool:
        return any(
            update.content == (TextContent(text="started\n"),)
            for update in scene.heard.of(ToolCallUpdate)
        )

    await scene.heard.until(live)
    gate.touch()
    outcome = await turn
    last = scene.heard.of(ToolCallUpdate)[-1]
    assert outcome.stop_reason == "end_turn"
    assert last.raw_output["output"] == "started\nended\n"


async def test_text_before_a_call_and_the_answer_after_it_are_two_messages(
    play: Callable[..., Any],
) -> None:
    look = Call("list_files", {"path": "."})
    scene = play([["I will ", "look.", look], ["Nothing ", "there."]])
    outcome = await scene.session.prompt("go")
    texts: dict[str, str] = {}
    for chunk in scene.heard.of(AgentMessageChunk):
        texts[chunk.message_id] = texts.get(chunk.message_id, "") + chunk.text
    assert list(texts.values()) == ["I will look.", "Nothing there."]
    assert outcome.text == "Nothing there."


async def test_usage_is_told_after_every_model_call(play: Callable[..., Any]) -> None:
    scene = play([[Call("git_status")], ["clean"]])
    outcome = await scene.session.prompt("go")
    assert len(scene.heard.of(UsageUpdate)) == 2
    assert outcome.usage.requests == 2
    assert outcome.usage.output_tokens == sum(
        update.output_tokens for update in scene.heard.of(UsageUpdate)
    )


async def test_equal_ids_of_two_turns_stay_two_calls(play: Callable[..., Any]) -> None:
    call = Call("git_status", id="call_0")
    scene = play([[call], ["a"], [call], ["b"]])
    await scene.session.prompt("one")
    await scene.session.prompt("two")
    ids = dict.fromkeys(update.tool_call_id for update in scene.heard.of(ToolCallUpdate))
    assert list(ids) == ["call_0", "call_0-2"]


async def test_an_answer_always_is_remembered_for_the_session(play: Callable[..., Any]) -> None:
    person = Answers("allow_always")
    other = Call("write_file", {"path": "b.txt", "content": "y"})
    scene = play([[WRITE], ["a"], [other], ["b"]], person=person)
    await scene.session.prompt("one")
    await scene.session.prompt("two")
    assert len(person.asked) == 1
    assert [answer.outcome for answer in scene.heard.of(PermissionResolved)] == ["allowed"]
    assert (scene.root / "b.txt").read_text() == "y"


async def test_what_changed_while_the_question_was_open_is_not_written(
    play: Callable[..., Any],
) -> None:
    """The person allowed the change that was shown, not the one it would be by now."""

    async def slow_person(ask: PermissionAsk) -> PermissionAnswer:
        (scene.root / "new.txt").write_text("somebody else was here\n")
        return PermissionAnswer(outcome="allowed", option_id="allow_once")

    scene = play([[WRITE], ["it changed"]], person=slow_person)
    await scene.session.prompt("write")
    assert (scene.root / "new.txt").read_text() == "somebody else was here\n"
    assert told(scene.requests) == [
        "The files changed while the question was open. Nothing was done: try again."
    ]


async def test_a_change_that_could_not_be_shown_is_not_made_when_it_can_be_by_now(
    play: Callable[..., Any],
) -> None:
    """The person allowed an edit without seeing what it would do: it had nothing to replace yet."""

    async def slow_person(ask: PermissionAsk) -> PermissionAnswer:
        (scene.root / "a.txt").write_text("old\n")
        return PermissionAnswer(outcome="allowed", option_id="allow_once")

    edit = Call("edit_file", {"path": "a.txt", "old": "old", "new": "new"})
    scene = play([[edit], ["it changed"]], person=slow_person)
    (scene.root / "a.txt").write_text("else\n")
    await scene.session.prompt("edit")
    assert (scene.root / "a.txt").read_text() == "old\n"
    assert told(scene.requests) == [
        "The files changed while the question was open. Nothing was done: try again."
    ]
