"""The commands about what was allowed and what was changed, and taking either back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from punie.agent.commands.base import Desk, said
from punie.agent.errors import UndoError
from punie.agent.markdown import fenced
from punie.agent.permissions.policy import MODE_DESCRIPTIONS
from punie.agent.permissions.remembered import Remembered
from punie.agent.permissions.rules import Rules
from punie.agent.sessions.replies import Reply

if TYPE_CHECKING:
    from punie.agent.sessions.comparing import Compared

FORGET, ALL = "forget", "all"


def permissions(desk: Desk, argument: str) -> Reply:
    """Show the mode, the rules and the answers that hold, or forget answers."""

    async def answer() -> str:
        remembered = await desk.session.gate.remembered()
        verb, _, which = argument.partition(" ")
        if verb == FORGET:
            return await _forget(desk, remembered, which.strip())
        mode, rules = desk.session.mode, desk.session.gate.rules
        lines = [f"Mode `{mode}`: {MODE_DESCRIPTIONS[mode]}.", "", *_rules(rules)]
        root = desk.session.workspace.root
        if remembered:
            lines += ["", f"Answers, `/permissions {FORGET} NUMBER` takes one back:", ""]
            lines += [f"{n}. {_written(one, root)}" for n, one in enumerate(remembered, 1)]
        else:
            lines += ["", "No answer is remembered."]
        return "\n".join(lines)

    return said(answer)


def changes(desk: Desk, argument: str) -> Reply:
    """Show what the latest turn changed, and how each file is taken back; of one file its diff."""

    async def answer() -> str:
        checkpoints = desk.session.checkpoints
        if checkpoints is None:
            raise UndoError("This session keeps nothing of what it changes.")
        found = await checkpoints.compared(argument)
        if argument and found[0].diff:
            return f"{_changed(found[0])}\n\n{fenced(found[0].diff, 'diff')}"
        return "\n".join(["Changed last:", "", *(f"- {_changed(one)}" for one in found)])

    return said(answer)


def _changed(one: Compared) -> str:
    counts = f" (+{one.added} -{one.removed})" if one.diff else ""
    back = f"`/undo {one.name}` takes it back" if one.kept else "too large to be taken back"
    return f"`{one.name}` {one.state}{counts}: {back}"


def _rules(rules: Rules) -> list[str]:
    every = (("deny", rules.deny), ("ask", rules.ask), ("allow", rules.allow))
    lines = [f"- {verb} `{rule.text}`" for verb, some in every for rule in some]
    return ["Rules:", "", *lines] if lines else ["There are no rules."]


async def _forget(desk: Desk, remembered: list[Remembered], which: str) -> str:
    if which == ALL:
        chosen = remembered
    elif which.isdecimal() and 1 <= int(which) <= len(remembered):
        chosen = [remembered[int(which) - 1]]
    else:
        return f"`/permissions {FORGET} NUMBER` forgets one answer of the list, `{ALL}` every one."
    root = desk.session.workspace.root
    gone = [await desk.session.gate.forget(one) for one in chosen]
    lines = [
        f"Forgotten: {_written(one, root)}"
        if done
        else f"This could not be written, see the log: {_written(one, root)}"
        for one, done in zip(chosen, gone, strict=True)
    ]
    return "\n".join(lines) or "No answer is remembered."


def _written(one: Remembered, root: Path) -> str:
    """Write an answer as the option said it: what, and how far it reaches."""
    verdict = "allowed" if one.allowed else "rejected"
    tool, *about = one.call
    about = [part for part in about if part != str(root)]
    shown = f": `{' '.join(' '.join(about).split())}`" if about else ""
    return f"{verdict} `{tool}`{shown}, for this {one.scope}"
