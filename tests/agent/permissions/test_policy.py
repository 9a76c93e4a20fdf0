"""The policy: pure, total, and never more permissive than its mode says."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from punie.agent.permissions.policy import MODE_DESCRIPTIONS, MODES, Mode, decide
from punie.agent.tools.base import Risk

RISKS: tuple[Risk, ...] = get_args(Risk)
EVERY = list(product(MODES, RISKS, (False, True)))

INSIDE = {
    "ask": {"read": "allow", "check": "allow", "write": "ask", "execute": "ask"},
    "edit": {"read": "allow", "check": "allow", "write": "allow", "execute": "ask"},
    "plan": {"read": "allow", "check": "allow", "write": "deny", "execute": "deny"},
    "read-only": {"read": "allow", "check": "deny", "write": "deny", "execute": "deny"},
    "bypass": {"read": "allow", "check": "allow", "write": "allow", "execute": "allow"},
}


def test_inside_the_project_the_table_holds() -> None:
    table = {
        mode: {risk: decide(mode, risk, outside=False).verdict for risk in RISKS} for mode in MODES
    }
    assert table == INSIDE


@pytest.mark.parametrize(("mode", "risk", "outside"), EVERY)
def test_every_combination_has_a_decision_with_a_reason(
    mode: Mode, risk: Risk, outside: bool
) -> None:
    decision = decide(mode, risk, outside=outside)
    assert decision.verdict in {"allow", "ask", "deny"}
    assert decision.reason


@pytest.mark.parametrize(
    ("mode", "risk"), list(product(("plan", "read-only"), ("write", "execute")))
)
@pytest.mark.parametrize("outside", [False, True])
def test_modes_that_only_look_deny_every_change(mode: Mode, risk: Risk, outside: bool) -> None:
    assert decide(mode, risk, outside=outside).verdict == "deny"


@pytest.mark.parametrize(("mode", "risk"), list(product(MODES, RISKS)))
def test_outside_nothing_is_allowed_unasked_except_in_bypass(mode: Mode, risk: Risk) -> None:
    allowed = decide(mode, risk, outside=True).verdict == "allow"
    assert allowed == (mode == "bypass")


@pytest.mark.parametrize(("mode", "risk"), list(product(MODES, RISKS)))
def test_reaching_outside_never_makes_a_decision_more_permissive(mode: Mode, risk: Risk) -> None:
    order = ["deny", "ask", "allow"]
    inside, outside = (decide(mode, risk, outside=flag).verdict for flag in (False, True))
    assert order.index(outside) <= order.index(inside)


def test_every_mode_is_described() -> None:
    assert tuple(MODE_DESCRIPTIONS) == MODES


def table_row(mode: Mode) -> str:
    """Write the row of the table in docs/tools.md."""
    cells = [decide(mode, risk, outside=False).verdict for risk in RISKS]
    return f"| `{mode}` | {' | '.join(cells)} |"


def test_the_documentation_has_every_mode_as_it_is() -> None:
    text = (Path(__file__).parents[3] / "docs" / "tools.md").read_text(encoding="utf-8")
    assert "\n".join(table_row(mode) for mode in MODES) in text
