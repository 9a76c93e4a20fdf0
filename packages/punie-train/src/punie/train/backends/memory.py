"""How much memory a training will take, before it starts: arithmetic, no array library.

An estimate from above for LoRA without gradient checkpointing; what it leaves out (allocator, Python)
is small beside it. `benchmarks/train.py` prints what was really taken.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from punie.train.errors import TrainError
from punie.train.phases.spec import LoraSpec, Schedule, Shape

_ACTIVATIONS = 34
"""Bytes that one layer keeps for the backward pass, per token and hidden unit, in half precision,
attention scores left out.

Source: Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
section 4.1.
"""
_LORA_WIDTH = 23
"""Sum of inputs and outputs of the seven projections of a layer, in hidden sizes: four of attention
at most 2 each, three of an inner layer of at most 4 hidden sizes, 5 each."""
_LORA_BYTES = 16
"""Bytes of a trained weight: itself, its gradient, two moments of Adam, float32."""
_LOGITS = 96 * 2
"""Rows of logits held at once, with their gradient."""
_ROOM = 0.9
"""Share of the machine's memory that a training may plan with."""


class TooLargeError(TrainError):
    """A training would not fit into this machine's memory; nothing was started."""

    def __init__(self, needed: int, there: int) -> None:
        super().__init__(
            f"training would take about {needed / 1e9:.1f} GB, this machine has {there / 1e9:.1f} GB: "
            "lower `batch_tokens` or `max_tokens`, train fewer `layers`, or take a base with fewer bits"
        )
        self.needed = needed
        self.there = there


class Estimate(NamedTuple):
    """Bytes."""

    weights: int
    activations: int
    adapter: int
    logits: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def estimate(shape: Shape, lora: LoraSpec, schedule: Schedule, *, longest: int) -> Estimate:
    """Estimate the peak of a training.

    Args:
        shape: The base; more than 16 bits per weight means that it computes in float32.
        lora: What is trained.
        schedule: Its `batch_tokens`.
        longest: Tokens of the longest example, which a batch holds at least.
    """
    layers = lora.layers if lora.layers > 0 else shape.layers
    tokens = max(schedule.batch_tokens, longest)
    width = 2 if shape.bits > 16 else 1
    return Estimate(
        weights=int(shape.parameters * shape.bits / 8),
        # The backward pass ends at the first trained layer: those below keep nothing.
        activations=_ACTIVATIONS * width * layers * tokens * shape.hidden,
        adapter=_LORA_BYTES * lora.rank * layers * _LORA_WIDTH * shape.hidden,
        logits=_LOGITS * shape.vocabulary * 4,
    )


def check(needed: Estimate) -> None:
    """Refuse what cannot fit.

    Raises:
        TooLargeError: It would take nearly all of the machine's memory, or more.
    """
    there = machine_memory()
    if there and needed.total > _ROOM * there:
        raise TooLargeError(needed.total, there)


def machine_memory() -> int:
    """Bytes of memory of this machine; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
