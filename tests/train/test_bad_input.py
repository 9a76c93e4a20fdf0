"""What is missing, damaged or wrong stops with its cause and the way out, and leaves nothing that looks whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.agent.errors import PunieError
from punie.agent.testing.tiny_model import make_tiny_model
from punie.train import pipeline
from punie.train.data.dataset import Mix
from punie.train.data.generators import results
from punie.train.data.generators.results import Recorded
from punie.train.errors import TrainError
from punie.train.phases import load_phase
from punie.train.phases.spec import Evaluation, Phase, Serving, Shape

TOOLS = ("read_file", "search", "run_tests", "lint", "typecheck", "git_status")
MIX = Mix(calls=dict.fromkeys(TOOLS, 3), reports={}, direct=9, follow_ups=0.0)


def silent(_text: str) -> None:
    """Say nothing."""


def own(base: Path, **changes: Any) -> Phase:
    """Take the smoke phase, with a model folder as its base and less of everything."""
    smoke = load_phase("smoke")
    return msgspec.structs.replace(
        smoke,
        base=str(base),
        serving=Serving(
            instructions="Be Punie.", tools=tuple(f"{t}" for t in TOOLS), result_limit=600
        ),
        shape=Shape(parameters=1e5, bits=32, layers=2, hidden=32, vocabulary=400),
        max_tokens=8192,
        gguf=False,
        quantize=None,
        data=msgspec.structs.replace(smoke.data, mix=MIX),
        schedule=msgspec.structs.replace(smoke.schedule, steps=2, checkpoint=1, warmup=0),
        evaluation=Evaluation(suite="embedded-dev", cases=1),
        **changes,
    )


def run_stage(name: str, phase: Phase, folder: Path) -> None:
    stage = pipeline.stage_named(name)
    pipeline.run_stage(stage, phase, folder, say=silent, done=silent, force=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose data, training and merging went well, beside its base."""
    root = tmp_path_factory.mktemp("made")
    make_tiny_model(root / "model")
    (root / "run").mkdir()
    one = Recorded(
        tool="lint", arguments={"path": "."}, repository="r", headline="", rendered="", fields={}
    )
    results.save([one], root / "run/recorded.jsonl")
    for name in ("generate", "train", "fuse"):
        run_stage(name, own(root / "model"), root / "run")
    return root


def cut(name: str) -> Callable[[Path], None]:
    """Take away all of a file but its beginning, as an interrupted download does."""

    def act(root: Path) -> None:
        for path in root.glob(name):
            path.write_bytes(path.read_bytes()[:100])

    return act


def gone(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def written(name: str, text: str) -> Callable[[Path], Any]:
    return lambda root: (root / name).write_text(text)


def changed(name: str, **values: Any) -> Callable[[Path], None]:
    """Change keys of a JSON file; `None` takes one out."""

    def act(root: Path) -> None:
        path = root / name
        held = {**json.loads(path.read_text()), **values}
        path.write_text(json.dumps({k: v for k, v in held.items() if v is not None}))

    return act


def untrained(act: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Train from the beginning, with something broken."""

    def both(root: Path) -> None:
        shutil.rmtree(root / "run/checkpoints")
        act(root)

    return both


@pytest.mark.parametrize(
    ("broken", "stage", "says"),
    [
        (untrained(cut("model/model.safetensors")), "train", "cannot be loaded.*incomplete.*again"),
        (untrained(gone("model/model.safetensors")), "train", "No safetensors.*again"),
        (cut("model/model.safetensors"), "fuse", "cannot be loaded.*incomplete"),
        (cut("model/config.json"), "validate", "config.json.*belong to the model"),
        (cut("model/tokenizer.json"), "validate", "tokenizer cannot be read.*belong to the model"),
        (gone("model/tokenizer.json"), "validate", "tokenizer cannot be read.*belong to the model"),
        (changed("model/config.json", vocab_size=50), "validate", "the model knows 50 tokens"),
        (
            changed("model/tokenizer_config.json", chat_template=None),
            "validate",
            "no chat template",
        ),
        (changed("model/tokenizer_config.json", chat_template="{% if %}"), "validate", "template"),
        (written("run/examples.jsonl", ""), "validate", "is empty: run the stage `generate`"),
        (written("run/examples.jsonl", ""), "train", "is empty: run the stage `generate`"),
        (written("run/examples.jsonl", "{}\n"), "validate", "line 1.*run the stage `generate`"),
        (written("run/recorded.jsonl", "{}\n"), "generate", "line 1.*run the stage `harvest`"),
        (cut("run/adapter/adapters.safetensors"), "fuse", "does not fit.*incomplete"),
        (cut("run/fused/model.safetensors"), "evaluate", "cannot be loaded.*incomplete"),
        (cut("run/checkpoints/*/weights.safetensors"), "train", "damaged.*delete the folder"),
    ],
)
def test_what_is_damaged_stops_with_the_cause_and_the_way_out(
    made: Path, tmp_path: Path, broken: Callable[[Path], Any], stage: str, says: str
) -> None:
    root = tmp_path / "made"
    shutil.copytree(made, root)
    manifest = root / f"run/{stage}.manifest.json"
    manifest.unlink(missing_ok=True)
    broken(root)
    with pytest.raises((TrainError, PunieError), match=f"(?s){says}") as stopped:
        run_stage(stage, own(root / "model"), root / "run")
    assert stopped.value.exit_code in {1, 2, 3}
    assert not manifest.exists()
    assert not list((root / "run").glob("partial-*"))


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        (Mix(calls={}, reports={}, direct=0), "no examples"),
        (Mix(calls={}, reports={}, direct=20), "100% of the examples are direct answers"),
        (Mix(calls={"lint": 20}, reports={}, direct=0), "0% of the examples are direct answers"),
        (Mix(calls={"lint": 14}, reports={}, direct=6), "no example calls"),
    ],
)
def test_no_data_or_one_kind_alone_is_refused(
    made: Path, tmp_path: Path, mix: Mix, says: str
) -> None:
    shutil.copyfile(made / "run/recorded.jsonl", tmp_path / "recorded.jsonl")
    phase = own(made / "model")
    data = msgspec.structs.replace(phase.data, mix=mix)
    with pytest.raises(TrainError, match=says):
        run_stage("generate", msgspec.structs.replace(phase, data=data), tmp_path)
    assert not (tmp_path / "examples.jsonl").exists()


def test_a_loss_that_is_no_number_stops_and_the_last_good_state_stays(
    made: Path, tmp_path: Path
) -> None:
    root = tmp_path / "made"
    shutil.copytree(made, root)
    before = (root / "run/adapter/adapters.safetensors").read_bytes()
    phase = own(root / "model")
    wild = msgspec.structs.replace(phase.schedule, lr=1e30, steps=4)
    with pytest.raises(TrainError, match=r"the loss is nan at step .: lower `lr`"):
        run_stage("train", msgspec.structs.replace(phase, schedule=wild), root / "run")
    assert (root / "run/adapter/adapters.safetensors").read_bytes() == before


IN_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=SIZEk tmpfs "$1"
cp -r "$2"/. "$1"
set +e
"$3" -c "from punie.train.cli import main; main()" stage STAGE smoke --output "$1"; echo "code $?"
ls -R "$1"
echo AGAIN
mount -o remount,size=50m "$1"
"$3" -c "from punie.train.cli import main; main()" stage STAGE smoke --output "$1"; echo "code $?"
"""


def _can_mount() -> bool:
    script = "mount -t tmpfs -o size=100k tmpfs /mnt"
    try:
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", script], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="needs a file system of its own")
@pytest.mark.parametrize(
    ("stage", "left"), [("generate", "generate.manifest.json"), ("fuse", "fused")]
)
def test_a_full_disk_leaves_nothing_half_and_with_room_it_goes_on(
    made: Path, tmp_path: Path, stage: str, left: str
) -> None:
    source, disk = tmp_path / "source", tmp_path / "disk"
    source.mkdir()
    disk.mkdir()
    shutil.copyfile(made / "run/recorded.jsonl", source / "recorded.jsonl")
    if stage == "fuse":
        shutil.copytree(made / "model", source / "base")
        shutil.copytree(made / "run/adapter", source / "adapter")
    else:  # the mix of this phase has reports on lint
        one = results.load(source / "recorded.jsonl")[0]
        results.save(
            [msgspec.structs.replace(one, headline="no problems", fields={"findings": []})],
            source / "recorded.jsonl",
        )
    used = sum(-(-path.stat().st_size // 4096) + 1 for path in source.rglob("*")) * 4
    script = IN_A_SMALL_DISK.replace("SIZE", str(used + 12)).replace("STAGE", stage)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(disk), str(source), sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    full, _, again = done.stdout.partition("AGAIN")
    assert full.startswith("code 1"), done.stdout + done.stderr
    assert "make room on that disk, then run the same again" in done.stderr
    assert left not in full.split()
    assert f"{stage}.manifest.json" not in full.split()
    assert again.split() == ["code", "0"], done.stderr
