"""What a call would do, one thing at a time, and what the rules say about each.

A command is as many effects as it has programs and redirections: a file that the shell would write
counts as a call of `write_file`. Paths are resolved here, links followed; nothing is asked or run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from punie.agent.permissions.commands import Reading, read
from punie.agent.permissions.policy import UNRULED, Decision, Mode, decide, strictest
from punie.agent.permissions.rules import Place, Rules, Ruling
from punie.agent.permissions.shell import Redirect
from punie.agent.tools.base import Call, Risk, Tool
from punie.agent.workspaces.base import Workspace

_HARMLESS = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"})
_TOOL_OF = {"read": "read_file", "write": "write_file"}


class Effect(NamedTuple):
    """One thing that a call would do."""

    risk: Risk
    ruling: Ruling = UNRULED
    path: Path | None = None
    """Where it would do it, links followed."""
    outside: bool = False
    """That leaves the session's folder, or nobody can tell."""


class Effects(NamedTuple):
    """Everything that a call would do; never empty."""

    all: tuple[Effect, ...]

    def decide(self, mode: Mode) -> Decision:
        """Apply the policy: the strictest decision counts."""
        return strictest(
            decide(mode, effect.risk, outside=effect.outside, ruling=effect.ruling)
            for effect in self.all
        )

    @property
    def narrow(self) -> tuple[Path, ...]:
        """The paths that an "always" must name: outside, or where a rule wants a question."""
        ruled = any(effect.ruling.verdict in {"ask", "hidden"} for effect in self.all)
        paths = (effect.path for effect in self.all if effect.outside or ruled)
        return tuple(dict.fromkeys(path for path in paths if path is not None))


def effects_of(
    tool: Tool[Any, Any],
    args: Struct,
    call: Call,
    rules: Rules,
    *,
    changes: Sequence[str] = (),
) -> Effects:
    """Work out what a call would do.

    Args:
        tool: What would run.
        args: With what.
        call: In which workspace.
        rules: The rules that hold.
        changes: Absolute paths of files that its preview would change.
    """
    found = list(_on_paths(tool, args, call.workspace, rules))
    named = {effect.path for effect in found}
    for changed in changes:
        path = call.workspace.resolve(changed)
        if path not in named:
            found.append(_on_path(tool, changed, path, call.workspace, rules))
    command = getattr(args, "command", None)
    if tool.risk == "execute" and isinstance(command, str):
        found += _of_command(tool, args, command, call.workspace, rules)
    elif tool.risk == "execute" or not found:
        found.append(Effect(tool.risk, rules.on_tool(tool.name)))
    return Effects(tuple(found))


def _on_paths(
    tool: Tool[Any, Any], args: Struct, workspace: Workspace, rules: Rules
) -> Iterator[Effect]:
    for name in tool.path_arguments:
        value = str(getattr(args, name))
        # A test id names a file before its `::`, and that file may be a link.
        for part in dict.fromkeys((value, value.partition("::")[0])):
            path = workspace.resolve(part)
            if tool.risk != "execute":
                yield _on_path(tool, part, path, workspace, rules)
            elif not workspace.contains(path):  # rules are about what runs, not about its folder
                yield Effect("read", UNRULED, path, outside=True)


def _on_path(
    tool: Tool[Any, Any], named: str, path: Path, workspace: Workspace, rules: Rules
) -> Effect:
    ruling = rules.on_path(tool.name, _place(workspace, named, path))
    return Effect(tool.risk, ruling, path, not workspace.contains(path))


def _of_command(
    tool: Tool[Any, Any], args: Struct, command: str, workspace: Workspace, rules: Rules
) -> Iterator[Effect]:
    reading = read(command)
    yield Effect(tool.risk, rules.on_command(tool.name, reading))
    cwd = workspace.resolve(str(getattr(args, "cwd", "")))
    for redirect in reading.redirects:
        if redirect.target.text not in _HARMLESS:
            yield _redirected(redirect, reading, cwd, workspace, rules)


def _redirected(
    redirect: Redirect, reading: Reading, cwd: Path, workspace: Workspace, rules: Rules
) -> Effect:
    target, name = redirect.target, _TOOL_OF[redirect.access]
    if not target.fixed or (reading.moves and not os.path.isabs(target.text)):  # noqa: PTH117 text
        return Effect(redirect.access, rules.on_path(name, None), None, outside=True)
    named = str(cwd / target.text)
    path = workspace.resolve(named)
    ruling = rules.on_path(name, _place(workspace, named, path))
    return Effect(redirect.access, ruling, path, not workspace.contains(path))


def _place(workspace: Workspace, named: str, path: Path) -> Place:
    return Place(
        resolved=path.as_posix(),
        named=Path(os.path.normpath(workspace.root / named)).as_posix(),
        root=workspace.root.as_posix(),
        more=tuple(folder.as_posix() for folder in workspace.roots[1:]),
    )
