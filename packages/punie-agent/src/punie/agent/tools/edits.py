"""Changing files: `edit_file` and `write_file`, and what each would change, for the person to see.

Both plan first and write last, in one step through the workspace; a preview is the plan alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from punie.agent.events import DiffContent
from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, kind, missing, plural
from punie.agent.tools.replace import Edited, NotEdited, count_lines, like, replace_once
from punie.agent.tools.results import Result


class EditFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `edit_file`."""

    path: str
    old: str
    """Text that occurs exactly once in the file."""
    new: str


class EditResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """One replaced place, or why there is none."""

    path: str
    line: int = 0
    """First line of the place, 1-based."""
    added: int = 0
    removed: int = 0
    """Lines of the new and of the replaced text."""
    adjusted: bool = False
    """The place differed from `old` in indentation or trailing spaces; `new` was shifted."""
    hint: str = ""
    """The most similar place, as a diff, when `old` does not occur."""

    def headline(self) -> str:
        """Such as `src/x.py edited at line 12: 2 lines added, 1 removed`."""
        if self.error:
            return self.error
        note = f", {self.remark()}" if self.adjusted else ""
        counts = f"{plural(self.added, 'line')} added, {self.removed} removed"
        return f"{self.path} edited at line {self.line}: {counts}{note}"

    def remark(self) -> str:
        """Such as `indentation adjusted`."""
        return "indentation adjusted" if self.adjusted else ""

    def details(self) -> str:
        """The most similar place of the file, after a failed edit."""
        return f"most similar place: {self.hint}" if self.hint else ""


class WriteFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `write_file`."""

    path: str
    content: str


class WriteResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """A file that was created or replaced."""

    path: str
    created: bool = False
    lines: int = 0

    def headline(self) -> str:
        """Such as `src/x.py created, 12 lines`."""
        if self.error:
            return self.error
        verb = "created" if self.created else "replaced"
        return f"{self.path} {verb}, {plural(self.lines, 'line')}"


class _Plan(NamedTuple):
    """A change that was worked out but not made; an `error` means there is none."""

    path: Path
    old_text: str | None = None
    new_text: str = ""
    edited: Edited | None = None
    error: str = ""
    hint: str = ""

    def diff(self) -> tuple[DiffContent, ...]:
        if self.error:
            return ()
        change = DiffContent(path=str(self.path), old_text=self.old_text, new_text=self.new_text)
        return (change,)


async def edit_file(call: Call, args: EditFile) -> EditResult:
    """Replace the one place where `old` occurs."""
    plan = await _plan_edit(call, args)
    shown = display(call.workspace, plan.path)
    error = plan.error or await _write(call, plan)
    if error or plan.edited is None:
        return EditResult(ok=False, path=shown, error=error, hint=plan.hint)
    return EditResult(
        ok=True,
        path=shown,
        line=plan.edited.line,
        added=plan.edited.added,
        removed=plan.edited.removed,
        adjusted=plan.edited.adjusted,
    )


async def preview_edit(call: Call, args: EditFile) -> tuple[DiffContent, ...]:
    """Show what `edit_file` would change; nothing when it would fail."""
    return (await _plan_edit(call, args)).diff()


async def write_file(call: Call, args: WriteFile) -> WriteResult:
    """Create a file or replace its whole text."""
    plan = await _plan_write(call, args)
    shown = display(call.workspace, plan.path)
    if error := plan.error or await _write(call, plan):
        return WriteResult(ok=False, path=shown, error=error)
    return WriteResult(
        ok=True, path=shown, created=plan.old_text is None, lines=count_lines(plan.new_text)
    )


async def preview_write(call: Call, args: WriteFile) -> tuple[DiffContent, ...]:
    """Show what `write_file` would change; nothing when it would fail."""
    return (await _plan_write(call, args)).diff()


async def _plan_edit(call: Call, args: EditFile) -> _Plan:
    path = call.workspace.resolve(args.path)
    plan = await _read_old(call, path)
    if plan.error:
        return plan
    if plan.old_text is None:
        error = await asyncio.to_thread(missing, call.workspace, path)
        return _Plan(path, error=error)
    edited = await asyncio.to_thread(replace_once, plan.old_text, args.old, args.new)
    if isinstance(edited, NotEdited):
        shown = display(call.workspace, path)
        return _Plan(path, error=f"{shown} was not edited: {edited.reason}", hint=edited.hint)
    return plan._replace(new_text=edited.text, edited=edited)


async def _plan_write(call: Call, args: WriteFile) -> _Plan:
    plan = await _read_old(call, call.workspace.resolve(args.path))
    if plan.error or plan.old_text is None:
        return plan._replace(new_text=args.content)
    return plan._replace(new_text=like(plan.old_text, args.content))


async def _read_old(call: Call, path: Path) -> _Plan:
    shown = display(call.workspace, path)
    if await asyncio.to_thread(kind, path) == "folder":
        return _Plan(path, error=f"{shown} is a folder, not a file")
    try:
        return _Plan(path, old_text=await call.workspace.read_text(path))
    except FileNotFoundError:
        return _Plan(path)
    except UnicodeDecodeError:
        return _Plan(path, error=f"{shown} is not a text file, so it was left alone")
    except OSError as error:
        return _Plan(path, error=f"{shown} cannot be read: {error.strerror or error}")


async def _write(call: Call, plan: _Plan) -> str:
    """Make the change.

    Returns:
        What went wrong; empty when it was made.
    """
    try:
        await call.workspace.write_text(plan.path, plan.new_text)
    except UnicodeEncodeError:
        return "the new text holds characters that UTF-8 cannot write (half of a surrogate pair)"
    except OSError as error:
        shown = display(call.workspace, plan.path)
        return f"{shown} was not changed, it cannot be written: {error.strerror or error}"
    return ""
