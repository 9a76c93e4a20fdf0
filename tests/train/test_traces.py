"""A person's sessions as training data: approved calls are learnt, refused ones never, corrections instead of edits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from punie.agent.runtime import Runtime
from punie.agent.testing import Answers, Recorder
from punie.agent.tools import catalog
from punie.train.backends.tokenizer import load_tokenizer
from punie.train.data import learned, traces
from punie.train.data.checks import Wording
from punie.train.data.example import Example, answered, example, said
from punie.train.data.render import Renderer, Weights
from punie.train.data.traces import Found, Traces
from punie.train.errors import DataError
from punie.train.stages.bases import tool_specs

TOOLS = catalog.select(["read_file(path)", "run_tests(path)", "edit_file", "write_file"])
READ = {"path": "src/a.py"}
ALL = Traces()


def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "call": tool, "arguments": arguments}


def result(text: str) -> dict[str, Any]:
    return {"role": "tool", "content": text}


def says(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def turn(
    prompt: str,
    *messages: dict[str, Any],
    verdicts: Sequence[str] = (),
    stop_reason: str = "end_turn",
    **more: Any,
) -> dict[str, Any]:
    """Write a line of a trace; a verdict is a status and who decided, such as `denied person`."""
    written = [{"role": "user", "content": prompt}, *messages]
    places = [index for index, message in enumerate(written) if "call" in message]
    calls = [
        {
            "tool": written[place]["call"],
            "message": place,
            "status": verdict.split()[0],
            "decided_by": verdict.split()[1],
        }
        for place, verdict in zip(places, verdicts, strict=True)
    ]
    return {
        "type": "Example",
        "id": prompt,
        "messages": written,
        "provenance": "trace:test",
        "stop_reason": stop_reason,
        "calls": calls,
        **more,
    }


def found(tmp_path: Path, *lines: dict[str, Any], spec: Traces = ALL) -> Found:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "s.jsonl").write_text(text)
    return traces.read(spec, tmp_path, tools=TOOLS)


def learnt(examples: Sequence[Example]) -> set[str]:
    """Everything that an assistant is taught to say or call."""
    return {
        f"{message.call} {json.dumps(message.arguments)}" if message.call else message.content
        for one in examples
        for message in one.messages
        if message.role == "assistant" and message.trained
    }


APPROVED = turn(
    "read src/a.py",
    call("read_file", READ),
    result("src/a.py, 1 line\nx = 1"),
    says("It sets x."),
    verdicts=["completed person"],
)


def test_an_approved_call_is_learnt_as_a_decision_and_with_its_report(tmp_path: Path) -> None:
    decision, whole = found(tmp_path, APPROVED).examples
    assert [m.role for m in decision.messages] == ["user", "assistant"]
    assert [m.role for m in whole.messages] == ["user", "assistant", "tool", "assistant"]
    assert learnt([whole]) == {'read_file {"path": "src/a.py"}', "It sets x."}


def test_a_call_that_nobody_was_asked_about_counts_unless_the_phase_says_no(tmp_path: Path) -> None:
    line = {**APPROVED, "calls": [{**APPROVED["calls"][0], "decided_by": "rules"}]}
    assert len(found(tmp_path, line).examples) == 2
    strict = found(tmp_path, line, spec=Traces(unasked=False))
    assert (strict.examples, strict.left_out) == ([], {"no call of it counts": 1})


WRITE = {"path": "b.txt", "content": "x"}
DENIED = result("Permission denied: rejected by the person. Nothing was done.")


def test_the_call_after_a_refused_one_is_learnt_in_its_place(tmp_path: Path) -> None:
    line = turn(
        "note it in src/a.py",
        call("write_file", WRITE),
        DENIED,
        call("read_file", READ),
        result("src/a.py, 1 line"),
        says("Read."),
        verdicts=["denied person", "completed person"],
    )
    seen = found(tmp_path, line)
    assert seen.taught == {"call after a refusal": 2}
    assert learnt(seen.examples) == {'read_file {"path": "src/a.py"}', "Read."}
    assert not any(m.call == "write_file" for one in seen.examples for m in one.messages)


def test_code_that_made_a_refused_call_is_not_learnt(tmp_path: Path) -> None:
    """A trace does not tell which message's code made it."""
    inside = {"tool": "write_file", "status": "denied", "decided_by": "person"}
    seen = found(tmp_path, {**APPROVED, "calls": [*APPROVED["calls"], inside]})
    assert (seen.examples, seen.left_out) == ([], {"a call that code made was refused": 1})


def test_an_answer_that_stands_alone_is_learnt_without_the_refused_call(tmp_path: Path) -> None:
    line = turn(
        "what is a fixture?",
        call("run_tests", {"path": "."}),
        DENIED,
        says("A function that prepares a test."),
        verdicts=["denied person"],
    )
    (one,) = found(tmp_path, line).examples
    assert [m.content for m in one.messages] == [
        "what is a fixture?",
        "A function that prepares a test.",
    ]
    assert one.tool == ""


def test_an_answer_about_the_refusal_is_learnt_with_the_call_in_front_only_read(
    tmp_path: Path,
) -> None:
    line = turn(
        "write b.txt",
        call("write_file", WRITE),
        DENIED,
        says("You refused that."),
        verdicts=["denied person"],
    )
    (one,) = found(tmp_path, line).examples
    assert learnt([one]) == {"You refused that."}
    assert [m.trained for m in one.messages if m.role == "assistant"] == [False, True]


def test_a_failed_call_is_only_read_and_the_way_out_is_learnt(tmp_path: Path) -> None:
    line = turn(
        "read a.py",
        call("read_file", {"path": "a.py"}),
        result("error: there is no a.py"),
        call("read_file", READ),
        result("src/a.py, 1 line"),
        says("Read."),
        verdicts=["failed rules", "completed rules"],
    )
    seen = found(tmp_path, line)
    assert seen.taught == {"recovery": 1}
    assert learnt(seen.examples) == {'read_file {"path": "src/a.py"}', "Read."}
    assert [m.role for m in seen.examples[0].messages].count("tool") == 2


EDIT = {"path": "a.py", "old": "x = 1", "new": "x = 2"}
EDITED = turn(
    "set x",
    call("edit_file", EDIT),
    result("a.py edited at line 1"),
    says("x is 2."),
    verdicts=["completed person"],
)


def test_a_corrected_edit_teaches_the_correction_and_nothing_after_it(tmp_path: Path) -> None:
    better = {**EDIT, "new": "x = 3"}
    correction = {
        "type": "Correction",
        "of": "set x",
        "verdict": "corrected",
        "message": 1,
        "arguments": better,
    }
    (one,) = found(tmp_path, EDITED, correction).examples
    assert learnt([one]) == {f"edit_file {json.dumps(better)}"}
    assert [m.role for m in one.messages] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("correction", "why"),
    [
        ({"verdict": "undone", "message": 1}, "undone by the person"),
        ({"verdict": "corrected", "message": 1}, "corrected in a way that no call makes"),
    ],
)
def test_what_was_undone_teaches_nothing(
    tmp_path: Path, correction: dict[str, Any], why: str
) -> None:
    seen = found(tmp_path, EDITED, {"type": "Correction", "of": "set x", **correction})
    assert (seen.examples, seen.left_out) == ([], {why: 1})


def test_what_was_undone_takes_out_what_was_learnt_before_from_the_same_wording(
    tmp_path: Path,
) -> None:
    """Whatever else is wrong with the turn."""
    inside = {"tool": "write_file", "status": "denied", "decided_by": "person"}
    again = {**EDITED, "id": "again", "calls": [*EDITED["calls"], inside]}
    undone = {"type": "Correction", "of": "again", "verdict": "undone", "message": 1}
    assert found(tmp_path, EDITED).examples
    (tmp_path / "s.jsonl").write_text("")
    for number, lines in enumerate(([EDITED], [again, undone])):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{number}.jsonl").write_text(text)
    assert traces.read(ALL, tmp_path, tools=TOOLS).examples == []


@pytest.mark.parametrize("stop_reason", ["cancelled", "error", "max_tokens", "max_turn_requests"])
def test_a_turn_that_did_not_end_by_itself_is_left_out(tmp_path: Path, stop_reason: str) -> None:
    seen = found(tmp_path, {**APPROVED, "stop_reason": stop_reason})
    assert (seen.examples, seen.left_out) == ([], {"interrupted or failed": 1})


def test_the_later_verdict_on_a_wording_counts(tmp_path: Path) -> None:
    refused = turn(
        "read src/a.py", call("read_file", READ), DENIED, says("Fine."), verdicts=["denied person"]
    )
    seen = found(tmp_path, APPROVED, refused, spec=Traces(earlier=0))
    assert learnt(seen.examples) == {"Fine."}


def test_earlier_turns_stand_in_front_and_are_only_read(tmp_path: Path) -> None:
    seen = found(tmp_path, APPROVED, turn("thanks", says("Gladly.")))
    last = seen.examples[-1]
    assert [m.content for m in last.messages if m.role == "user"] == ["read src/a.py", "thanks"]
    assert learnt([last]) == {"Gladly."}


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([call("lint", READ), result("x"), says("y")], "not offered"),
        ([call("read_file", {**READ, "line": 3}), result("x"), says("y")], "other arguments"),
        ([call("run_tests", {"path": 7.5}), result("x"), says("y")], "do not fit"),
        ([call("read_file", READ), result("x"), says("")], "an empty answer"),
        ([call("read_file", READ), result("x")], "no whole exchange"),
    ],
)
def test_what_this_model_cannot_learn_is_left_out_with_the_reason(
    tmp_path: Path, messages: list[dict[str, Any]], why: str
) -> None:
    seen = found(tmp_path, turn("do it", *messages, verdicts=["completed person"]))
    assert seen.examples == []
    assert [why in reason for reason in seen.left_out] == [True]


def test_a_secret_is_taken_out_again_and_never_learnt(tmp_path: Path) -> None:
    secret = "sk-proj-abcdefghijklmnop1234"
    line = turn("what is the key?", says(f"It is {secret}."))
    asked = turn(f"is {secret} a key?", says("It looks like one."))
    seen = found(tmp_path, line, asked, spec=Traces(earlier=0))
    assert secret not in str(seen)
    assert seen.left_out == {"a secret stood in what would be learnt": 1}
    assert [one.prompt for one in seen.examples] == ["is [redacted] a key?"]


def test_a_line_that_a_killed_process_left_unfinished_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(json.dumps(APPROVED) + '\n{"type": "Exam')
    assert traces.read(Traces(), tmp_path, tools=TOOLS).turns == 1


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"type": "Example"}\n')
    with pytest.raises(DataError, match=r"s\.jsonl, line 1: .*delete the line"):
        traces.read(Traces(), tmp_path, tools=TOOLS)


def test_without_traces_a_person_reads_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="traces = true"):
        traces.read(Traces(), tmp_path, tools=TOOLS)


def mixed(seen: Found, *, suites: Sequence[Wording] = (), fits: bool = True) -> learned.Mixed:
    generated = [
        example((said(f"q {n}"), answered("a")), provenance="grammar") for n in range(3)
    ] + [example((said("read src/a.py"), answered("no")), provenance="grammar")]
    return learned.mixed(seen, generated, suites=suites, fits=lambda one: fits)


def test_a_wording_of_a_suite_is_never_learnt(tmp_path: Path) -> None:
    seen = found(tmp_path, APPROVED, turn("is it red?", says("No.")), spec=Traces(earlier=0))
    made = mixed(seen, suites=[Wording("is it red?", ())])
    assert (made.report.leaks, made.report.examples) == (1, 2)
    seen = found(tmp_path, APPROVED, turn("is it red?", says("No.")), spec=Traces(earlier=0))
    with pytest.raises(DataError, match="2 in a suite"):
        mixed(
            Found(seen.examples[:2], 1, {}, {}),
            suites=[Wording("read lib/z.py", ("lib/z.py",))],
        )


def test_a_persons_wording_takes_the_place_of_a_generated_one(tmp_path: Path) -> None:
    made = mixed(found(tmp_path, APPROVED))
    assert made.report.replaced == 1
    assert [one.provenance for one in made.examples if one.prompt == "read src/a.py"] == [
        "trace:test",
        "trace:test",
    ]


def test_traces_that_teach_nothing_stop_with_the_reasons(tmp_path: Path) -> None:
    seen = found(tmp_path, {**APPROVED, "stop_reason": "cancelled"})
    with pytest.raises(DataError, match="1 interrupted or failed"):
        mixed(seen)
    with pytest.raises(DataError, match="2 too long"):
        mixed(found(tmp_path, APPROVED), fits=False)


def test_one_kind_alone_is_refused(tmp_path: Path) -> None:
    many = [turn(f"q {n} is what?", says("So.")) for n in range(5)]
    with pytest.raises(DataError, match="lower `direct` in the mix"):
        mixed(found(tmp_path, *many, spec=Traces(earlier=0)))


async def test_what_a_real_session_wrote_is_read(tmp_path: Path, tiny: Path) -> None:
    """A person allows one write, refuses another and changes the first: the agent's own file is read."""
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    project.mkdir(parents=True)
    (project / "a.txt").write_text("one\n")
    (home / ".config" / "punie").mkdir(parents=True)
    (home / ".config" / "punie" / "config.toml").write_text("traces = true")
    runtime = Runtime(model="test", environ={"HOME": str(home)})
    session = runtime.open_session(project, session_id="s", mode="ask")
    leave = session.attach(Recorder(), asker=Answers("allow_once"))
    await session.prompt("read a.txt")
    await session.prompt("write b.txt new")
    leave()
    (project / "b.txt").write_text("better")
    session.attach(Recorder(), asker=Answers("reject_once"))
    await session.prompt("write c.txt no")
    await runtime.aclose()
    seen = traces.read(
        Traces(earlier=1), home / ".local" / "state" / "punie" / "traces", tools=TOOLS
    )
    assert seen.left_out == {}
    wanted = learnt(seen.examples)
    assert 'write_file {"path": "b.txt", "content": "better"}' in wanted
    assert not [text for text in wanted if '"new"' in text or '"no"' in text]
    rendering = Renderer(
        load_tokenizer(tiny),
        instructions="Be Punie.",
        tools=tool_specs(["read_file(path)", "write_file"]),
        weights=Weights(),
        max_tokens=4096,
    )
    assert all(any(rendering.tokens(one).weights) for one in seen.examples)
