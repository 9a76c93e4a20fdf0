"""A change of several files: what it would be, whether it still parses, and writing all of it.

Refactorings plan one of these; a preview is the plan alone.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from punie.agent.events import DiffContent
from punie.agent.tools.base import Call
from punie.agent.tools.paths import display
from punie.agent.workspaces.base import Workspace


class CannotError(Exception):
    """The refactoring cannot be done; the message is one sentence for the model."""


class FileChange(Struct, frozen=True, kw_only=True):
    """One file before and after."""

    path: Path
    old: str | None
    """`None` for a new file."""
    new: str


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that a refactoring would change."""

    changes: tuple[FileChange, ...] = ()
    home: Path = Path()
    """The file that defines what is renamed."""
    places: int = 0
    """Places that change."""
    left: tuple[str, ...] = ()
    """Lines that mention the name and stay as they are, as `path:line: text`."""
    note: str = ""
    """What the person should know of how it was worked out."""

    def diffs(self) -> tuple[DiffContent, ...]:
        """Give the changes as a person is shown them."""
        return tuple(
            DiffContent(path=str(one.path), old_text=one.old, new_text=one.new)
            for one in self.changes
        )


async def texts_of(workspace: Workspace, paths: list[Path]) -> dict[Path, str]:
    """Read files as the workspace has them.

    Raises:
        CannotError: One cannot be read as text.
    """
    texts: dict[Path, str] = {}
    for path in paths:
        try:
            texts[path] = await workspace.read_text(path)
        except (OSError, UnicodeDecodeError) as error:
            raise CannotError(f"{display(workspace, path)} cannot be read: {error}") from error
    return texts


def plan_of(
    workspace: Workspace,
    before: Mapping[Path, str | None],
    after: Mapping[Path, str],
    *,
    places: int = 0,
    left: tuple[str, ...] = (),
    note: str = "",
) -> Plan:
    """Make a plan of texts before and after.

    Raises:
        CannotError: It reaches outside the project, or a file that parsed would not parse any more.
    """
    changes: list[FileChange] = []
    for path, new in sorted(after.items()):
        old = before.get(path)
        if old == new:
            continue
        if not workspace.contains(path):
            raise CannotError(f"it would change {path}, which is outside the project")
        why = syntax_error(new) if path.suffix in {".py", ".pyi"} else ""
        if why and (old is None or not syntax_error(old)):
            raise CannotError(f"{display(workspace, path)} would not parse any more: {why}")
        changes.append(FileChange(path=path, old=old, new=new))
    return Plan(changes=tuple(changes), places=places, left=left, note=note)


def syntax_error(text: str) -> str:
    """Say what Python does not accept in a text, such as `line 3: invalid syntax`; or nothing."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return f"line {error.lineno or 1}: {error.msg}"
    except ValueError as error:
        return f"line 1: {error}"
    return ""


async def write_all(call: Call, plan: Plan) -> None:
    """Write every file of a plan; when one cannot be written, put back those that were.

    Raises:
        CannotError: Nothing was changed, or the message says what could not be put back.
    """
    # A new file comes last: a workspace can put back a text, not take away a file.
    ordered = sorted(plan.changes, key=lambda one: one.old is None)
    written: list[FileChange] = []
    for change in ordered:
        try:
            await call.workspace.write_text(change.path, change.new)
        except (OSError, UnicodeEncodeError) as error:
            stuck = await _put_back(call, written)
            shown = display(call.workspace, change.path)
            state = f"and {', '.join(stuck)} could not be put back" if stuck else "nothing changed"
            raise CannotError(f"{shown} cannot be written: {error}; {state}") from error
        written.append(change)


async def _put_back(call: Call, written: list[FileChange]) -> list[str]:
    stuck: list[str] = []
    for change in written:
        try:
            await call.workspace.write_text(change.path, change.old or "")
        except (OSError, UnicodeEncodeError):
            stuck.append(display(call.workspace, change.path))
    return stuck
