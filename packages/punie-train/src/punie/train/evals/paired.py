"""Is a model worse than the one before? The same cases asked of both, compared case by case.

The cases of a suite stand for others like them, and a few of them fall either way. Whether more were lost than
luck takes is asked of the cases that changed: were both models equally good, each would be as likely newly right
as newly wrong. A suite that judges itself has no such luck in it: what passed must pass.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence, Set
from typing import Literal

from msgspec import Struct

from punie.train.evals.figures import ModelSeen

Z = 1.959964
LEVEL = 0.05
"""How often luck alone may refuse a model that is as good as the one before, in one comparison."""
POWER = 0.8
"""How often a loss must be seen to count as one that is seen."""


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
        return bool(self.newly_wrong) if self.kind == "executed" else self.p <= LEVEL

    @property
    def p(self) -> float:
        """How likely so many newly wrong ones are, of those that changed, were both equally good."""
        return sign_test(len(self.newly_wrong), len(self.newly_right))

    def __str__(self) -> str:
        """Write it for people."""
        low, high = self.ci95
        luck = f", p = {self.p:.3f}" if self.kind == "cases" else ""
        return (
            f"{self.suite}: {100 * self.difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), "
            f"{len(self.newly_wrong)} newly wrong, {len(self.newly_right)} newly right of {self.n}{luck}"
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
        >>> pair("s", 150, set(), {"a", "b", "c", "d"}, kind="cases").worse
        False
        >>> pair("s", 150, set(), {"a", "b", "c", "d", "e"}, kind="cases").worse
        True
        >>> pair("s", 100, {"a"}, {str(n) for n in range(12)}, kind="cases").worse
        True
        >>> pair("s", 100, {"a"}, {"b", "c"}, kind="cases").worse
        False

    Source:
        The interval: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
        proportions": Wald's with half a case added to each of the four cells. It is told, and decides nothing.
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


def together(pairs: Sequence[Pair]) -> Pair:
    """Add up suites that share no prompt: many cases see a loss that each suite is too small for.

    Args:
        pairs: At least one, of suites with cases.
    """
    before = {f"{one.suite}/{case}" for one in pairs for case in one.newly_right}
    after = {f"{one.suite}/{case}" for one in pairs for case in one.newly_wrong}
    name = " + ".join(one.suite for one in pairs)
    return pair(name, sum(one.n for one in pairs), before, after, kind="cases")


def sign_test(wrong: int, right: int) -> float:
    """Give the one-sided p-value of so many newly wrong cases beside newly right ones.

    Example:
        >>> sign_test(5, 0), sign_test(4, 0), sign_test(3, 3)
        (0.03125, 0.0625, 0.65625)

    Source:
        McNemar 1947, in its exact form: the binomial test of the cases that changed.
    """
    changed = wrong + right
    return sum(math.comb(changed, k) for k in range(wrong, changed + 1)) / 2**changed


def seen_loss(n: int) -> float:
    """Give the smallest loss that is refused in 80 of 100 comparisons.

    Args:
        n: Cases.

    Returns:
        The share of all prompts that the model after newly gets wrong, if it gets none newly right;
        1 when there are too few cases to see any.

    Example:
        >>> seen_loss(150), seen_loss(653)
        (0.045, 0.011)
    """
    enough = next(k for k in itertools.count(1) if sign_test(k, 0) <= LEVEL)

    def refused(loss: float) -> float:
        missed = (math.comb(n, k) * loss**k * (1 - loss) ** (n - k) for k in range(enough))
        return 1 - sum(missed)

    shares = (loss / 1000 for loss in range(1, 1001))
    return next((loss for loss in shares if refused(loss) >= POWER), 1.0)
