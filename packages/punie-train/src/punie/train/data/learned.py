"""Puts what a person's sessions taught beside generated data, and holds it to the same rules.

A person's verdict on a wording beats what a generator made of it. No wording of a suite is learnt, and
nothing that does not fit into the phase's longest example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct

from punie.train.data import checks
from punie.train.data.example import Example
from punie.train.data.traces import Found
from punie.train.errors import DataError

BALANCE = (0.15, 0.6)
"""Share of direct answers in everything; a person's sessions are not balanced as generated data is."""


class Learned(Struct, frozen=True, kw_only=True):
    """What became of the traces."""

    turns: int
    """Turns that were read."""
    examples: int
    """Examples that are trained on."""
    taught: dict[str, int]
    """Examples by what they teach, leaks and long ones not yet taken out."""
    left_out: dict[str, int]
    """Turns by why they taught nothing."""
    leaks: int
    """Examples taken out because a suite has the same or nearly the same wording."""
    too_long: int
    """Examples taken out because no turn would be left whole."""
    replaced: int
    """Generated examples taken out because the person used their wording."""


class Mixed(NamedTuple):
    """All examples, the person's first."""

    examples: list[Example]
    report: Learned


def mixed(
    found: Found,
    generated: Sequence[Example],
    *,
    suites: Sequence[checks.Wording],
    fits: Callable[[Example], bool],
) -> Mixed:
    """Put examples of traces in front of generated ones.

    Args:
        found: What the traces gave.
        generated: Examples that keep the rules.
        suites: Prompts that nothing may share a wording with.
        fits: Whether something of an example is left within the phase's limit.

    Raises:
        DataError: The traces teach nothing, or all examples together are of one kind.
    """
    clean = checks.without_leaks(found.examples, suites)
    short = [one for one in clean if fits(one)]
    report = Learned(
        turns=found.turns,
        examples=len(short),
        taught=found.taught,
        left_out=found.left_out,
        leaks=len(found.examples) - len(clean),
        too_long=len(clean) - len(short),
        replaced=0,
    )
    if not short:
        reasons = ", ".join(f"{count} {why}" for why, count in found.left_out.items())
        raise DataError(
            f"{found.turns} turns of traces teach nothing ({reasons or 'none fits'}; {report.leaks} "
            f"in a suite, {report.too_long} too long): work on, then run this again"
        )
    theirs = {checks.normalised(one.prompt) for one in short}
    kept = [one for one in generated if checks.normalised(one.prompt) not in theirs]
    examples = [*short, *kept]
    _check_balance(examples)
    return Mixed(examples, _replaced(report, len(generated) - len(kept)))


def _replaced(report: Learned, count: int) -> Learned:
    from msgspec.structs import replace

    return replace(report, replaced=count)


def _check_balance(examples: Sequence[Example]) -> None:
    share = sum(not one.tool for one in examples) / len(examples)
    low, high = BALANCE
    if not low <= share <= high:
        raise DataError(
            f"{share:.0%} of all examples are direct answers, not {low:.0%}-{high:.0%}: "
            f"{'raise' if share < low else 'lower'} `direct` in the mix"
        )
