"""Tools that change several places at once: renaming, moving, imports, several exact edits.

Each is planned whole, shown as a diff of every file, and written through the workspace all or not
at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct

from punie.agent.events import DiffContent
from punie.agent.mcp.ide import ide_of
from punie.agent.tools.base import Call
from punie.agent.tools.language.answers import Place
from punie.agent.tools.language.service import NoAnswerError
from punie.agent.tools.paths import display, plural
from punie.agent.tools.programs import locate
from punie.agent.tools.refactor.changes import CannotError, Plan, plan_of, texts_of, write_all
from punie.agent.tools.refactor.imports import plan_add, plan_fix, plan_format, plan_organize
from punie.agent.tools.refactor.moving import plan_move
from punie.agent.tools.refactor.renaming import MAX_LEFT, plan_rename
from punie.agent.tools.replace import NotEdited, replace_once
from punie.agent.tools.results import Result


class OfFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `organize_imports`, `format_file` and `fix_lint`."""

    path: str


class RenameSymbol(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `rename_symbol`."""

    symbol: str
    new_name: str


class MoveSymbol(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `move_symbol`."""

    symbol: str
    path: str
    """The Python file it goes to."""


class AddImport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `add_import`."""

    path: str
    statement: str


class Replacement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exact replacement."""

    old: str
    new: str


class MultiEdit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `multi_edit`."""

    path: str
    edits: tuple[Replacement, ...]
    """Made one after the other; each `old` must occur once by then."""


class RefactorResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What was changed, and what was left for somebody to look at."""

    files: tuple[str, ...] = ()
    places: int = 0
    left: tuple[str, ...] = ()
    """Mentions of the name that were not changed: comments, strings, what types do not tell."""
    note: str = ""
    choices: tuple[Place, ...] = ()
    """What a name may mean that fits several symbols."""

    def headline(self) -> str:
        """Such as `7 places changed in 3 files, 2 mentions left`."""
        if self.error:
            return self.error
        if not self.files:
            return "nothing to change"
        left = f", {plural(len(self.left), 'mention')} left" if self.left else ""
        places, files = plural(self.places, "place"), plural(len(self.files), "file")
        return f"{places} changed in {files}{left}"

    def details(self) -> str:
        """The files, then what was left."""
        lines = [place.shown() for place in self.choices] or list(self.files)
        if self.left:
            lines += ["left as they are:", *self.left[:MAX_LEFT]]
            if len(self.left) > MAX_LEFT:
                lines.append(f"({len(self.left) - MAX_LEFT} more)")
        return "\n".join([*lines, self.note] if self.note else lines)


async def rename_symbol(call: Call, args: RenameSymbol) -> RefactorResult:
    """Rename a symbol in all files, by the IDE where it offers that."""
    return await _by_ide(call, args) or await _do(
        call, plan_rename(call, args.symbol, args.new_name)
    )


async def _by_ide(call: Call, args: RenameSymbol) -> RefactorResult | None:
    """Let the IDE rename what was found here; `None` when it cannot."""
    ide = ide_of(call.services, call.workspace.root)
    if ide is None or not ide.offers("rename_refactoring"):
        return None
    try:
        plan = await plan_rename(call, args.symbol, args.new_name)
    except (CannotError, NoAnswerError):
        return None  # The plan for here says why.
    done = await ide.call(
        "rename_refactoring",
        path=display(call.workspace, plan.home),
        symbol=args.symbol.rpartition(".")[2],
        new_name=args.new_name,
    )
    return None if done is None else _done(call, plan, "renamed by the IDE")


async def preview_rename(call: Call, args: RenameSymbol) -> tuple[DiffContent, ...]:
    """Show what renaming would change."""
    return await _preview(plan_rename(call, args.symbol, args.new_name))


async def move_symbol(call: Call, args: MoveSymbol) -> RefactorResult:
    """Move a symbol to another module."""
    return await _do(call, plan_move(call, args.symbol, args.path))


async def preview_move(call: Call, args: MoveSymbol) -> tuple[DiffContent, ...]:
    """Show what moving would change."""
    return await _preview(plan_move(call, args.symbol, args.path))


async def add_import(call: Call, args: AddImport) -> RefactorResult:
    """Add an import to a file."""
    return await _do(call, _plan_add(call, args))


async def preview_add(call: Call, args: AddImport) -> tuple[DiffContent, ...]:
    """Show the file with the import."""
    return await _preview(_plan_add(call, args))


async def organize_imports(call: Call, args: OfFile) -> RefactorResult:
    """Sort a file's imports and remove those that nothing uses."""
    return await _do(call, _plan_ruff(call, args, plan_organize))


async def preview_organize(call: Call, args: OfFile) -> tuple[DiffContent, ...]:
    """Show the file with its imports in order."""
    return await _preview(_plan_ruff(call, args, plan_organize))


async def format_file(call: Call, args: OfFile) -> RefactorResult:
    """Format a file."""
    return await _do(call, _plan_ruff(call, args, plan_format))


async def preview_format(call: Call, args: OfFile) -> tuple[DiffContent, ...]:
    """Show the formatted file."""
    return await _preview(_plan_ruff(call, args, plan_format))


async def fix_lint(call: Call, args: OfFile) -> RefactorResult:
    """Mend what ruff can mend safely, by the project's own rules."""
    return await _do(call, _plan_ruff(call, args, plan_fix))


async def preview_fix(call: Call, args: OfFile) -> tuple[DiffContent, ...]:
    """Show the mended file."""
    return await _preview(_plan_ruff(call, args, plan_fix))


async def multi_edit(call: Call, args: MultiEdit) -> RefactorResult:
    """Make several exact replacements in one file, all or none."""
    return await _do(call, _plan_edits(call, args))


async def preview_edits(call: Call, args: MultiEdit) -> tuple[DiffContent, ...]:
    """Show the file with all replacements."""
    return await _preview(_plan_edits(call, args))


async def _do(call: Call, planning: Awaitable[Plan]) -> RefactorResult:
    try:
        plan = await planning
        await write_all(call, plan)
    except CannotError as error:
        return RefactorResult(ok=False, error=str(error))
    except NoAnswerError as error:
        return RefactorResult(ok=False, error=str(error), choices=error.choices)
    return _done(call, plan, plan.note)


def _done(call: Call, plan: Plan, note: str) -> RefactorResult:
    return RefactorResult(
        ok=True,
        files=tuple(display(call.workspace, one.path) for one in plan.changes),
        places=plan.places if plan.changes else 0,
        left=plan.left,
        note=note,
    )


async def _preview(planning: Awaitable[Plan]) -> tuple[DiffContent, ...]:
    try:
        return (await planning).diffs()
    except (CannotError, NoAnswerError):
        return ()


async def _plan_add(call: Call, args: AddImport) -> Plan:
    target = await locate(call, args.path)
    if target.error:
        raise CannotError(target.error)
    return await plan_add(call, target.path, args.statement)


async def _plan_ruff(
    call: Call, args: OfFile, plan: Callable[[Call, Path], Awaitable[Plan]]
) -> Plan:
    target = await locate(call, args.path)
    if target.error:
        raise CannotError(target.error)
    return await plan(call, target.path)


async def _plan_edits(call: Call, args: MultiEdit) -> Plan:
    target = await locate(call, args.path)
    if target.error:
        raise CannotError(target.error)
    old = (await texts_of(call.workspace, [target.path]))[target.path]
    new = old
    for number, edit in enumerate(args.edits, 1):
        edited = await asyncio.to_thread(replace_once, new, edit.old, edit.new)
        if isinstance(edited, NotEdited):
            hint = f"\n{edited.hint}" if edited.hint else ""
            raise CannotError(f"nothing was changed: edit {number}: {edited.reason}{hint}")
        new = edited.text
    return plan_of(call.workspace, {target.path: old}, {target.path: new}, places=len(args.edits))
