"""Suites that judge a model themselves instead of listing cases: functions below `punie.suites`.

They give the same verdicts for the same model each time, so one that is lost is a regression.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import metadata

from msgspec import Struct

from punie.train.errors import CaseError
from punie.train.evals.case import GROUP
from punie.train.evals.run import Subject, Told


class Verdict(Struct, frozen=True, kw_only=True):
    """One case of such a suite."""

    id: str
    passed: bool


ExecutedSuite = Callable[[Subject, Told], Awaitable[list[Verdict]]]


def executed_suites() -> list[str]:
    """Name them."""
    return sorted(plugin.name for plugin in metadata.entry_points(group=GROUP) if plugin.attr)


def executed_suite(name: str) -> ExecutedSuite:
    """Load one.

    Raises:
        CaseError: It is not there, or cannot be loaded.
    """
    for plugin in metadata.entry_points(group=GROUP):
        if plugin.name == name and plugin.attr:
            try:
                return plugin.load()
            except (ImportError, AttributeError) as error:
                raise CaseError(
                    f"the suite {name} ({plugin.value}) cannot be loaded: {error}"
                ) from error
    raise CaseError(f"there is no suite {name} that judges itself; there are {executed_suites()}")
