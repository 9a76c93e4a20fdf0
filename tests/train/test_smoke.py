"""The whole pipeline on random weights, as a person runs it: to the end, twice, and killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from punie.train.errors import PhaseError
from punie.train.phases import load_phase
from punie.train.phases.spec import Serving
from punie.train.rounding import Roundings
from punie.train.stages.bases import base_folder

PROGRAM = "from punie.train.cli import main; main()"
STAGES = ["harvest", "generate", "validate", "train", "fuse", "quantize", "export", "evaluate"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *arguments]


def punie_train(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, check=False)


def artefacts(folder: Path) -> dict[str, bytes]:
    """What a run leaves but for manifests, which tell the time, and what tools returned."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("manifest.json")
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the phase ran once."""
    folder = tmp_path_factory.mktemp("smoke")
    run = punie_train("run", "smoke", cwd=folder)
    assert run.returncode == 0, run.stderr
    return folder


def test_every_stage_runs_and_says_so(done: Path) -> None:
    status = punie_train("status", "smoke", cwd=done)
    lines = [line.split() for line in status.stdout.splitlines()]
    assert [line[0] for line in lines] == STAGES
    assert {line[1] for line in lines} == {"current:"}


def test_a_second_run_does_nothing(done: Path) -> None:
    before = artefacts(done)
    run = punie_train("run", "smoke", cwd=done)
    assert run.stderr.splitlines() == [f"{stage}: unchanged" for stage in STAGES]
    assert artefacts(done) == before


def test_the_ledger_names_what_answered_and_the_tracker_shows_it(done: Path) -> None:
    entry = json.loads((done / "runs/ledger.jsonl").read_text())
    report = json.loads((done / "runs/smoke/report.json").read_text())
    spec = (done / "runs/smoke/quantized/punie.toml").read_text()
    assert entry["fingerprint"] == report["model"]["fingerprint"]
    assert f'fingerprint = "{entry["fingerprint"]}"' in spec
    assert (entry["phase"], entry["suite"], entry["n"]) == ("smoke", "embedded-dev", 6)
    assert punie_train("report", cwd=done).returncode == 0
    tracker = (done / "MODEL_PERFORMANCE_TRACKER.md").read_text()
    assert entry["fingerprint"][:12] in tracker
    missing = tracker.partition("## Not evaluated yet")[2]
    assert "`phase8`: Qwen3-Coder 30B-A3B" in missing
    assert "`smoke`" not in missing


def test_each_number_of_bits_is_set_against_the_unrounded_model(done: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(done, mine)  # `done` is compared with other runs
    before = set(artefacts(mine))
    bits = punie_train(
        "bits", "smoke", "--bits", "8", "--bits", "3", "--group-size", "32", cwd=mine
    )
    assert bits.returncode == 0, bits.stderr
    report = msgspec.json.decode((mine / "runs/smoke/bits.json").read_bytes(), type=Roundings)
    fine, coarse = report.models
    assert (report.n, report.compared, fine.bits, coarse.bits) == (150, 150, 8, 3)
    assert 0 < fine.kl < coarse.kl
    assert fine.size > coarse.size
    assert fine.bits_per_weight - coarse.bits_per_weight == pytest.approx(5, abs=0.1)
    assert [line.split(" | ")[0] for line in bits.stdout.splitlines()[2:5]] == [
        "| 16",
        "| 8",
        "| 3",
    ]
    assert set(artefacts(mine)) - before == {"runs/smoke/bits.json"}


def test_bits_of_what_is_not_trained_yet_is_an_error(tmp_path: Path) -> None:
    bits = punie_train("bits", "smoke", cwd=tmp_path)
    assert bits.returncode == 1
    assert "punie-train run smoke" in bits.stderr


def test_what_was_made_can_be_timed(done: Path) -> None:
    bench = punie_train("bench", "smoke", "--rounds", "6", "--new", "4", "--json", cwd=done)
    forms = {form["name"]: form for form in json.loads(bench.stdout)}
    assert {"adapter", "fused", "quantized"} <= forms.keys()
    assert forms["fused"]["against_fused"] == {"value": 1.0, "ci95": [1.0, 1.0]}
    assert all(form["prompt"]["ci95"][0] > 0 for form in forms.values())


UNDERWAY = {
    "train": "checkpoints/4",
    "fuse": "partial-fused",
    "quantize": "partial-quantized",
    "export": "gguf",
}
"""What is there in the middle of a stage; the others are killed as they begin."""
ATTEMPTS = 20
"""A stage may be over before it is killed; then it is tried again."""


def made_before(stage: str, done: Path, run: Path) -> None:
    """Put there what the stages before one made: it is the first that is not done."""
    (run / "base").parent.mkdir(parents=True)
    shutil.copytree(done / "base", run / "base")
    for name in STAGES[: STAGES.index(stage)]:
        manifest = f"{name}.manifest.json"
        for output in (manifest, *json.loads((done / manifest).read_bytes())["outputs"]):
            (run / output).parent.mkdir(exist_ok=True)
            shutil.copyfile(done / output, run / output)


def kill_in(stage: str, run: Path) -> None:
    """Run the phase, and kill it in a stage."""
    process = subprocess.Popen(
        command("run", "smoke"), cwd=run.parents[1], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"{STAGES[STAGES.index(stage) - 1]}: unchanged"):
            break
    while stage in UNDERWAY and not (run / UNDERWAY[stage]).exists() and process.poll() is None:
        pass  # a stage on so small a model is over within milliseconds: no time to sleep
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("stage", STAGES[1:])
def test_killed_in_any_stage_it_resumes_to_the_same_bytes(
    done: Path, tmp_path: Path, stage: str
) -> None:
    """What tools returned tells durations, so both runs have the same results of `harvest`."""
    run = tmp_path / "runs/smoke"
    for _ in range(ATTEMPTS):
        shutil.rmtree(run.parent, ignore_errors=True)
        made_before(stage, done / "runs/smoke", run)
        kill_in(stage, run)
        if not (run / f"{stage}.manifest.json").exists():
            break
    assert not (run / f"{stage}.manifest.json").exists()
    again = punie_train("run", "smoke", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    expected, actual = artefacts(done / "runs/smoke"), artefacts(run)
    after_training = STAGES.index(stage) > STAGES.index("train")
    kept = {n for n in expected if not (after_training and n.startswith("checkpoints/"))}
    assert actual.keys() == kept
    # The report names the folder it was made in.
    assert [n for n in kept if actual[n] != expected[n] and n != "report.json"] == []


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_while_tools_run_it_keeps_no_half_of_their_results(tmp_path: Path) -> None:
    process = subprocess.Popen(command("run", "smoke"), cwd=tmp_path, stderr=subprocess.PIPE)
    run = tmp_path / "runs/smoke"
    while not run.exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (run / "recorded.jsonl").exists()
    again = punie_train("stage", "harvest", "smoke", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    status = punie_train("status", "smoke", cwd=tmp_path)
    assert status.stdout.splitlines()[0].split()[:2] == ["harvest", "current:"]


def test_a_dry_run_makes_the_data_and_says_what_the_rest_takes(tmp_path: Path) -> None:
    run = punie_train("run", "smoke", "--dry-run", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "examples   40, 12 of them without a tool" in run.stdout
    assert "mlx_lm.server --model runs/smoke/quantized --port 8080" in run.stdout
    assert "memory     about" in run.stdout
    assert not (tmp_path / "runs/smoke/adapter").exists()


def test_what_is_compared_must_have_been_evaluated(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    run = punie_train("compare", "runs", "runs", cwd=tmp_path)
    assert run.returncode == 1
    assert "run the stage `evaluate` first" in run.stderr


def test_a_tracker_without_a_ledger_says_that_nothing_was_evaluated(tmp_path: Path) -> None:
    run = punie_train("report", cwd=tmp_path)
    assert run.returncode == 1
    assert "nothing has been evaluated" in run.stderr


def test_a_base_that_is_not_here_names_the_command_that_brings_it(tmp_path: Path) -> None:
    phase = msgspec.structs.replace(
        load_phase("smoke"),
        base="nobody/nothing-4bit",
        serving=Serving(instructions="x"),
        shape=load_phase("phase5").shape,
    )
    with pytest.raises(PhaseError, match="hf download nobody/nothing-4bit"):
        base_folder(phase, tmp_path)
