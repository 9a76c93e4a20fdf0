"""LoRA training on MLX.

Model and LoRA layers are mlx-lm's; loss and batching are our own (`loss`, `base`). Call
`punie.agent.models.embedded.blas.preload_fast_blas` before this module is imported: a fast BLAS must
be there when mlx loads.
"""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false

from __future__ import annotations

import ctypes
import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from punie.train.backends import adapters, weights
from punie.train.backends.adapters import CONFIG, WEIGHTS
from punie.train.backends.base import NanLossError, Progress, batches, shared_prefix
from punie.train.backends.checkpoints import Checkpoints, State
from punie.train.backends.loss import collate, loss_and_gradient
from punie.train.backends.several import Machines
from punie.train.data.tokens import Tokens
from punie.train.errors import TrainError
from punie.train.phases.spec import LoraSpec, Schedule

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENAS = -3, -1, -8
"""Names of glibc's `mallopt` options, from <malloc.h>."""


def keep_memory() -> None:
    """Tell glibc to keep freed memory instead of returning it to the system between steps.

    Faulting pages in anew took half of the time of a step. Elsewhere than on glibc: nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    largest = 32 << 20  # glibc accepts no higher threshold
    for option, value in ((_MMAP_THRESHOLD, largest), (_TRIM_THRESHOLD, 2**31 - 1), (_ARENAS, 1)):
        libc.mallopt(option, value)


def load(folder: Path) -> Any:
    """Open the base model in float32 on a CPU, as it is on Metal.

    Raises:
        TrainError: It is damaged.
    """
    from mlx_lm.utils import load_model

    try:
        model, _ = load_model(folder)
    except weights.DAMAGED as error:
        raise TrainError(
            f"{folder} cannot be loaded: {error}; fetch or make that model again"
        ) from error
    if not mx.metal.is_available():
        model.set_dtype(mx.float32)
    return model


def add_lora(model: Any, spec: LoraSpec, *, seed: int) -> int:
    """Freeze the model and put low-rank matrices beside its projections.

    Returns:
        Trainable parameters.
    """
    mx.random.seed(seed)
    model.freeze()
    layers = spec.layers if spec.layers > 0 else len(model.layers)
    linear_to_lora_layers(model, layers, adapters.parameters(spec))
    matrices: list[Any] = [array for _, array in tree_flatten(model.trainable_parameters())]
    return sum(matrix.size for matrix in matrices)


def rate(schedule: Schedule) -> Callable[[Any], Any]:
    """Build the learning rate: linear warm-up, then a cosine down to a twentieth."""
    warm = optim.linear_schedule(schedule.lr / 100, schedule.lr, max(1, schedule.warmup))
    rest = max(1, schedule.steps - schedule.warmup)
    cosine = optim.cosine_decay(schedule.lr, rest, schedule.lr / 20)
    return optim.join_schedules([warm, cosine], [schedule.warmup])


def train(
    model: Any,
    rows: Sequence[Tokens],
    *,
    schedule: Schedule,
    checkpoints: Checkpoints,
    score: Callable[[Any], float],
    report: Callable[[Progress], None],
) -> State:
    """Train the LoRA matrices of `model` in place; it ends with those that scored best.

    Args:
        model: With LoRA layers.
        rows: All examples.
        schedule: Steps, rate, batch limits.
        checkpoints: Where states are kept, and from where an interrupted run goes on.
        score: Judges the model at each checkpoint, higher is better. Loss does not decide: it goes on
            falling while calls get worse.
        report: Called once per step.

    Returns:
        The course of the whole run: losses and scores.

    Raises:
        NanLossError: The loss left the numbers; nothing was saved since the last checkpoint.
    """
    optimizer = optim.Adam(learning_rate=rate(schedule))

    def gradient_of(part: Sequence[Tokens]) -> tuple[Any, Any]:
        return loss_and_gradient(model, collate(part))

    done, losses, scores = checkpoints.restore(model, optimizer)
    machines = Machines()
    machines.agree(rows, done, model)
    examples = 0
    start = time.monotonic()
    for step, group in enumerate(_steps(rows, schedule), 1):
        if step <= done:
            continue
        loss, gradient = machines.gradient(gradient_of, [rows[i] for i in group])
        gradient, _ = optim.clip_grad_norm(gradient, schedule.clip)
        optimizer.update(model, gradient)
        mx.eval(loss, model.trainable_parameters(), optimizer.state)
        losses.append(_number(loss))
        if not math.isfinite(losses[-1]):
            raise NanLossError(step, losses[-1])
        examples += len(group)
        report(
            Progress(
                step=step,
                steps=schedule.steps,
                resumed=done,
                loss=losses[-1],
                lr=_number(optimizer.learning_rate),
                seconds=time.monotonic() - start,
                examples=examples,
            )
        )
        if step % schedule.checkpoint == 0 or step == schedule.steps:
            scores.append(score(model))
            checkpoints.save(model, optimizer, State(step, losses, scores))
    checkpoints.load_best(model)
    return State(schedule.steps, losses, scores)


def _number(scalar: Any) -> float:
    return float(scalar.item())


def _steps(rows: Sequence[Tokens], schedule: Schedule) -> Iterator[list[int]]:
    prefix = shared_prefix(rows)
    lengths = [len(row.ids) - prefix for row in rows]
    kinds = [row.kind for row in rows]
    step, epoch = 0, 0
    while step < schedule.steps:
        for group in batches(lengths, kinds, schedule=schedule, epoch=epoch):
            if step == schedule.steps:
                return
            yield group
            step += 1
        epoch += 1


def save_adapter(model: Any, folder: Path, spec: LoraSpec) -> None:
    """Write the LoRA matrices and their configuration as mlx-lm reads them, each file in one step.

    Args:
        model: With LoRA layers.
        folder: Made when it is missing.
        spec: What `add_lora` was given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights.save(dict(tree_flatten(model.trainable_parameters())), folder / WEIGHTS)
    config = adapters.config(model, spec)
    partial = folder / f"partial-{CONFIG}"
    partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    Path(partial).replace(folder / CONFIG)


def halve(source: Path, target: Path) -> None:
    """Copy an adapter with its matrices in float16: half the size, for shipping."""
    matrices = mx.load(str(source / WEIGHTS))
    assert isinstance(matrices, dict)
    target.mkdir(parents=True, exist_ok=True)
    halved = {name: array.astype(mx.float16) for name, array in matrices.items()}
    weights.save(halved, target / WEIGHTS)
    shutil.copyfile(source / CONFIG, target / CONFIG)
