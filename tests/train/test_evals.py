"""Scores, controls and suites."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from punie.agent.errors import ModelUnavailableError
from punie.agent.testing.fake_server import open_fake_server
from punie.train.errors import CaseError, TrainError
from punie.train.evals.case import Case, Expect, parse_cases, read_cases, suite, suites
from punie.train.evals.figures import report_cases, score_reports
from punie.train.evals.report import evaluate, to_text
from punie.train.evals.run import open_subject, run
from punie.train.evals.scorers import Score, Step, rate, score

LINT = Case(id="c", prompt="lint src/", expect=Expect(tool="lint", arguments={"path": "src"}))
ASK = Case(id="q", prompt="what is ruff?", expect=Expect(tool=None))


@pytest.mark.parametrize(
    ("case", "step", "expected"),
    [
        (LINT, Step(tool="lint", arguments={"path": "./src/"}), Score(True, True, True)),
        (LINT, Step(tool="lint", arguments={"path": "srcs"}), Score(True, True, False)),
        (LINT, Step(tool="typecheck", arguments={"path": "src"}), Score(True, False, False)),
        (LINT, Step(text="No."), Score(False, False, False)),
        (ASK, Step(text="A linter."), Score(True, True, True)),
        (ASK, Step(tool="search", arguments={"query": "ruff"}), Score(False, False, False)),
        (ASK, Step(error="server down"), Score(False, False, False)),
    ],
)
def test_a_step_is_judged_three_ways(case: Case, step: Step, expected: Score) -> None:
    assert score(case, step) == expected


def test_the_interval_is_wilsons() -> None:
    assert rate(80, 100).value == 0.8
    assert rate(80, 100).ci95 == (0.7112, 0.8666)
    assert rate(0, 10).ci95 == (0.0, 0.2775)


async def test_the_oracle_scores_everything_and_the_null_model_the_floor() -> None:
    cases = suite("embedded-dev")
    floor = sum(case.expect.tool is None for case in cases) / len(cases)
    async with open_subject("oracle") as oracle, open_subject("null") as null:
        best = evaluate(oracle, await run(oracle, cases))
        worst = evaluate(null, await run(null, cases))
    assert (best.tool_or_answer.value, best.exact.value, best.failures) == (1.0, 1.0, ())
    assert worst.exact.value == pytest.approx(floor, abs=1e-4)
    assert len(worst.failures) == sum(case.expect.tool is not None for case in cases)
    assert worst.model.fingerprint == "control-null"


async def test_the_controls_hold_for_reports_too() -> None:
    assert len(report_cases()) >= 100
    async with open_subject("oracle") as oracle, open_subject("null") as null:
        best = await score_reports(oracle, told=lambda _done, _all: None)
        worst = await score_reports(null, told=lambda _done, _all: None)
    assert best.figures.value == 1.0
    assert worst.figures.value == 0.0
    assert "figures" in to_text(best)


async def test_a_model_of_the_registry_is_asked_as_the_agent_asks() -> None:
    cases = [
        Case(
            id="r", prompt="read a.py", expect=Expect(tool="read_file", arguments={"path": "a.py"})
        )
    ]
    async with open_subject("test") as subject:
        answered = await run(subject, cases)
    assert answered[0].step.tool == "read_file"
    assert answered[0].step.arguments["path"] == "a.py"


async def test_a_server_that_goes_away_ends_the_run_instead_of_scoring_zero() -> None:
    async with AsyncExitStack() as stack:
        async with open_fake_server() as server:
            name = f"local:{server.url}/fake"
            subject = await stack.enter_async_context(open_subject(name))
        with pytest.raises(ModelUnavailableError, match="no model server answers"):
            await run(subject, [ASK])


def test_a_line_may_hold_a_note_and_an_odd_separator(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    line = '{"id": "a", "prompt": "x\u2028y", "expect": {"tool": null}, "note": 1}\n'
    path.write_text(line, encoding="utf-8")
    assert [case.prompt for case in read_cases(path)] == ["x\u2028y"]


async def test_adapter_and_grammar_are_for_the_embedded_model_only() -> None:
    with pytest.raises(TrainError, match="only appl"):
        async with open_subject("test", grammar=False):
            pass


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"id": "a", "prompt": "x", "expect": {"tool": null}}', "nonsense"], "line 2"),
        (['{"id": "a", "prompt": "x"}'], "expect"),
        (['{"id": "a", "prompt": " ", "expect": {"tool": null}}'], "prompt is empty"),
        (['{"id": "a", "prompt": "x", "expect": {"tool": null}}'] * 2, "used before"),
        (
            ['{"id": "a", "prompt": "x", "expect": {"tool": null, "arguments": {"p": 1}}}'],
            "without",
        ),
        (['{"id": "a", "prompt": "x", "expect": {"tool": null, "args": 1}}'], "args"),
        ([""], "no cases"),
    ],
)
def test_a_bad_line_is_named(lines: list[str], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        parse_cases(lines, source="cases.jsonl")


def test_a_suite_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="cannot be read"):
        read_cases(tmp_path / "missing.jsonl")


@pytest.mark.parametrize("name", suites())
def test_shipped_suites_are_large_enough(name: str) -> None:
    assert len(suite(name)) >= 150
