"""The plan tool: what a model writes becomes the plan that a person sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from punie.agent.events import PlanEntry, PlanUpdate
from punie.agent.models.spec import ModelSpec
from punie.agent.testing import Call as Calls
from punie.agent.tools.planning import Plan, plan


@pytest.mark.parametrize(
    ("line", "content", "status"),
    [
        ("[ ] one", "one", "pending"),
        ("[x] one", "one", "completed"),
        ("[X] one", "one", "completed"),
        ("[~] one", "one", "in_progress"),
        ("- [>] one two", "one two", "in_progress"),
        ("2. [x] one", "one", "completed"),
        ("* one", "one", "pending"),
        ("1) one", "one", "pending"),
        ("[] one", "one", "pending"),
        ("one [x]", "one [x]", "pending"),
        ("[link] one", "[link] one", "pending"),
    ],
)
async def test_a_step_is_read_as_models_write_it(
    call, line: str, content: str, status: Any
) -> None:
    result = await plan(call, Plan(steps=f"{line}\n\n"))
    assert result.entries == (PlanEntry(content=content, status=status),)


async def test_the_headline_counts_the_steps(call) -> None:
    result = await plan(call, Plan(steps="[x] one\n[ ] two"))
    assert (result.ok, result.headline()) == (True, "2 steps, 1 done")


@pytest.mark.parametrize(
    ("steps", "error"),
    [("", "no steps"), (" \n ", "no steps"), ("x\n" * 51, "51 steps: 50 at most")],
)
async def test_what_is_no_plan_is_refused(call, steps: str, error: str) -> None:
    result = await plan(call, Plan(steps=steps))
    assert (result.ok, error in result.error) == (False, True)


async def test_a_model_that_plans_shows_its_plan(play: Callable[..., Any]) -> None:
    script = [[Calls("plan", {"steps": "[~] one\n[ ] two"})], ["done"]]
    scene = play(script, spec=ModelSpec(spec="test", tools=("plan",)))
    await scene.session.prompt("go")
    (update,) = scene.heard.of(PlanUpdate)
    assert [entry.status for entry in update.entries] == ["in_progress", "pending"]
