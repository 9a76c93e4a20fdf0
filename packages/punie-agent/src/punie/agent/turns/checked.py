"""Checking what a turn changes: after each edit, and before the turn may end.

After an edit the model reads the findings below the tool's result. Before the end, blocking findings
go back to the model, at most as many rounds as the settings say, and then to the person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from punie.agent.events import DiffContent, Notice, TextContent, ToolCallUpdate
from punie.agent.permissions.gate import Verdict
from punie.agent.policies.base import Change, Finding
from punie.agent.policies.builtin import is_python
from punie.agent.policies.project import Own
from punie.agent.tools.base import Call, Tool
from punie.agent.tools.paths import display, plural
from punie.agent.tools.results import Result
from punie.agent.turns.context import TurnContext

BACK = (
    "Before you end: what you changed does not pass these checks. Mend it, or say why it must stay."
)
"""What the model reads above the findings."""


class TrustPolicies(Struct, frozen=True, kw_only=True):
    """What is asked about: exactly these files."""

    files: str
    digest: str
    """SHA-256 of their names and content: other content is another question."""


async def _nothing(_call: Call, _args: TrustPolicies) -> Result:
    return Result(ok=True)


TRUST = Tool(
    name="trust_policies",
    kind="execute",
    risk="execute",
    description="Run the project's own checks of changes.",
    arguments=TrustPolicies,
    result=Result,
    run=_nothing,
    title=lambda args: f"Run this project's own checks, .punie/policies: {args.files}",
)
"""Never offered to a model: what the gate is asked about, so that an answer is remembered."""


class Findings(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What the checks found before the end of a turn."""

    files: int = 0
    findings: tuple[Finding, ...] = ()

    def headline(self) -> str:
        """Such as `2 findings in the 3 changed files`."""
        count = plural(len(self.findings), "finding") if self.findings else "no findings"
        return f"{count} in {plural(self.files, 'changed file')}"


async def check_edit(context: TurnContext, call: Call, diffs: Sequence[DiffContent]) -> str:
    """Check what a tool just changed.

    Args:
        context: The turn.
        call: In which workspace.
        diffs: What was changed.

    Returns:
        What the model reads below the tool's result; empty when nothing was found.
    """
    context.note_changes(diffs)
    changes = [_change(call, diff) for diff in diffs]
    findings = await context.checks.after_edit(call, changes, _Asking(context, call).trust)
    await _tell_broken(context)
    if not findings:
        return ""
    return "\n".join(["", "checks found:", *(finding.text() for finding in findings)])


async def check_end(context: TurnContext, *, number: int) -> list[Finding]:
    """Check everything that the turn changed, and show it as one call of its own.

    Args:
        context: The turn.
        number: The round, from 1 on.

    Returns:
        The findings; empty when the turn was cancelled meanwhile.
    """
    call = Call(context.workspace, None, context.services)
    changes = [_change(call, diff) for diff in context.changes.values()]
    call_id = context.claim_id(f"checks-{number}")

    async def show(**changed: Any) -> None:
        await context.emitter.emit(ToolCallUpdate(tool_call_id=call_id, **changed))

    title = f"Check {plural(len(changes), 'changed file')}"
    about: dict[str, Any] = {"title": title, "name": "checks", "kind": "read", "raw_input": {}}
    slow = any(is_python(change.path) for change in changes)
    if slow:
        await show(**about, status="in_progress")
        about: dict[str, Any] = {}
    trust = _Asking(context, call).trust

    async def may(tool: str, path: str) -> bool:
        from punie.agent.tools.catalog import CATALOG  # loads a lot

        return await context.gate.allows(CATALOG[tool], CATALOG[tool].parse({"path": path}), call)

    checking = asyncio.ensure_future(context.checks.before_end(call, changes, trust, may))
    findings = await _unless_cancelled(context, checking)
    if findings is None:
        if slow:
            await show(status="cancelled")
        return []
    await _tell_broken(context)
    if not slow and not findings:
        return []  # Nothing looked at such files: nothing to tell.
    blocking = [one for one in findings if one.blocking]
    result = Findings(ok=not blocking, files=len(changes), findings=tuple(findings))
    text = "\n".join([result.headline(), *(one.text() for one in findings)])
    status: Literal["failed", "completed"] = "failed" if blocking else "completed"
    await show(**about, status=status, content=(TextContent(text=text),))
    return findings


async def tell_left(context: TurnContext, findings: list[Finding]) -> None:
    """Tell the person what the model did not mend."""
    await context.emitter.emit(
        Notice(
            severity="warning",
            title=f"Ended with {plural(len(findings), 'finding')} that the model did not mend",
            description="\n".join(finding.text() for finding in findings),
        )
    )


def back_to_the_model(findings: list[Finding]) -> str:
    """Write the prompt of another round."""
    return "\n".join([BACK, *(finding.text() for finding in findings)])


def _change(call: Call, diff: DiffContent) -> Change:
    path = display(call.workspace, call.workspace.resolve(diff.path))
    return Change(path=path, old=diff.old_text, new=diff.new_text)


async def _unless_cancelled(
    context: TurnContext, checking: asyncio.Future[list[Finding]]
) -> list[Finding] | None:
    cancelled = asyncio.ensure_future(context.cancellation.wait())
    try:
        await asyncio.wait({checking, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        return checking.result() if checking.done() else None
    finally:
        for task in (checking, cancelled):
            task.cancel()
        await asyncio.wait({checking, cancelled})


async def _tell_broken(context: TurnContext) -> None:
    """Tell each broken policy once."""
    for name, reason in context.checks.broken.items():
        if name not in context.checks.told:
            context.checks.told.add(name)
            title = f"The check {name} does not work and is left out"
            await context.emitter.emit(Notice(severity="warning", title=title, description=reason))


class _Asking:
    """Asks through the gate whether a project's own policies may run, once for each content."""

    def __init__(self, context: TurnContext, call: Call) -> None:
        self._context = context
        self._call = call

    async def trust(self, own: Own) -> bool:
        answers = self._context.checks.trusted
        if own.digest not in answers:
            answers[own.digest] = await self._ask(own)
        return answers[own.digest]

    async def _ask(self, own: Own) -> bool:
        args = TrustPolicies(files=own.names(), digest=own.digest)
        call_id = self._context.claim_id(f"trust-{own.digest[:8]}")
        emit = self._context.emitter.emit
        title = TRUST.title(args)
        await emit(
            ToolCallUpdate(
                tool_call_id=call_id,
                title=title,
                name=TRUST.name,
                kind=TRUST.kind,
                status="pending",
                raw_input={"files": args.files},
            )
        )
        verdict: Verdict = await self._context.gate.check(TRUST, args, self._call, call_id)
        status: Literal["failed", "completed"] = "completed" if verdict.allowed else "failed"
        content = (TextContent(text=verdict.reason),)
        await emit(ToolCallUpdate(tool_call_id=call_id, status=status, content=content))
        return verdict.allowed
