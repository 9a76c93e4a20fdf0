"""The plan of a task: `plan`, by which a model tells its steps and how far they are."""

from __future__ import annotations

import re

from msgspec import Struct

from punie.agent.events import PlanEntry
from punie.agent.tools.base import Call
from punie.agent.tools.paths import plural
from punie.agent.tools.results import Result

NAME = "plan"
MOST = 50
"""Steps of a plan; nobody reads more."""
_STEP = re.compile(r"\s*(?:[-*]\s+|\d+[.)]\s+)?(?:\[(?P<mark>[ xX~>-]?)\]\s*)?(?P<content>.*\S)\s*")


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `plan`."""

    steps: str
    """One step per line: `[ ] to do`, `[~] doing`, `[x] done`."""


class PlanResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The plan as it was understood; the person is shown it."""

    entries: tuple[PlanEntry, ...] = ()

    def headline(self) -> str:
        """Such as `3 steps, 1 done`."""
        if self.error:
            return self.error
        done = sum(entry.status == "completed" for entry in self.entries)
        return f"{plural(len(self.entries), 'step')}, {done} done"


async def plan(_call: Call, args: Plan) -> PlanResult:
    """Read a plan, which replaces the one before."""
    entries = tuple(
        _entry(match) for match in map(_STEP.fullmatch, args.steps.splitlines()) if match
    )
    if not entries:
        return PlanResult(ok=False, error="the plan has no steps: write one per line")
    if len(entries) > MOST:
        return PlanResult(ok=False, error=f"the plan has {len(entries)} steps: {MOST} at most")
    return PlanResult(ok=True, entries=entries)


def _entry(match: re.Match[str]) -> PlanEntry:
    mark = (match["mark"] or "").lower()
    if mark == "x":
        return PlanEntry(content=match["content"], status="completed")
    return PlanEntry(
        content=match["content"], status="in_progress" if mark in {"~", ">", "-"} else "pending"
    )
