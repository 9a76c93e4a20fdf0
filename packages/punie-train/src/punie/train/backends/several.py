"""Training on several machines at once: each takes its part of every batch, and the gradients are summed.

`mlx.launch` starts one process per machine; without it there is one and nothing is sent. Every process has all
the examples, takes every step and keeps its own files, so that all of them end with the same adapter; what they
exchange is the gradient of the LoRA matrices, some megabytes a step.
"""

# mlx ships no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map

from punie.train.data.tokens import Tokens
from punie.train.errors import TrainError


class Machines:
    """The processes that train together."""

    def __init__(self) -> None:
        self._group = mx.distributed.init()
        self.rank: int = self._group.rank()
        self.size: int = self._group.size()

    def agree(self, rows: Sequence[Tokens], done: int, model: nn.Module) -> None:
        """Make sure that all have the same examples and weights, and stand at the same step.

        Args:
            rows: All examples.
            done: Steps that an earlier run has taken.
            model: What is trained: its base, and the matrices it starts with.

        Raises:
            TrainError: They do not; the message says what differs, on every machine the same.
        """
        if self.size == 1:
            return
        seen = {
            "examples": zlib.crc32(repr([(row.ids, row.weights) for row in rows]).encode()),
            "weights": _checksum(model),
            "last checkpoint": done,
        }
        # Halves: a ring sums and gathers 32 bits with a sign.
        mine = mx.array([[part >> 16, part & 0xFFFF] for part in seen.values()], dtype=mx.int32)
        told: Any = mx.distributed.all_gather(mine[None], group=self._group).tolist()
        differing = [
            name for number, name in enumerate(seen) if len({(*one[number],) for one in told}) > 1
        ]
        if differing:
            raise TrainError(
                f"the machines differ in their {' and '.join(differing)}: copy the folder of the run, "
                "and the base model, from one machine to all others"
            )

    def gradient(
        self,
        gradient_of: Callable[[Sequence[Tokens]], tuple[Any, Any]],
        rows: Sequence[Tokens],
    ) -> tuple[Any, Any]:
        """Compute loss and gradient of a batch together: the same as one machine would.

        Args:
            gradient_of: Gives the weighted mean loss of some rows, and its gradient.
            rows: The whole batch.

        Returns:
            Loss and gradient of the whole batch, on every machine.
        """
        if self.size == 1:
            return gradient_of(rows)
        own = rows[self.rank :: self.size]
        # A mean over all tokens is no mean of means: each part counts as its weights do.
        part = _weight(own) / _weight(rows)
        loss, gradient = gradient_of(own or rows)  # with too few rows some only lend a shape
        # One message for all matrices: `average_gradients` joins them, and divides by the processes.
        scaled = tree_map(functools.partial(mx.multiply, part * self.size), gradient)
        return (
            mx.distributed.all_sum(part * loss, group=self._group),
            nn.average_gradients(scaled, self._group),
        )


def _weight(rows: Sequence[Tokens]) -> float:
    return sum(sum(row.weights) for row in rows)


def _checksum(model: nn.Module) -> int:
    """Sum up every weight of a model, bit for bit."""
    arrays: Any = tree_flatten(model.parameters())
    total = 0
    for name, array in sorted(arrays):
        shape = f"{name} {array.dtype} {array.shape}"
        total = zlib.crc32(shape.encode(), total)
        total = zlib.crc32(memoryview(array.reshape(-1).view(mx.uint8)), total)
    return total
