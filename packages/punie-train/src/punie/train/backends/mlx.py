"""LoRA training on MLX.

Model and LoRA layers are mlx-lm's; loss and batching are our own, because most of the stock work is
thrown away on short tool-calling examples:

- logits are computed at trained positions only, not for a whole prompt times 49k words;
- the system prompt and tool list that all examples share go through the model once per batch, and
  their keys and values are broadcast to every row (exact: gradients flow through them);
- examples of like length share a batch, so that little is padded.

`plain_loss` is the same sum without any of this; a test holds the gradients of both together.
Call `punie.agent.models.embedded.blas.preload_fast_blas` before this module is imported: a fast
BLAS must be there when mlx loads.
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
import mlx.nn as nn
import mlx.optimizers as optim
import msgspec
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from punie.train.backends import adapters, llama
from punie.train.backends.adapters import CONFIG, WEIGHTS
from punie.train.backends.base import NanLossError, Progress, batches, shared_prefix
from punie.train.backends.checkpoints import Checkpoints, State
from punie.train.backends.several import Machines
from punie.train.data.tokens import DIRECT, Tokens
from punie.train.phases.spec import LoraSpec, Schedule

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENAS = -3, -1, -8
"""Names of glibc's `mallopt` options, from <malloc.h>."""
PAD_TO = 8
"""Rows are padded to a multiple of this, tokens: fewer distinct shapes."""
LOGITS = 96
"""Positions whose logits are held in one array: 96 x 49k float32 are 19 MB, which the allocator
keeps for the next step; a larger array is mapped anew each time, and faulting its pages in takes
as long as the arithmetic."""


SCORED = 16
"""Held-out cases that are scored at once."""


class _Keys:
    """Stands where mlx-lm expects a cache of one layer, and keeps gradients.

    Without a prefix it records the keys and values that pass by; with one it puts them in front.
    Shapes `[b x heads x s x d]`: batch, key-value heads, positions, head size.
    """

    def __init__(self, prefix: tuple[Any, Any] | None = None) -> None:
        self.prefix = prefix
        self.seen: tuple[Any, Any] | None = None
        self.offset = 0 if prefix is None else prefix[0].shape[2]

    def update_and_fetch(self, keys: Any, values: Any) -> tuple[Any, Any]:
        self.seen = (keys, values)
        if self.prefix is None:
            return keys, values
        return tuple(
            mx.concatenate([mx.broadcast_to(old, (new.shape[0], *old.shape[1:])), new], axis=2)
            for old, new in zip(self.prefix, (keys, values), strict=True)
        )  # pyright: ignore[reportReturnType]

    def make_mask(self, n: int, **_: object) -> Any:
        rows = mx.arange(self.offset, self.offset + n)[:, None]
        return rows >= mx.arange(self.offset + n)[None]


class Batch(msgspec.Struct, frozen=True):
    """Arrays of one step."""

    prefix: Any
    """`[p]`: ids that all rows share; may be empty."""
    ids: Any
    """`[b x s]`: the rest of each row, padded at the end."""
    where: Any
    """`[t]`: flat positions in `[b x s]` whose next id counts."""
    targets: Any
    """`[t]`: that next id."""
    weights: Any
    """`[t]`, float32."""


def collate(rows: Sequence[Tokens]) -> Batch:
    """Turn rows into arrays, with the prefix that all share split off."""
    p = shared_prefix(rows)
    longest = max(len(row.ids) for row in rows) - p
    s = math.ceil(longest / PAD_TO) * PAD_TO
    ids = [[*row.ids[p:], *[0] * (s - len(row.ids) + p)] for row in rows]
    found = [
        (r * s + position - 1 - p, row.ids[position], weight)
        for r, row in enumerate(rows)
        for position, weight in enumerate(row.weights)
        if weight
    ]
    where, targets, weights = zip(*found, strict=True)
    return Batch(
        mx.array(rows[0].ids[:p], dtype=mx.int32),
        mx.array(ids, dtype=mx.int32),
        mx.array(where, dtype=mx.int32),
        mx.array(targets, dtype=mx.int32),
        mx.array(weights, dtype=mx.float32),
    )


def _logits(model: Any, hidden: Any) -> Any:
    if model.args.tie_word_embeddings:
        return model.model.embed_tokens.as_linear(hidden)
    return model.lm_head(hidden)


def batch_loss(model: Any, batch: Batch) -> Any:
    """Compute the weighted mean cross entropy of a batch, the shared prefix computed once."""
    cross_entropy = llama.cross_entropy if llama.fits(model) else nn.losses.cross_entropy
    total = mx.array(0.0)
    for part, logits in trained_logits(model, batch):
        entropy = cross_entropy(logits, batch.targets[part])
        total = total + (entropy * batch.weights[part]).sum()
    return total / batch.weights.sum()


def trained_logits(model: Any, batch: Batch) -> Iterator[tuple[slice, Any]]:
    """Run the model and give the logits of the positions that count, a part at a time.

    Args:
        model: Any mlx-lm model.
        batch: Its rows.

    Yields:
        Which of the batch's targets, and their logits, `[part x vocabulary]`.
    """
    forward = llama.hidden if llama.fits(model) else stock_hidden
    hidden = forward(model, batch.prefix, batch.ids)
    picked = hidden.reshape(-1, hidden.shape[-1])[batch.where]
    for start in range(0, picked.shape[0], LOGITS):
        part = slice(start, start + LOGITS)
        yield part, _logits(model, picked[part])


def share_right(model: Any, cases: Sequence[Tokens]) -> float:
    """Score a model on held-out cases without generating: would greedy decoding say exactly this?

    That every id is the likeliest after the right ones before it is the same as that generation
    from the prompt, unconstrained and at temperature 0, gives these ids.

    Args:
        model: In whatever state of training.
        cases: The expected call after its prompt. A case of kind `DIRECT` ends with the first id of a
            call and is right when that is *not* the likeliest.

    Returns:
        The share that is right, 0 to 1.
    """
    right = 0
    by_length = sorted(cases, key=lambda case: len(case.ids))
    for start in range(0, len(by_length), SCORED):
        rows = by_length[start : start + SCORED]
        batch = collate(rows)
        guesses: list[int] = []
        for _, logits in trained_logits(model, batch):
            guesses += logits.argmax(-1).tolist()
        row_of = (batch.where // batch.ids.shape[1]).tolist()
        wrong = {
            row
            for row, guess, target in zip(row_of, guesses, batch.targets.tolist(), strict=True)
            if guess != target
        }
        right += sum((row in wrong) == (case.kind == DIRECT) for row, case in enumerate(rows))
    return right / len(cases)


def stock_hidden(model: Any, prefix: Any, ids: Any) -> Any:
    """Run any mlx-lm model as `llama.hidden` does, by way of a cache that keeps gradients."""
    keys = [_Keys() for _ in model.layers]
    if prefix.size:
        model.model(prefix[None], cache=keys)
        keys = [_Keys(layer.seen) for layer in keys]
    return model.model(ids, cache=keys)


def plain_loss(model: Any, rows: Sequence[Tokens]) -> Any:
    """Compute the same mean the stock way: full rows, all logits. Slow; the yardstick of tests."""
    longest = max(len(row.ids) for row in rows)
    ids = mx.array([[*row.ids, *[0] * (longest - len(row.ids))] for row in rows])
    weights = mx.array([[*row.weights, *[0.0] * (longest - len(row.ids))] for row in rows])
    entropy = nn.losses.cross_entropy(model(ids[:, :-1]), ids[:, 1:])
    return (entropy * weights[:, 1:]).sum() / weights[:, 1:].sum()


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
    """Open the base model in float32 on a CPU, as it is on Metal."""
    from mlx_lm.utils import load_model

    model, _ = load_model(folder)
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
    loss_and_gradient = nn.value_and_grad(model, batch_loss)

    def gradient_of(part: Sequence[Tokens]) -> tuple[Any, Any]:
        return loss_and_gradient(model, collate(part))

    done, losses, scores = checkpoints.restore(model, optimizer)
    machines = Machines()
    machines.agree(rows, done)
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
    _save(dict(tree_flatten(model.trainable_parameters())), folder / WEIGHTS)
    config = adapters.config(model, spec)
    partial = folder / f"partial-{CONFIG}"
    partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    Path(partial).replace(folder / CONFIG)


def _save(weights: dict[str, Any], path: Path) -> None:
    partial = path.with_name(f"partial-{path.name}")
    mx.save_safetensors(str(partial), weights, metadata={"format": "mlx"})
    Path(partial).replace(path)


def halve(source: Path, target: Path) -> None:
    """Copy an adapter with its matrices in float16: half the size, for shipping."""
    weights = mx.load(str(source / WEIGHTS))
    assert isinstance(weights, dict)
    target.mkdir(parents=True, exist_ok=True)
    _save({name: array.astype(mx.float16) for name, array in weights.items()}, target / WEIGHTS)
    shutil.copyfile(source / CONFIG, target / CONFIG)
