"""Which policies there are: those of installed distributions, by entry point.

Each entry point of the group `punie.policies` names a module or a function; a module gives all its
policies. One that cannot be loaded is listed with its reason and takes nothing down.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import NamedTuple

from punie.agent.policies.base import Policy

GROUP = "punie.policies"


class Loaded(NamedTuple):
    """What there is."""

    policies: tuple[Policy, ...]
    broken: dict[str, str]
    """Reasons, by entry point or file."""


@functools.cache
def installed() -> Loaded:
    """Give the policies of every installed distribution, loaded once for the process."""
    return load_installed()


def load_installed(points: Iterable[EntryPoint] | None = None) -> Loaded:
    """Load the policies of every installed distribution.

    Args:
        points: Entry points; those of the group by default.
    """
    policies: list[Policy] = []
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        try:
            thing = point.load()
        except Exception as error:  # noqa: BLE001 the edge: somebody else's code
            broken[point.name] = f"{type(error).__name__}: {error}"
            continue
        if problem := examine(point.name, thing):
            broken[point.name] = problem
        policies.extend(policies_of(thing))
    return Loaded(tuple(policies), broken)


def examine(_name: str, thing: object) -> str:
    """Say why what an entry point names cannot be used, for `punie plugins`; nothing if it can."""
    return "" if policies_of(thing) else "it holds no policy"


def policies_of(thing: object) -> list[Policy]:
    """Give the policies that a module holds, or the policy itself."""
    if isinstance(thing, Policy):
        return [thing]
    if isinstance(thing, ModuleType):
        return [value for value in vars(thing).values() if isinstance(value, Policy)]
    return []
