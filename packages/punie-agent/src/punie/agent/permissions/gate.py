"""The gate before every tool: works out where a call reaches, applies the policy, asks a person.

A call runs only after `check` said so. When nobody can answer, the answer is no. What a person
answers with "always" is remembered as far as the option's name says and no further: a command for
the project, anything else for the session, until it is taken back. Nothing here runs a tool or knows
how a question reaches a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from punie.agent.events import PermissionOption
from punie.agent.permissions.effects import Effects, effects_of
from punie.agent.permissions.policy import Decision, Mode
from punie.agent.permissions.remembered import Answers, Key, Remembered
from punie.agent.permissions.remembered import Scope as Where
from punie.agent.permissions.rules import NO_RULES, Rules
from punie.agent.tools.base import Call, Said, Tool
from punie.agent.tools.paths import display, short

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
    about: Literal["call", "loop", "question"] = "call"
    """Whether the call may run, whether a turn that goes in circles may go on, or what the model
    wants to know: then the options are the answers to choose from, and without any the person
    writes one."""


class PermissionAnswer(NamedTuple):
    """What became of a question."""

    outcome: Literal["allowed", "rejected", "cancelled", "unanswerable", "answered", "later"]
    """`answered` and `later` only about a question of the model: they allow nothing."""
    option_id: str | None = None
    """The chosen option; `None` when none was."""
    text: str = ""
    """What was written; with `answered`."""


class Verdict(NamedTuple):
    """Whether a call may run."""

    allowed: bool
    reason: str
    """One clause, for the person and the model."""
    asked: bool
    """A person was asked about this very call."""


Ask: TypeAlias = Callable[[PermissionAsk], Awaitable[PermissionAnswer]]
"""Puts a question to a person and waits for as long as that takes."""


class Standing(Struct, frozen=True, kw_only=True):
    """What holds in a session before anybody is asked."""

    rules: Rules = NO_RULES
    answers: Answers | None = None
    """What was answered for the project; `None` remembers nothing beyond the session."""
    earlier: dict[Key, bool] = {}
    """What was answered for the session, before it was opened again."""


class _Scope(NamedTuple):
    """What an "always" covers, and how its option says so."""

    key: Key
    name: str
    where: Where


class Gate:
    """Decides about the calls of one session."""

    def __init__(
        self,
        mode: Mode,
        *,
        ask: Ask | None,
        standing: Standing | None = None,
        keep: Callable[[], None] | None = None,
    ) -> None:
        """Set up.

        Args:
            mode: The session's mode, which may be changed at any time.
            ask: How to reach a person; `None` when nobody can answer.
            standing: Rules and remembered answers; none by default.
            keep: Called when `answers` have changed.
        """
        self.mode: Mode = mode
        self.usual: Mode = mode
        """The session's own mode; `mode` is stricter in a turn that is held to less."""
        self._ask = ask
        self._keep = keep
        self._standing = standing or Standing()
        self._remembered = dict(self._standing.earlier)
        self._not_kept: dict[Key, bool] = {}
        self._one_question = asyncio.Lock()

    async def check(
        self,
        tool: Tool[Any, Any],
        args: Struct,
        call: Call,
        tool_call_id: str,
        *,
        changes: Sequence[str] = (),
    ) -> Verdict:
        """Decide about one call, asking a person where the policy says so.

        Args:
            tool: What would run.
            args: With what.
            call: In which workspace.
            tool_call_id: The call's id in the session, for the question.
            changes: Absolute paths of files that its preview would change.
        """
        effects = effects_of(tool, args, call, self._standing.rules, changes=changes)
        scope = self._scope(tool, args, call, effects)
        verdict = await self._without_asking(tool, scope, effects)
        if verdict is not None:
            return verdict
        async with self._one_question:
            # The question before this one may have settled it.
            verdict = await self._without_asking(tool, scope, effects)
            return verdict or await self._question(tool, args, tool_call_id, scope, effects)

    async def allows(self, tool: Tool[Any, Any], args: Struct, call: Call) -> bool:
        """Tell whether a call may run without asking anybody; what would be asked may not.

        Args:
            tool: What would run.
            args: With what.
            call: In which workspace.
        """
        effects = effects_of(tool, args, call, self._standing.rules)
        verdict = await self._without_asking(tool, self._scope(tool, args, call, effects), effects)
        return verdict is not None and verdict.allowed

    async def go_on(self, *, tool_call_id: str, tool: str, title: str, reason: str) -> bool:
        """Ask whether a turn that goes in circles may go on; nobody there means no.

        Args:
            tool_call_id: The latest of the equal calls.
            tool: Its tool's name.
            title: What the person reads of it.
            reason: Why it is asked, one clause.
        """
        if self._ask is None:
            return False
        ask = PermissionAsk(
            tool_call_id=tool_call_id,
            tool=tool,
            title=title,
            reason=reason,
            options=(
                PermissionOption(option_id="go_on", name="Let the turn go on", kind="allow_once"),
                PermissionOption(option_id="stop", name="Stop the turn", kind="reject_once"),
            ),
            about="loop",
        )
        async with self._one_question:
            answer = await self._ask(ask)
        return answer.outcome == "allowed" and answer.option_id in {"go_on", None}

    async def put(
        self, question: str, choices: Sequence[str], *, tool_call_id: str, tool: str
    ) -> Said:
        """Put a question of the model to the person; whatever is answered permits nothing.

        Args:
            question: What is asked.
            choices: The answers to choose from; none leaves it to the person.
            tool_call_id: The call that asks.
            tool: Its tool's name.
        """
        if self._ask is None:
            return Said("unanswerable")
        options = tuple(
            PermissionOption(option_id=f"choice_{number}", name=choice, kind="allow_once")
            for number, choice in enumerate(choices, 1)
        )
        ask = PermissionAsk(
            tool_call_id=tool_call_id,
            tool=tool,
            title=question,
            reason="",
            options=options,
            about="question",
        )
        async with self._one_question:
            return _said(await self._ask(ask), options)

    async def _without_asking(
        self, tool: Tool[Any, Any], scope: _Scope, effects: Effects
    ) -> Verdict | None:
        denied = effects.decide(self.mode).verdict == "deny"
        remembered = None if denied else await self._recall(scope)
        rejected = remembered is False or self._remembered.get((tool.name,)) is False
        decision = effects.decide(self.mode)  # recalling took a moment
        return _settled(decision, scope, remembered, rejected and self.mode != "bypass")

    @property
    def rules(self) -> Rules:
        """The rules that hold."""
        return self._standing.rules

    @property
    def answers(self) -> list[tuple[Key, bool]]:
        """What was answered for the session, as its record keeps it."""
        return list(self._remembered.items())

    async def remembered(self) -> list[Remembered]:
        """List the answers that hold, those of the session first."""
        project = await self._of_project()
        return [
            *(Remembered("session", call, allowed) for call, allowed in self._remembered.items()),
            *(Remembered("project", call, allowed) for call, allowed in project.items()),
        ]

    async def forget(self, answer: Remembered) -> bool:
        """Take an answer back: the next such call is asked about again.

        Args:
            answer: From `remembered`.

        Returns:
            Whether it is gone; the log says why it is not.
        """
        answers = self._standing.answers
        if answer.scope == "session":
            self._remembered.pop(answer.call, None)
            self._changed()
        self._not_kept.pop(answer.call, None)
        if answers is None or answer.scope == "session":
            return True
        return await asyncio.to_thread(answers.remember, answer.call, allowed=None)

    async def _of_project(self) -> Mapping[Key, bool]:
        answers = self._standing.answers
        if answers is None:
            return {}
        return {**await asyncio.to_thread(answers.recall), **self._not_kept}

    async def _recall(self, scope: _Scope) -> bool | None:
        if scope.where == "session":
            return self._remembered.get(scope.key)
        return (await self._of_project()).get(scope.key)

    async def _remember(self, scope: _Scope, allowed: bool) -> None:
        answers = self._standing.answers
        if answers is None or scope.where == "session":
            self._remembered[scope.key] = allowed
            self._changed()
        elif await asyncio.to_thread(answers.remember, scope.key, allowed=allowed):
            self._not_kept.pop(scope.key, None)
        else:
            self._not_kept[scope.key] = allowed

    def _changed(self) -> None:
        if self._keep is not None:
            self._keep()

    async def _question(
        self,
        tool: Tool[Any, Any],
        args: Struct,
        tool_call_id: str,
        scope: _Scope,
        effects: Effects,
    ) -> Verdict:
        reason = effects.decide(self.mode).reason
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
        allowed, said = await self._judge(answer, options, scope, reason)
        now = effects.decide(self.mode)
        if allowed and now.verdict == "deny":  # the mode was changed while the question was open
            return Verdict(allowed=False, reason=now.reason, asked=True)
        return Verdict(allowed=allowed, reason=said, asked=True)

    def _scope(self, tool: Tool[Any, Any], args: Struct, call: Call, effects: Effects) -> _Scope:
        """Say what an "always" about this call covers.

        A command is remembered word by word with its folder, and a reach outside path by path:
        allowing one must not allow another.
        """
        paths = effects.narrow
        if tool.risk != "execute":
            key, name = (tool.name, *map(str, paths)), tool.name
            if paths:
                name += f" of {short(', '.join(display(call.workspace, path) for path in paths))}"
            return _Scope(key, name, "session")
        cwd = call.workspace.resolve(str(getattr(args, "cwd", "")))
        name = f"`{short(tool.title(args))}`"
        if cwd != call.workspace.root:
            name += f" in {short(display(call.workspace, cwd))}"
        key = (tool.name, str(getattr(args, "command", args)), str(cwd))
        return _Scope(key, name, "session" if self._standing.answers is None else "project")

    async def _judge(
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
            await self._remember(scope, False)
        if answer.outcome == "allowed" and kind in {"", "allow_once", "allow_always"}:
            if kind == "allow_always":
                await self._remember(scope, True)
            return True, "allowed by the person"
        if answer.outcome == "cancelled":
            return False, "the question was cancelled"
        if answer.outcome == "unanswerable":
            return False, f"{reason}{_NOBODY}"
        return False, "rejected by the person"


def _said(answer: PermissionAnswer, options: tuple[PermissionOption, ...]) -> Said:
    """Read the answer to a question; an option that was never offered answers nothing."""
    match answer.outcome:
        case "answered" if answer.text.strip():
            return Said("answered", answer.text.strip())
        case "allowed":
            chosen = [one.name for one in options if one.option_id == answer.option_id]
            return Said("answered", chosen[0]) if chosen else Said("unanswerable")
        case "answered" | "rejected":
            return Said("declined")
        case outcome:
            return Said(outcome)


def _settled(
    decision: Decision, scope: _Scope, remembered: bool | None, rejected: bool
) -> Verdict | None:
    if decision.verdict == "deny":
        return Verdict(allowed=False, reason=decision.reason, asked=False)
    if rejected:
        reason = f"{scope.name} was rejected for this {scope.where}"
        return Verdict(allowed=False, reason=reason, asked=False)
    if decision.verdict == "allow":
        return Verdict(allowed=True, reason=decision.reason, asked=False)
    if remembered:
        reason = f"{scope.name} was allowed for this {scope.where}"
        return Verdict(allowed=True, reason=reason, asked=False)
    return None


def _options(scope: _Scope) -> tuple[PermissionOption, ...]:
    return (
        PermissionOption(option_id="allow_once", name="Allow once", kind="allow_once"),
        PermissionOption(
            option_id="allow_always",
            name=f"Always allow {scope.name} in this {scope.where}",
            kind="allow_always",
        ),
        PermissionOption(option_id="reject_once", name="Reject once", kind="reject_once"),
        PermissionOption(
            option_id="reject_always",
            name=f"Always reject {scope.name} in this {scope.where}",
            kind="reject_always",
        ),
    )
