"""Is a fused model faster than its adapter? The forms of one run, measured in turns on one machine.

Each round measures every form once, in an order of its own, so that what else the machine does meets all
forms alike; a form is compared with the fused one round by round. What is said is medians with 95 %
intervals of medians, which one slow outlier does not move.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from punie.train import ledger
from punie.train.errors import TrainError
from punie.train.phases.spec import Phase
from punie.train.stages import bases, fit

FEWEST = 6
"""Rounds below which a median has no 95 % interval."""


class Median(Struct, frozen=True, kw_only=True):
    """A median with its 95 % interval."""

    value: float
    ci95: tuple[float, float]


class Form(Struct, frozen=True, kw_only=True):
    """How fast one form is."""

    name: str
    prompt: Median
    """Tokens read per second."""
    generated: Median
    """Tokens written per second."""
    against_fused: Median
    """Ratio of tokens written per second to the fused form's in the same round."""


def median(values: Sequence[float]) -> Median:
    """Give the median and the order statistics that hold the true one in 95 %.

    Args:
        values: At least `FEWEST`.

    Source:
        The binomial interval for a quantile, with the normal approximation; at 20 values the 6th and the
        15th.

    Example:
        >>> median(list(range(1, 21)))
        Median(value=10.5, ci95=(6, 15))
    """
    ordered, n = sorted(values), len(values)
    low = max(0, math.floor((n - 1.959964 * math.sqrt(n)) / 2))
    return Median(value=statistics.median(ordered), ci95=(ordered[low], ordered[n - 1 - low]))


def run(
    phase: Phase, folder: Path, *, rounds: int, prompt: int, new: int, say: Callable[[str], None]
) -> list[Form]:
    """Measure what a phase has made.

    Args:
        phase: Whose base.
        folder: Of its artefacts: an adapter and `fused`, `quantized` when there is one.
        rounds: How often each form is measured, after one that does not count.
        prompt: Tokens to read.
        new: Tokens to write.
        say: Shows progress.

    Raises:
        TrainError: The phase was not run as far as `fuse`, or there are too few rounds.
    """
    if rounds < FEWEST:
        raise TrainError(f"{rounds} rounds give no interval: take at least {FEWEST}")
    if not (folder / fit.FUSED / "config.json").is_file():
        raise TrainError(f"{folder} holds no fused model: punie-train run {phase.name}, or shipped")
    from punie.agent.models.embedded.blas import preload_fast_blas

    preload_fast_blas()
    from punie.train.backends import speed

    forms: dict[str, Any] = {
        "adapter": speed.open_form(bases.base_folder(phase, folder), adapter=folder / fit.ADAPTER),
        "fused": speed.open_form(folder / fit.FUSED),
    }
    rounded = folder / fit.QUANTIZED
    if (rounded / "config.json").is_file():
        forms["quantized"] = speed.open_form(rounded)
        if sys.platform == "linux":
            forms["quantized, multiplied out"] = speed.open_form(rounded, multiplied_out=True)
    seen: dict[str, list[Any]] = {name: [] for name in forms}
    for number in range(rounds + 1):
        order = list(forms)
        random.Random(number).shuffle(order)
        for name in order:
            say(f"round {number} of {rounds}: {name}")
            one = speed.measure(forms[name], prompt=prompt, new=new, seed=number)
            if number:
                seen[name].append(one)
    return [_form(name, seen[name], seen["fused"]) for name in forms]


def _form(name: str, runs: Sequence[Any], fused: Sequence[Any]) -> Form:
    pairs = zip(runs, fused, strict=True)
    return Form(
        name=name,
        prompt=median([one.prompt for one in runs]),
        generated=median([one.generated for one in runs]),
        against_fused=median([one.generated / other.generated for one, other in pairs]),
    )


def to_text(forms: Sequence[Form], *, rounds: int) -> str:
    """Write the forms for people, Markdown."""
    head = ["form", "tokens read/s", "tokens written/s", "written, against fused"]
    rows = [
        [one.name, _shown(one.prompt, 1), _shown(one.generated, 1), _shown(one.against_fused, 2)]
        for one in forms
    ]
    lines = [*ledger.table(head, rows), f"\nmedians of {rounds} rounds, 95 % intervals"]
    return "\n".join(lines)


def _shown(one: Median, digits: int) -> str:
    low, high = one.ci95
    return f"{one.value:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
