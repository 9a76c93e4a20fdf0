"""The loss of a batch, and the score of held-out cases, on MLX.

Most of the stock work is thrown away on short tool-calling examples:

- logits are computed at trained positions only, not for a whole prompt times 49k words;
- the system prompt and tool list that all examples share go through the model once per batch, and
  their keys and values are broadcast to every row (exact: gradients flow through them).

`plain_loss` is the same sum without any of this; a test holds the gradients of both together.
"""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import msgspec

from punie.train.backends import llama
from punie.train.backends.base import shared_prefix
from punie.train.data.tokens import DIRECT, Tokens

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


def loss_and_gradient(model: Any, batch: Batch) -> tuple[Any, dict[str, Any]]:
    """Compute the weighted mean cross entropy of a batch, and its gradient by what is trainable."""
    if llama.fits(model):
        loss_of = partial(_weighted, model, batch)
        return llama.loss_and_gradient(model, batch.prefix, batch.ids, loss_of)
    return nn.value_and_grad(model, batch_loss)(model, batch)


def batch_loss(model: Any, batch: Batch) -> Any:
    """Compute the weighted mean cross entropy of a batch, the shared prefix computed once."""
    return _weighted(model, batch, _hidden(model, batch))


def _hidden(model: Any, batch: Batch) -> Any:
    return (llama.hidden if llama.fits(model) else stock_hidden)(model, batch.prefix, batch.ids)


def _weighted(model: Any, batch: Batch, hidden: Any) -> Any:
    cross_entropy = llama.cross_entropy if llama.fits(model) else nn.losses.cross_entropy
    total = mx.array(0.0)
    for part, logits in _logits_of(model, batch, hidden):
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
    return _logits_of(model, batch, _hidden(model, batch))


def _logits_of(model: Any, batch: Batch, hidden: Any) -> Iterator[tuple[slice, Any]]:
    picked = hidden.reshape(-1, hidden.shape[-1])[batch.where]
    for start in range(0, picked.shape[0], LOGITS):
        part = slice(start, start + LOGITS)
        yield part, _logits(model, picked[part])


def share_right(model: Any, cases: Sequence[Tokens]) -> float:
    """Score a model on held-out cases as `right` does; the share, 0 to 1."""
    return sum(right(model, cases)) / len(cases)


def right(model: Any, cases: Sequence[Tokens]) -> list[bool]:
    """Tell of each held-out case, without generating, whether greedy decoding would say exactly this.

    That every id is the likeliest after the right ones before it is the same as that generation
    from the prompt, unconstrained and at temperature 0, gives these ids.

    Args:
        model: In whatever state of training.
        cases: The expected call after its prompt. A case of kind `DIRECT` ends with the first id of a
            call and is right when that is *not* the likeliest.

    Returns:
        In the order of the cases.
    """
    found = [False] * len(cases)
    by_length = sorted(range(len(cases)), key=lambda number: len(cases[number].ids))
    for start in range(0, len(by_length), SCORED):
        numbers = by_length[start : start + SCORED]
        batch = collate([cases[number] for number in numbers])
        guesses: list[int] = []
        for _, logits in trained_logits(model, batch):
            guesses += logits.argmax(-1).tolist()
        row_of = (batch.where // batch.ids.shape[1]).tolist()
        wrong = {
            row
            for row, guess, target in zip(row_of, guesses, batch.targets.tolist(), strict=True)
            if guess != target
        }
        for row, number in enumerate(numbers):
            found[number] = (row in wrong) == (cases[number].kind == DIRECT)
    return found


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
