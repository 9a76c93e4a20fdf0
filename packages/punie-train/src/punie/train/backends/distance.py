"""How far one model is from another, token by token: what rounding has moved."""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from punie.train.backends.loss import SCORED, collate, trained_logits
from punie.train.data.tokens import Tokens


def divergence(model: Any, other: Any, cases: Sequence[Tokens]) -> float:
    """Tell how far another model's distributions are from this one's.

    Args:
        model: The one that is taken as right.
        other: Of the same tokens.
        cases: The ids that count are those with a weight.

    Returns:
        Kullback-Leibler divergence, nats, mean over the ids that count.
    """
    total, count = 0.0, 0
    for start in range(0, len(cases), SCORED):
        batch = collate(cases[start : start + SCORED])
        for (_, ours), (_, theirs) in zip(
            trained_logits(model, batch), trained_logits(other, batch), strict=True
        ):
            p, q = (_log_softmax(np.array(logits)) for logits in (ours, theirs))
            total += float((np.exp(p) * (p - q)).sum())
        count += batch.targets.size
    return total / count


def _log_softmax(logits: Any) -> Any:
    above = logits - logits.max(axis=-1, keepdims=True)
    return above - np.log(np.exp(above).sum(axis=-1, keepdims=True))
