"""The permission policy: pure and total. Mode, risk, reach and rules in, one decision out.

Nothing here asks a person or touches a file; `permissions.gate` does the asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias, get_args

from punie.agent.permissions.rules import Ruling
from punie.agent.tools.base import Risk

Mode: TypeAlias = Literal["ask", "edit", "plan", "read-only", "bypass"]
MODES: tuple[Mode, ...] = get_args(Mode)

MODE_DESCRIPTIONS: dict[Mode, str] = {
    "ask": "Reads and checks freely; asks before every edit and command",
    "edit": "Edits files in the project freely; asks before every command",
    "plan": "Reads and checks only, to make a plan; changes nothing",
    "read-only": "Looks only; runs neither tests nor commands",
    "bypass": "Allows every call, also outside the project, but what a rule denies",
}


UNRULED = Ruling("none")


class Decision(NamedTuple):
    """What the policy says about one call."""

    verdict: Literal["allow", "ask", "deny"]
    reason: str
    """One clause, for the person and the model."""


def decide(mode: Mode, risk: Risk, *, outside: bool, ruling: Ruling = UNRULED) -> Decision:
    """Decide about one call, or about one of the things that it does.

    A rule that denies holds in every mode. One that allows does no more than spare a question: what
    the mode forbids stays forbidden.

    Args:
        mode: The session's mode.
        risk: The tool's risk.
        outside: Whether any path of the call leaves the session's folder.
        ruling: What the rules say about it.

    Returns:
        The decision; every combination has one.
    """
    if ruling.verdict == "deny":
        return Decision("deny", f"the rule {ruling.rule} denies it")
    if mode in {"plan", "read-only"}:
        allowed = {"read", "check"} if mode == "plan" else {"read"}
        if risk not in allowed:
            return Decision("deny", f"mode {mode} does not allow a call that can {_CAN[risk]}")
    if ruling.verdict == "hidden":
        return Decision("ask", f"it may do what the rule {ruling.rule} denies")
    if mode == "bypass":
        return Decision("allow", "mode bypass allows everything")
    if ruling.verdict == "ask":
        return Decision("ask", f"the rule {ruling.rule} says so")
    if ruling.verdict == "allow":
        return Decision("allow", f"the rule {ruling.rule} allows it")
    if outside:
        return Decision("ask", "it reaches outside the project")
    if risk in {"read", "check"} or (risk == "write" and mode == "edit"):
        return Decision("allow", f"mode {mode} allows it")
    return Decision("ask", f"it can {_CAN[risk]}")


def strictest(decisions: Iterable[Decision]) -> Decision:
    """Choose the decision that allows least; of equals the first.

    Args:
        decisions: About everything that one call does, at least one.
    """
    return min(decisions, key=lambda decision: ("deny", "ask", "allow").index(decision.verdict))


_CAN: dict[Risk, str] = {
    "read": "read files",
    "check": "run the project's tests",
    "write": "change files",
    "execute": "run commands",
}
