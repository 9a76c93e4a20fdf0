"""What a training back end takes and gives, without any array library.

`batches` is here because it is plain arithmetic on lengths. Nothing here imports mlx.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from msgspec import Struct

from punie.train.data.tokens import Tokens
from punie.train.errors import TrainError
from punie.train.phases.spec import Schedule


class NanLossError(TrainError):
    """The loss is no number any more; the weights of the last checkpoint are still good."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(
            f"the loss is {loss} at step {step}: lower `lr` or raise `warmup` in the phase file"
        )
        self.step = step
        self.loss = loss


class Progress(Struct, frozen=True, kw_only=True):
    """Where a run stands, once per step."""

    step: int
    steps: int
    resumed: int = 0
    """Steps that an earlier run had done."""
    loss: float
    lr: float
    seconds: float
    """Since the start."""
    examples: int
    """Since the start."""

    @property
    def seconds_left(self) -> float:
        """Estimate from the average so far."""
        return self.seconds / (self.step - self.resumed) * (self.steps - self.step)


def batches(
    lengths: Sequence[int], kinds: Sequence[str], *, schedule: Schedule, epoch: int
) -> list[list[int]]:
    """Group examples of like length, every kind in every batch, in an order that a seed decides.

    Sorting all by length alone puts short answers in one batch and calls in another; the loss then
    swings between "always call" and "never call". So examples are sorted within their kind, and a
    batch takes the same percentile of each.

    Args:
        lengths: Tokens of each example beyond the shared prefix.
        kinds: What each example teaches.
        schedule: Limits of a batch, and the seed.
        epoch: Changes who shares a batch and the order of batches.

    Returns:
        Indices into `lengths`, each exactly once.
    """
    rng = random.Random(f"{schedule.seed}/{epoch}")
    places: list[tuple[str, float, int]] = []
    for kind in sorted(set(kinds)):
        pool = kind.rpartition("/")[0]
        own = [i for i, other in enumerate(kinds) if other == kind]
        own.sort(key=lambda i: (lengths[i] // 4, rng.random()))
        places.extend((pool, (rank + rng.random()) / len(own), i) for rank, i in enumerate(own))
    places.sort()
    groups: list[list[int]] = []
    longest, open_pool = 0, None
    for pool, _, index in places:
        longest = max(longest, lengths[index])
        room = groups and open_pool == pool and len(groups[-1]) < schedule.batch_size
        if room and longest * (len(groups[-1]) + 1) <= schedule.batch_tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
            longest, open_pool = lengths[index], pool
    rng.shuffle(groups)
    return groups


def shared_prefix(rows: Sequence[Tokens]) -> int:
    """Count the leading ids that all rows share and none of them trains on.

    At least one id of each row stays outside, and the last shared id never predicts a target.

    Example:
        >>> a = Tokens(ids=(1, 2, 3, 4), weights=(0, 0, 0, 1))
        >>> b = Tokens(ids=(1, 2, 9, 4), weights=(0, 0, 0, 1))
        >>> shared_prefix([a, b])
        2
    """
    first = rows[0].ids
    limit = min(trained_from(row) for row in rows) - 1
    count = 0
    while count < limit and all(row.ids[count] == first[count] for row in rows):
        count += 1
    return count


def trained_from(row: Tokens) -> int:
    """Give the position of the first id that counts."""
    return next(i for i, weight in enumerate(row.weights) if weight)
