"""Is a model worse than the one before? The same cases asked of both, compared case by case.

The difference of a suite with cases is judged by its interval: its prompts stand for others like them, and
a few of them fall either way. A suite that judges itself has no such luck in it: what passed must pass.
"""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Literal

from msgspec import Struct

from punie.train.evals.figures import ModelSeen

Z = 1.959964


class Pair(Struct, frozen=True, kw_only=True):
    """One suite, asked of both."""

    suite: str
    kind: Literal["cases", "executed"]
    n: int
    newly_wrong: tuple[str, ...]
    newly_right: tuple[str, ...]
    difference: float
    """Share that is right now, less the share before."""
    ci95: tuple[float, float]

    @property
    def worse(self) -> bool:
        """Whether the model after is worse, beyond noise."""
        return bool(self.newly_wrong) if self.kind == "executed" else self.ci95[1] < 0

    def __str__(self) -> str:
        """Write it for people."""
        low, high = self.ci95
        return (
            f"{self.suite}: {100 * self.difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), "
            f"{len(self.newly_wrong)} newly wrong, {len(self.newly_right)} newly right of {self.n}"
        )


class PairedReport(Struct, frozen=True, kw_only=True):
    """The model before and the one after, on all suites."""

    before: ModelSeen
    after: ModelSeen
    pairs: tuple[Pair, ...]

    @property
    def worse(self) -> list[Pair]:
        """The suites on which it became worse."""
        return [pair for pair in self.pairs if pair.worse]


def pair(
    suite: str, n: int, before: Set[str], after: Set[str], *, kind: Literal["cases", "executed"]
) -> Pair:
    """Compare two models on one suite.

    Args:
        suite: Its name.
        n: Its cases, at least one.
        before: Ids of the cases that the model before got wrong.
        after: Ids that the model after got wrong.
        kind: What decides.

    Example:
        >>> pair("s", 100, {"a"}, {str(n) for n in range(12)}, kind="cases").worse
        True
        >>> pair("s", 100, {"a"}, {"b", "c"}, kind="cases").worse
        False

    Source:
        Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions":
        Wald's interval with half a case added to each of the four cells.
    """
    wrong, right = sorted(after - before), sorted(before - after)
    lost, won = (len(wrong) + 0.5) / (n + 2), (len(right) + 0.5) / (n + 2)
    centre = won - lost
    half = Z * math.sqrt((lost + won - centre**2) / (n + 2))
    return Pair(
        suite=suite,
        kind=kind,
        n=n,
        newly_wrong=tuple(wrong),
        newly_right=tuple(right),
        difference=round((len(right) - len(wrong)) / n, 4),
        ci95=(round(max(-1.0, centre - half), 4), round(min(1.0, centre + half), 4)),
    )
