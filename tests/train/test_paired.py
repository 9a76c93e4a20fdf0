"""A model that became worse is not promoted; what judges itself may lose nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.agent.testing.tiny_model import make_tiny_model
from punie.train import manifest, pipeline
from punie.train.errors import CaseError, GateError, TrainError
from punie.train.evals.case import suite, suites
from punie.train.evals.executed import Verdict, executed_suite, executed_suites
from punie.train.evals.figures import ModelSeen
from punie.train.evals.paired import PairedReport, pair, seen_loss, together
from punie.train.evals.report import EvalReport
from punie.train.evals.run import open_subject, run
from punie.train.evals.scorers import rate
from punie.train.phases import load_phase
from punie.train.phases.spec import Replaces
from punie.train.stages import paired
from punie.train.stages.base import Work
from punie.train.stages.promote import promote

WRONG = {str(number) for number in range(12)}


def silent(_text: str) -> None:
    """Say nothing."""


def test_the_interval_is_the_one_of_agresti_and_min() -> None:
    """Newly right 4, newly wrong 16 of 100: (4.5-16.5)/102 and Wald's half width with n = 102."""
    one = pair("s", 100, {f"b{n}" for n in range(4)}, {f"a{n}" for n in range(16)}, kind="cases")
    assert one.difference == -0.12
    assert one.ci95 == (-0.2027, -0.0326)


def test_a_few_cases_either_way_are_noise_and_many_are_not() -> None:
    assert not pair("s", 100, {"a", "b"}, {"c", "d", "e"}, kind="cases").worse
    assert pair("s", 100, set(), WRONG, kind="cases").worse
    assert not pair("s", 100, WRONG, set(), kind="cases").worse


def test_five_lost_and_none_won_is_the_least_that_is_refused() -> None:
    """A fair coin gives five heads in a row in 3 of 100 tries, four in 6."""
    assert [pair("s", 150, set(), set("abcdefgh"[:n]), kind="cases").worse for n in (4, 5)] == [
        False,
        True,
    ]
    assert not pair("s", 150, {"x"}, set("abcdef"), kind="cases").worse
    assert pair("s", 150, {"x"}, set("abcdefg"), kind="cases").worse


def test_a_loss_of_one_in_a_hundred_takes_six_hundred_cases_to_be_seen() -> None:
    assert [seen_loss(n) for n in (150, 353, 653)] == [0.045, 0.019, 0.011]


def test_a_loss_that_each_suite_is_too_small_for_is_seen_in_all_together() -> None:
    """Three lost in each of two suites."""
    pairs = [pair(name, 150, {"z"}, {"z", "a", "b", "c"}, kind="cases") for name in ("s", "t")]
    assert not any(one.worse for one in pairs)
    both = together(pairs)
    assert (both.suite, both.n, both.worse) == ("s + t", 300, True)
    assert both.newly_wrong == ("s/a", "s/b", "s/c", "t/a", "t/b", "t/c")


def test_only_suites_without_a_common_prompt_are_added_up() -> None:
    """`misbehaving` asks what `embedded-dev` asks: its cases fall with those."""
    names = ("embedded-dev", "misbehaving", "plain", "misbehaving-replies")
    assert paired._apart(Replaces(model="x", suites=names)) == ["embedded-dev", "plain"]


async def test_what_is_refused_is_told_with_how_small_a_loss_is_seen(tmp_path: Path) -> None:
    """Asked of the controls: null is worse than oracle, and the other way round it is not."""
    phase = msgspec.structs.replace(
        load_phase("smoke"),
        replaces=Replaces(model="oracle", suites=("embedded-dev", "plain"), cases=40),
    )
    made = Work(phase, tmp_path, silent)
    figures = await _asked(made, before="oracle", after="null")
    assert figures["embedded-dev"]["seen_loss"] > figures["embedded-dev + plain"]["seen_loss"]
    with pytest.raises(GateError, match=r"worse than oracle on embedded-dev: .*p = 0\.000"):
        paired.check(made)
    await _asked(made, before="null", after="oracle")
    paired.check(made)


async def _asked(made: Work, *, before: str, after: str) -> dict[str, Any]:
    """Compare two controls."""
    assert made.phase.replaces is not None
    replaces = msgspec.structs.replace(made.phase.replaces, model=before)
    phase = msgspec.structs.replace(made.phase, replaces=replaces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("punie.train.stages.fit.served", lambda _work: (after, None))
        return (await asyncio.to_thread(paired.compare, made._replace(phase=phase))).figures


def test_what_judges_itself_may_lose_nothing() -> None:
    assert pair("s", 100, {"a", "b"}, {"c"}, kind="executed").worse
    assert not pair("s", 100, {"a", "b"}, {"a"}, kind="executed").worse


def work(tmp_path: Path) -> Work:
    """A run of the smoke phase that passed its gates."""
    seen = ModelSeen(spec="mlx:x", fingerprint="f")
    one = rate(6, 6)
    report = EvalReport(model=seen, n=6, tool_or_answer=one, tool=one, exact=one, failures=())
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(report))
    phase = msgspec.structs.replace(
        load_phase("smoke"), replaces=Replaces(model="embedded", suites=("plain",))
    )
    make_tiny_model(tmp_path / "quantized")
    return Work(phase, tmp_path, silent)


def write(tmp_path: Path, after: set[str]) -> None:
    seen = ModelSeen(spec="embedded", fingerprint="f")
    found = pair("plain", 100, set(), after, kind="cases")
    report = PairedReport(before=seen, after=seen, pairs=(found,))
    (tmp_path / paired.PAIRED).write_bytes(msgspec.json.encode(report))


def test_a_regression_refuses_the_promotion_and_names_suite_and_cases(tmp_path: Path) -> None:
    made = work(tmp_path)
    write(tmp_path, WRONG)
    with pytest.raises(
        GateError, match=r"worse than embedded on plain: -12\.0 points .*: 0, 1, 10"
    ):
        promote(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_regression_the_whole_folder_is_promoted(tmp_path: Path) -> None:
    made = work(tmp_path)
    write(tmp_path, set())
    promote(made, tmp_path / "out")
    assert (tmp_path / "out/config.json").is_file()
    assert (tmp_path / "out/manifest.json").is_file()


def test_what_was_not_compared_is_not_promoted(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="run the stage `compare` first"):
        promote(work(tmp_path), tmp_path / "out")


def measured(made: Work) -> None:
    """Write what the measuring stages leave behind."""
    for name, output in (("evaluate", "report.json"), ("compare", paired.PAIRED)):
        left = manifest.make(
            phase="smoke",
            stage=name,
            inputs=pipeline.stage_named(name).inputs(made),
            outputs={output: made.path(output)},
            figures={},
            seconds=0.0,
        )
        manifest.write(left, made.path(f"{name}.manifest.json"))


def test_only_the_model_that_was_measured_is_promoted(tmp_path: Path) -> None:
    """Trained again and not measured again, it may be any worse."""
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    made = work(run)
    write(run, set())
    with pytest.raises(TrainError, match="`evaluate` is not run"):
        pipeline.promote_to(made.phase, run, out, say=silent)
    measured(made)
    pipeline.promote_to(made.phase, run, out, say=silent)
    assert (out / "manifest.json").is_file()
    (run / "quantized/config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TrainError, match="`evaluate` is stale: model changed"):
        pipeline.promote_to(made.phase, run, out, say=silent)
    assert (out / "config.json").read_text(encoding="utf-8") != "{}"


def test_another_chat_template_is_another_model(tmp_path: Path) -> None:
    """It decides what the model reads, and may stand in a file of its own."""
    made = work(tmp_path)
    before = pipeline.stage_named("evaluate").inputs(made)
    template = tmp_path / "quantized/chat_template.jinja"
    template.write_text("{{ raise_exception('lost') }}", encoding="utf-8")
    assert pipeline.stage_named("evaluate").inputs(made) != before


async def test_cases_that_the_model_after_was_not_asked_are_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Verdict(id="a", passed=True), Verdict(id="b", passed=True)]

    async def judge(_subject: Any, _told: Any) -> list[Verdict]:
        return [answers.pop() for _ in answers[:2]] if len(answers) == 2 else []

    monkeypatch.setattr("punie.train.evals.executed.executed_suites", lambda: ["own"])
    monkeypatch.setattr("punie.train.evals.executed.executed_suite", lambda _name: judge)
    monkeypatch.setattr("punie.train.stages.fit.served", lambda _work: ("oracle", None))
    made = work(tmp_path)
    phase = msgspec.structs.replace(made.phase, replaces=Replaces(model="null", suites=("own",)))
    with pytest.raises(TrainError, match="judged 2 cases of null and 0"):
        await asyncio.to_thread(paired.compare, made._replace(phase=phase))


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    made = work(tmp_path)
    write(tmp_path, set())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("years", encoding="utf-8")
    with pytest.raises(TrainError, match="something else than a model"):
        promote(made, tmp_path / "thesis")
    assert [one.name for one in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("served") / "model")


async def verdicts(folder: Path) -> dict[str, bool]:
    async with open_subject(f"mlx:{folder}") as subject:
        judged = await executed_suite("misbehaving-replies")(subject, lambda done, total: None)
    return {one.id: one.passed for one in judged}


async def test_the_misbehaving_forms_are_a_suite_that_a_model_in_this_process_passes(
    folder: Path,
) -> None:
    assert "misbehaving-replies" in executed_suites()
    judged = await verdicts(folder)
    missed = [name for name, passed in judged.items() if not passed]
    print(f"{len(judged) - len(missed)} of {len(judged)}; not: {missed}")
    assert len(judged) >= 100
    # What has no tags around it is mended for servers only: in this process a grammar holds replies.
    assert len(missed) <= 0.2 * len(judged)


async def test_a_folder_that_lost_its_chat_template_is_found_to_be_worse(
    folder: Path, tmp_path: Path
) -> None:
    spoilt = make_tiny_model(tmp_path / "spoilt", template="{{ raise_exception('lost') }}")
    before = {name for name, passed in (await verdicts(folder)).items() if not passed}
    judged = await verdicts(spoilt)
    after = {name for name, passed in judged.items() if not passed}
    assert pair("s", len(judged), before, after, kind="executed").worse


async def test_the_control_that_only_answers_has_no_mouth_to_put_a_reply_into() -> None:
    async with open_subject("null") as subject:
        with pytest.raises(CaseError, match="a model in this process"):
            await executed_suite("misbehaving-replies")(subject, lambda done, total: None)


async def test_what_was_said_before_a_case_is_in_front_of_it(folder: Path) -> None:
    """The second suite of misbehaving replies: they stand in the history of an ordinary prompt."""
    assert "misbehaving" in suites()
    cases = suite("misbehaving")
    assert len(cases) == 150
    assert all(len(case.earlier) == 2 for case in cases)
    asked: list[Any] = []
    async with open_subject(f"mlx:{folder}") as subject:
        model: Any = subject.model

        async def request(messages: Any, *_: Any) -> Any:
            asked.append(messages)
            raise TimeoutError  # what it would say is not the point

        model.request = request
        await run(subject, cases[:1])
    texts = [part.content for message in asked[0] for part in message.parts]
    assert texts == [*(message.content for message in cases[0].earlier), cases[0].prompt]


def test_a_suite_that_is_not_there_is_named() -> None:
    with pytest.raises(CaseError, match="there is no suite nope"):
        suite("nope")
    with pytest.raises(CaseError, match="nope"):
        executed_suite("nope")
