"""The gate before every tool: works out where a call reaches, applies the policy, asks a person.

A call runs only after `check` said so. When nobody can answer, the answer is no. What a person
answers with "always" is remembered for the session, no further than the option's name says. Nothing
here runs a tool or knows how a question reaches a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from punie.agent.events import PermissionOption
from punie.agent.permissions.policy import Mode, decide
from punie.agent.tools.base import Call, Tool
from punie.agent.tools.paths import display

_LONGEST_NAME = 60
"""Characters of a command or path that an option's name shows."""

_NOBODY = ", and nobody is there to allow it"


class PermissionAsk(Struct, frozen=True, kw_only=True):
    """A question to the person."""

    tool_call_id: str
    tool: str
    """The tool's name."""
    title: str
    reason: str
    """Why it is asked, one clause."""
    options: tuple[PermissionOption, ...]


class PermissionAnswer(NamedTuple):
    """What became of a question."""

    outcome: Literal["allowed", "rejected", "cancelled", "unanswerable"]
    option_id: str | None = None
    """The chosen option; `None` when none was."""


class Verdict(NamedTuple):
    """Whether a call may run."""

    allowed: bool
    reason: str
    """One clause, for the person and the model."""
    asked: bool
    """A person was asked about this very call."""


Ask: TypeAlias = Callable[[PermissionAsk], Awaitable[PermissionAnswer]]
"""Puts a question to a person and waits for as long as that takes."""


class _Scope(NamedTuple):
    """What an "always" covers, and how its option says so."""

    key: tuple[str, ...]
    name: str


class Gate:
    """Decides about the calls of one session."""

    def __init__(self, mode: Mode, *, ask: Ask | None) -> None:
        """Set up.

        Args:
            mode: The session's mode, which may be changed at any time.
            ask: How to reach a person; `None` when nobody can answer.
        """
        self.mode: Mode = mode
        self._ask = ask
        self._remembered: dict[tuple[str, ...], bool] = {}
        self._one_question = asyncio.Lock()

    async def check(
        self, tool: Tool[Any, Any], args: Struct, call: Call, tool_call_id: str
    ) -> Verdict:
        """Decide about one call, asking a person where the policy says so.

        Args:
            tool: What would run.
            args: With what.
            call: In which workspace.
            tool_call_id: The call's id in the session, for the question.
        """
        outside = tuple(_outside(tool, args, call))
        scope = _scope(tool, args, call, outside)
        verdict = self._without_asking(tool, scope, outside)
        if verdict is not None:
            return verdict
        async with self._one_question:
            # The question before this one may have settled it.
            verdict = self._without_asking(tool, scope, outside)
            return verdict or await self._question(tool, args, tool_call_id, scope, outside)

    def _without_asking(
        self, tool: Tool[Any, Any], scope: _Scope, outside: tuple[Path, ...]
    ) -> Verdict | None:
        decision = decide(self.mode, tool.risk, outside=bool(outside))
        if decision.verdict == "deny":
            return Verdict(allowed=False, reason=decision.reason, asked=False)
        remembered = self._remembered.get(scope.key)
        rejected = remembered is False or self._remembered.get((tool.name,)) is False
        if rejected and self.mode != "bypass":
            reason = f"{scope.name} was rejected for this session"
            return Verdict(allowed=False, reason=reason, asked=False)
        if decision.verdict == "allow":
            return Verdict(allowed=True, reason=decision.reason, asked=False)
        if remembered:
            reason = f"{scope.name} was allowed for this session"
            return Verdict(allowed=True, reason=reason, asked=False)
        return None

    async def _question(
        self,
        tool: Tool[Any, Any],
        args: Struct,
        tool_call_id: str,
        scope: _Scope,
        outside: tuple[Path, ...],
    ) -> Verdict:
        reason = decide(self.mode, tool.risk, outside=bool(outside)).reason
        if self._ask is None:
            return Verdict(allowed=False, reason=f"{reason}{_NOBODY}", asked=False)
        options = _options(scope)
        answer = await self._ask(
            PermissionAsk(
                tool_call_id=tool_call_id,
                tool=tool.name,
                title=tool.title(args),
                reason=reason,
                options=options,
            )
        )
        allowed, said = self._judge(answer, options, scope, reason)
        now = decide(self.mode, tool.risk, outside=bool(outside))
        if allowed and now.verdict == "deny":  # the mode was changed while the question was open
            return Verdict(allowed=False, reason=now.reason, asked=True)
        return Verdict(allowed=allowed, reason=said, asked=True)

    def _judge(
        self,
        answer: PermissionAnswer,
        options: tuple[PermissionOption, ...],
        scope: _Scope,
        reason: str,
    ) -> tuple[bool, str]:
        """Read an answer and remember an "always"; whatever is unclear counts as no."""
        kinds = {option.option_id: option.kind for option in options}
        kind = "" if answer.option_id is None else kinds.get(answer.option_id, "unknown")
        if kind == "reject_always":
            self._remembered[scope.key] = False
        if answer.outcome == "allowed" and kind in {"", "allow_once", "allow_always"}:
            if kind == "allow_always":
                self._remembered[scope.key] = True
            return True, "allowed by the person"
        if answer.outcome == "cancelled":
            return False, "the question was cancelled"
        if answer.outcome == "unanswerable":
            return False, f"{reason}{_NOBODY}"
        return False, "rejected by the person"


def _outside(tool: Tool[Any, Any], args: Struct, call: Call) -> Iterator[Path]:
    """Find the paths of a call that leave the session's folder, links resolved."""
    for name in tool.path_arguments:
        value = str(getattr(args, name))
        # A test id names a file before its `::`, and that file may be a link.
        for part in dict.fromkeys((value, value.partition("::")[0])):
            path = call.workspace.resolve(part)
            if not call.workspace.contains(path):
                yield path


def _scope(tool: Tool[Any, Any], args: Struct, call: Call, outside: tuple[Path, ...]) -> _Scope:
    """Say what an "always" about this call covers.

    A command is remembered word by word with its folder, and a reach outside path by path:
    allowing one must not allow another.
    """
    key = [tool.name, *map(str, outside)]
    name = tool.name
    if tool.risk == "execute":
        cwd = call.workspace.resolve(str(getattr(args, "cwd", "")))
        key += [str(getattr(args, "command", args)), str(cwd)]
        name = f"`{_short(tool.title(args))}`"
        if cwd != call.workspace.root:
            name += f" in {_short(display(call.workspace, cwd))}"
    elif outside:
        name += f" of {_short(', '.join(map(str, dict.fromkeys(outside))))}"
    return _Scope(tuple(key), name)


def _options(scope: _Scope) -> tuple[PermissionOption, ...]:
    return (
        PermissionOption(option_id="allow_once", name="Allow once", kind="allow_once"),
        PermissionOption(
            option_id="allow_always",
            name=f"Always allow {scope.name} in this session",
            kind="allow_always",
        ),
        PermissionOption(option_id="reject_once", name="Reject once", kind="reject_once"),
        PermissionOption(
            option_id="reject_always",
            name=f"Always reject {scope.name} in this session",
            kind="reject_always",
        ),
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"
