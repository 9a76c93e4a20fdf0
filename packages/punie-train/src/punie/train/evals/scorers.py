"""Compares what a model did with what a case expects. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from punie.train.evals.case import Case
from punie.train.ledger import Rate

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Step(Struct, frozen=True, kw_only=True):
    """What a model did first."""

    tool: str | None = None
    arguments: dict[str, Any] = {}
    text: str = ""
    error: str = ""
    """Why there is no usable step; such a step is never right."""


class Score(NamedTuple):
    """One case judged."""

    tool_or_answer: bool
    """A tool was called if and only if one was expected."""
    tool: bool
    """The right tool, or none where none was expected."""
    exact: bool
    """That, with exactly the expected arguments."""


def score(case: Case, step: Step) -> Score:
    """Judge a step.

    Args:
        case: What was expected.
        step: What was done.
    """
    if step.error:
        return Score(tool_or_answer=False, tool=False, exact=False)
    tool = step.tool == case.expect.tool
    same = _comparable(step.arguments) == _comparable(case.expect.arguments)
    return Score(
        tool_or_answer=(step.tool is None) == (case.expect.tool is None),
        tool=tool,
        exact=tool and (step.tool is None or same),
    )


def _comparable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: same_path(value) if name == "path" and isinstance(value, str) else value
        for name, value in arguments.items()
    }


def same_path(path: str) -> str:
    """Write a path so that equal ones are equal: no leading `./`, no trailing slash.

    Example:
        >>> same_path("./src/"), same_path("."), same_path("./")
        ('src', '.', '.')
    """
    return path.removeprefix("./").rstrip("/") or "."


def states_figures(headline: str, sentence: str) -> bool:
    """Tell whether a sentence states what a headline states: every number of it.

    A headline without a number, such as `no problems`, must itself stand in the sentence.

    Example:
        >>> states_figures("12 passed, 1 failed in 0.8 s", "1 of 13 failed, 12 passed (0.8 s)")
        True
        >>> states_figures("no problems", "All is well.")
        False
    """
    wanted = _NUMBER.findall(headline)
    if not wanted:
        return headline.lower() in sentence.lower()
    said = _NUMBER.findall(sentence)
    return all(number in said for number in wanted)


def rate(hits: int, n: int) -> Rate:
    """Give a share with Wilson's interval, which holds near 0 and 1 too.

    Example:
        >>> rate(10, 10).ci95
        (0.7225, 1.0)

    Source:
        Wilson 1927; z = 1.96.
    """
    z = 1.959964
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Rate(value=round(share, 4), ci95=(round(low, 4), round(high, 4)))
