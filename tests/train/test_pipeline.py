"""Phases as data, manifests, and what makes a stage run again."""

from importlib import resources
from pathlib import Path

import msgspec
import pytest

from punie.train import ledger, manifest, pipeline
from punie.train.errors import GateError, PhaseError, TrainError
from punie.train.evals.case import suite, suites
from punie.train.evals.figures import ModelSeen
from punie.train.evals.report import EvalReport
from punie.train.evals.scorers import rate
from punie.train.ledger import Entry
from punie.train.phases import load_phase, parse_phase, phase_names
from punie.train.pipeline import Stage
from punie.train.stages import fit
from punie.train.stages.base import Outcome, Work, wordings
from punie.train.stages.promote import promote


def silent(_text: str) -> None:
    """Say nothing."""


def test_the_embedded_phase_is_there_and_trains_what_is_served() -> None:
    assert "embedded" in phase_names()
    phase = load_phase("embedded")
    assert set(phase.data.mix.calls) == {
        "read_file", "search", "run_tests", "lint", "typecheck", "git_status",
    }  # fmt: skip
    assert phase.gates.tool_or_answer == 0.95


def test_an_unknown_key_is_an_error() -> None:
    shipped = resources.files("punie.train.phases").joinpath("embedded.toml").read_bytes()
    text = shipped + b"\n[extra]\nx = 1\n"
    with pytest.raises(PhaseError, match="extra"):
        parse_phase(text, source="x.toml")


@pytest.mark.parametrize(
    ("name", "layers", "steps", "bits"),
    [("phase5", 16, 300, 8), ("phase6", 16, 300, 8), ("phase7", 16, 300, 8), ("phase8", 8, 500, 5)],
)
def test_the_phases_of_the_first_punie_are_data(
    name: str, layers: int, steps: int, bits: int
) -> None:
    phase = load_phase(name)
    assert phase.quantize is not None
    assert (phase.lora.layers, phase.schedule.steps, phase.quantize.bits) == (layers, steps, bits)
    assert (phase.schedule.lr, phase.lora.rank, phase.lora.scale) == (1e-4, 8, 20.0)


def test_a_phase_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    shipped = resources.files("punie.train.phases") / "smoke.toml"
    (tmp_path / "mine.toml").write_bytes(shipped.read_bytes().replace(b'"smoke"', b'"mine"', 1))
    assert load_phase(str(tmp_path / "mine.toml")).name == "mine"
    with pytest.raises(PhaseError, match=r"cannot read the phase .*other.toml: No such file"):
        load_phase(str(tmp_path / "other.toml"))


def test_an_unknown_phase_or_stage_is_an_error() -> None:
    with pytest.raises(PhaseError, match="known are embedded"):
        load_phase("nope")
    with pytest.raises(PhaseError, match="harvest, generate"):
        pipeline.stage_named("nope")


class Counting:
    """A stage that writes one file and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.inputs = {"x": "1"}

    def stage(self) -> Stage:
        return Stage("count", lambda _work: self.inputs, self.run)

    def run(self, work: Work) -> Outcome:
        self.runs += 1
        work.path("out.txt").write_text("made", encoding="utf-8")
        return Outcome(outputs=("out.txt",), figures={"runs": self.runs})


def run_counting(counting: Counting, folder: Path) -> int:
    phase = load_phase("embedded")
    pipeline.run_stage(counting.stage(), phase, folder, say=silent, done=silent)
    return counting.runs


def test_a_stage_runs_again_when_its_inputs_or_outputs_changed(tmp_path: Path) -> None:
    counting = Counting()
    assert run_counting(counting, tmp_path) == 1
    assert run_counting(counting, tmp_path) == 1
    counting.inputs = {"x": "2"}
    assert run_counting(counting, tmp_path) == 2
    (tmp_path / "out.txt").write_text("damaged", encoding="utf-8")
    assert run_counting(counting, tmp_path) == 3
    (tmp_path / "out.txt").unlink()
    assert run_counting(counting, tmp_path) == 4


def test_a_manifest_says_what_was_made_from_what(tmp_path: Path) -> None:
    run_counting(Counting(), tmp_path)
    seen = manifest.read(tmp_path / "count.manifest.json")
    assert seen is not None
    assert (seen.phase, seen.stage, seen.inputs) == ("embedded", "count", {"x": "1"})
    assert seen.outputs == {"out.txt": manifest.file_digest(tmp_path / "out.txt")}
    assert seen.figures == {"runs": 1}
    assert "mlx-lm" in seen.versions


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{", encoding="utf-8")
    with pytest.raises(TrainError, match=r"m\.json is damaged"):
        manifest.read(tmp_path / "m.json")


def test_a_stage_whose_inputs_are_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(PhaseError, match="run the stages before it"):
        pipeline.run_stage(
            pipeline.stage_named("generate"),
            load_phase("embedded"),
            tmp_path,
            say=silent,
            done=silent,
        )


def test_nothing_is_promoted_below_a_gate(tmp_path: Path) -> None:
    phase = load_phase("embedded")
    low = EvalReport(
        model=ModelSeen(spec="embedded", fingerprint="f"),
        n=200,
        tool_or_answer=rate(199, 200),
        tool=rate(150, 200),
        exact=rate(150, 200),
        failures=(),
    )
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(low))
    with pytest.raises(GateError, match=r"exact is 75\.0%"):
        promote(Work(phase, tmp_path, silent), tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_what_chose_the_checkpoint_is_told_apart_from_what_only_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = load_phase("embedded")
    assert (phase.evaluation.suite, phase.evaluation.reported) == (
        "embedded-dev",
        ("embedded-test", "plain"),
    )
    few = msgspec.structs.replace(phase.evaluation, cases=3)
    work = Work(msgspec.structs.replace(phase, evaluation=few), tmp_path / "run", silent)
    work.folder.mkdir()
    monkeypatch.setattr("punie.train.stages.fit.served", lambda _work: ("null", None))
    made = fit.evaluate(work)
    assert made.outputs == ("report.json", "report-embedded-test.json", "report-plain.json")
    assert made.figures["chose"] == "embedded-dev"
    assert list(made.figures["reported"]) == ["embedded-test", "plain"]
    assert made.figures["reported"]["plain"]["exact"]["value"] == 1.0
    entries = ledger.read(tmp_path / ledger.LEDGER)
    assert [(one.suite, one.chose) for one in entries] == [
        ("embedded-dev", True),
        ("embedded-test", False),
        ("plain", False),
    ]
    tracker = ledger.to_markdown(entries, phases={})
    assert "| embedded | null | `control-null` | yes | 3 |" in tracker
    assert "| embedded | null | `control-null` | no | 3 |" in tracker


def test_a_given_adapter_was_chosen_by_nothing_here() -> None:
    assert not fit.chose(load_phase("shipped"), "embedded-dev")


def test_an_entry_of_old_does_not_say_what_chose(tmp_path: Path) -> None:
    one = Entry(
        made="2026-11-25T04:00:00+00:00", phase="embedded", model="embedded", fingerprint="f",
        suite="embedded-dev", n=2, shares={"exact": rate(1, 2)}, seconds=1.0, commit="", machine="m",
    )  # fmt: skip
    old = msgspec.to_builtins(one)
    del old["chose"]
    (tmp_path / "ledger.jsonl").write_bytes(msgspec.json.encode(old) + b"\n")
    tracker = ledger.to_markdown(ledger.read(tmp_path / "ledger.jsonl"), phases={})
    assert "| embedded | embedded | `f` | - | 2 |" in tracker


def test_nothing_is_promoted_without_a_report(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="run the stage `evaluate` first"):
        promote(Work(load_phase("embedded"), tmp_path, silent), tmp_path / "adapter")


def test_data_are_stale_when_what_is_measured_on_changes(tmp_path: Path) -> None:
    """Else a wording of the other suite stays in the data."""
    phase = load_phase("learned")
    (tmp_path / "recorded.jsonl").write_bytes(b"")
    elsewhere = msgspec.structs.replace(phase.data, traces=None)
    phase = msgspec.structs.replace(phase, data=elsewhere)
    alone = msgspec.structs.replace(phase, replaces=None)
    evaluation = msgspec.structs.replace(phase.evaluation, suite="misbehaving")
    other = msgspec.structs.replace(alone, evaluation=evaluation)
    inputs = pipeline.stage_named("generate").inputs
    suites_of = [inputs(Work(one, tmp_path, silent))["suites"] for one in (phase, alone, other)]
    assert suites_of[0] != suites_of[1] != suites_of[2]


def test_no_wording_of_a_suite_that_decides_about_promotion_is_learnt() -> None:
    phase = load_phase("learned")
    assert phase.replaces is not None
    apart = {one.prompt for one in wordings(phase)}
    for name in {*phase.replaces.suites} & {*suites()}:
        assert {case.prompt for case in suite(name)} <= apart
