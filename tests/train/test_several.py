"""Two processes that `mlx.launch` starts train as one does."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from punie.agent.models.embedded.blas import preload_fast_blas

preload_fast_blas()

import mlx.core as mx  # noqa: E402, TID251

SCRIPT = """
import sys
from pathlib import Path
from punie.agent.models.embedded.blas import preload_fast_blas
preload_fast_blas()
import mlx.core as mx
from mlx.utils import tree_flatten
from punie.train.backends import mlx
from punie.train.backends.checkpoints import Checkpoints
from punie.train.backends.loss import collate, loss_and_gradient
from punie.train.backends.several import Machines
from punie.train.data.tokens import Tokens
from punie.train.errors import TrainError
from punie.train.phases.spec import LoraSpec, Schedule

tiny, out = Path(sys.argv[1]), Path(sys.argv[2])
machines = Machines()
out = out / f"{machines.rank} of {machines.size}"
out.mkdir(parents=True)
rows = [
    Tokens(
        ids=tuple((5 * i + j * j) % 90 + 3 for j in range(20 + i)),
        weights=(0.0,) * (9 + i) + (1.0, 0.5) * 5 + (1.0,),
    )
    for i in range(5)
]
model = mlx.load(tiny)
mlx.add_lora(model, LoraSpec(rank=4), seed=0)
loss, gradient = machines.gradient(lambda part: loss_and_gradient(model, collate(part)), rows)
mx.save_safetensors(str(out / "gradient.safetensors"), {"loss": loss, **dict(tree_flatten(gradient))})
mlx.train(
    model, rows, schedule=Schedule(steps=3, warmup=1, batch_size=3, checkpoint=3),
    checkpoints=Checkpoints(out / "checkpoints", key="k"), score=lambda _: 0.0,
    report=lambda _: None,
)
mlx.save_adapter(model, out, LoraSpec(rank=4))

def agree(name, rows=rows):
    try:
        machines.agree(rows, 0, model)
    except TrainError as error:
        (out / name).write_text(str(error))

agree("alike")
agree("other examples", rows[machines.rank :])
agree("other targets", [
    Tokens(ids=row.ids, weights=(*row.weights[:-1], 1.0 + machines.rank)) for row in rows
])
# One number of the frozen base, changed by one part in a thousand.
norm = model.model.norm
norm.weight = norm.weight + mx.array([0.001 * machines.rank] + [0.0] * (norm.weight.size - 1))
agree("other weights")
"""


def run_here(tiny: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one process makes."""
    monkeypatch.setattr(sys, "argv", ["script", str(tiny), str(folder)])
    exec(SCRIPT, {})


def launch(tiny: Path, folder: Path) -> None:
    """Two processes on this machine over the ring back end: sockets, as between two machines."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [Path(sys.executable).with_name("mlx.launch"), "-n", "2", "--backend", "ring"]
    done = subprocess.run(
        [*start, "--starting-port", str(port), "--", sys.executable, script, tiny, folder],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def differ(one: Path, other: Path, name: str) -> float:
    """The largest difference of two files of arrays, relative to the largest number."""
    ours, theirs = (mx.load(str(folder / name)) for folder in (one, other))
    assert ours.keys() == theirs.keys()
    largest = max(mx.abs(array).max().item() for array in ours.values())
    return max(mx.abs(ours[n] - theirs[n]).max().item() for n in ours) / largest


@pytest.mark.timeout(180)
def test_two_processes_have_the_gradient_of_one_and_end_with_the_same_adapter(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(tiny, tmp_path, monkeypatch)
    launch(tiny, tmp_path)
    first, second, alone = (tmp_path / name for name in ("0 of 2", "1 of 2", "0 of 1"))
    assert differ(first, alone, "gradient.safetensors") < 1e-5
    weights = "adapters.safetensors"
    assert (first / weights).read_bytes() == (second / weights).read_bytes()
    assert differ(first, alone, weights) < 1e-3
    # Machines that differ stop, all of them; one alone has nobody to differ from.
    for refused, what in (
        ("other examples", "examples"),
        ("other targets", "examples"),
        ("other weights", "weights"),
    ):
        for folder in (first, second):
            assert f"differ in their {what}:" in (folder / refused).read_text()
        assert not (alone / refused).exists()
    assert not [folder for folder in (first, second, alone) if (folder / "alike").exists()]
