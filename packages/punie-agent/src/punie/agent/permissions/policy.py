"""The permission policy: pure and total. Mode, risk and reach in, one decision out.

Nothing here asks a person or touches a file; `permissions.gate` does the asking.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

from punie.agent.tools.base import Risk

Mode: TypeAlias = Literal["ask", "edit", "plan", "read-only", "bypass"]
MODES: tuple[Mode, ...] = get_args(Mode)

MODE_DESCRIPTIONS: dict[Mode, str] = {
    "ask": "Reads and checks freely; asks before every edit and command",
    "edit": "Edits files in the project freely; asks before every command",
    "plan": "Reads and checks only, to make a plan; changes nothing",
    "read-only": "Looks only; runs neither tests nor commands",
    "bypass": "Never asks: every call is allowed, also outside the project",
}


class Decision(NamedTuple):
    """What the policy says about one call."""

    verdict: Literal["allow", "ask", "deny"]
    reason: str
    """One clause, for the person and the model."""


def decide(mode: Mode, risk: Risk, *, outside: bool) -> Decision:
    """Decide about one call.

    Args:
        mode: The session's mode.
        risk: The tool's risk.
        outside: Whether any path of the call leaves the session's folder.

    Returns:
        The decision; every combination has one.
    """
    if mode == "bypass":
        return Decision("allow", "mode bypass allows everything")
    if mode in {"plan", "read-only"}:
        allowed = {"read", "check"} if mode == "plan" else {"read"}
        if risk not in allowed:
            return Decision("deny", f"mode {mode} does not allow a call that can {_CAN[risk]}")
    if outside:
        return Decision("ask", "it reaches outside the project")
    if risk in {"read", "check"} or (risk == "write" and mode == "edit"):
        return Decision("allow", f"mode {mode} allows it")
    return Decision("ask", f"it can {_CAN[risk]}")


_CAN: dict[Risk, str] = {
    "read": "read files",
    "check": "run the project's tests",
    "write": "change files",
    "execute": "run commands",
}
