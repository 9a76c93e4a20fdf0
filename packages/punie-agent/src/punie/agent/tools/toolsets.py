"""Tools of other distributions: the entry point group `punie.toolsets`.

An entry point names a tool, several of them, or a module that holds some. They become tools like
those of the catalog: same gate, workspace, events and results, called by a model or by its code. A
toolset of which one tool does not fit is left out whole, with its reason, and takes nothing down.
What its tools do when they run is their own business.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, NamedTuple, cast, get_args, get_type_hints

import msgspec
from msgspec import Struct

from punie.agent.events import ToolKind
from punie.agent.tools.base import CORE, Risk, Tool
from punie.agent.tools.results import Result

GROUP = "punie.toolsets"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
"""What servers of models take as the name of a function, and Python too."""
_PATHS = frozenset({"path", "cwd"})
"""Arguments that must be declared: the policy looks only where declared ones lead."""


class Loaded(NamedTuple):
    """What there is."""

    tools: Mapping[str, Tool[Any, Any]]
    """By name."""
    groups: tuple[str, ...]
    """Those that are offered without being asked for, one per toolset at most."""
    broken: Mapping[str, str]
    """Reasons, by entry point."""


@functools.cache
def installed(taken: frozenset[str]) -> Loaded:
    """Give the tools of every installed distribution, loaded once for the process.

    Args:
        taken: Names of tools and groups that are given already.
    """
    return load(entry_points(group=GROUP), taken)


def load(points: Iterable[EntryPoint], taken: Collection[str]) -> Loaded:
    """Load toolsets.

    Args:
        points: Entry points. Of two with the same name the first by distribution counts.
        taken: Names of tools and groups that are given already.
    """
    tools: dict[str, Tool[Any, Any]] = {}
    groups: list[str] = []
    broken: dict[str, str] = {}
    seen: set[str] = set()
    for point in sorted(points, key=_precedence):
        if point.name in seen:
            continue
        seen.add(point.name)
        try:
            found = _tools_of(point, {*taken, *tools, *groups})
        # Somebody else's code may raise anything, `SystemExit` included.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            said = " ".join(str(error).split())
            broken[point.name] = said if isinstance(error, _UnfitError) else _named(error, said)
            continue
        tools |= {tool.name: tool for tool in found}
        if any(tool.group == point.name for tool in found):
            groups.append(point.name)
    return Loaded(tools, tuple(groups), broken)


def _precedence(point: EntryPoint) -> tuple[bool, str]:
    """Sort Punie's own before others, as `punie plugins` does."""
    name = point.dist.name if point.dist else ""
    return not name.startswith("punie-"), name


class _UnfitError(Exception):
    """A toolset that cannot be offered; the message says why."""


def _named(error: BaseException, said: str) -> str:
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _tools_of(point: EntryPoint, taken: Collection[str]) -> list[Tool[Any, Any]]:
    found = _held(point.load())
    if not found:
        raise _UnfitError(f"{point.value} holds no tool")
    if point.name in taken or not _NAME.fullmatch(point.name.replace("-", "_")):
        raise _UnfitError(f"{point.name!r} cannot be the name of a group of tools")
    names: set[str] = set()
    for tool in found:
        if problem := _problem(tool, {*taken, *names}):
            raise _UnfitError(f"the tool {tool.name!r} {problem}")
        names.add(tool.name)
    return [
        dataclasses.replace(tool, group=point.name) if tool.group == CORE else tool
        for tool in found
    ]


def _held(thing: object) -> list[Tool[Any, Any]]:
    if isinstance(thing, Tool):
        return [cast("Tool[Any, Any]", thing)]
    if isinstance(thing, ModuleType):
        things: Iterable[object] = vars(thing).values()
    elif isinstance(thing, (list, tuple)):
        things = cast("list[object]", thing)
    else:
        return []
    tools = [cast("Tool[Any, Any]", one) for one in things if isinstance(one, Tool)]
    return list({id(tool): tool for tool in tools}.values())


def _problem(tool: Tool[Any, Any], taken: Collection[str]) -> str:
    """Say what keeps a tool from being offered; nothing when it fits."""
    if not _NAME.fullmatch(tool.name):
        return "needs a name of small letters, digits and underscores"
    if tool.name in taken:
        return "has a name that is taken"
    if tool.group != CORE and tool.group in taken:
        return f"cannot join the group {tool.group!r}"
    if tool.kind not in get_args(ToolKind):
        return f"has an unknown kind {tool.kind!r}: it is one of {', '.join(get_args(ToolKind))}"
    if tool.risk not in get_args(Risk):
        return f"has an unknown risk {tool.risk!r}: it is one of {', '.join(get_args(Risk))}"
    if not _is_a(tool.result, Result):
        return "has a result that is no punie.agent.tools.results.Result"
    if not _is_a(tool.arguments, Struct):
        return "has arguments that are no msgspec.Struct"
    if tool.risk == "write" and tool.preview is None:
        return "changes files, so it needs a preview of the change"
    return _problem_of_arguments(tool)


def _is_a(thing: object, kind: type) -> bool:
    return isinstance(thing, type) and issubclass(thing, kind)


def _problem_of_arguments(tool: Tool[Any, Any]) -> str:
    hints = get_type_hints(tool.arguments)
    for name in (*tool.path_arguments, *tool.copied_arguments):
        if hints.get(name) is not str:
            return f"names an argument {name!r}, which is no text of its arguments"
    if hidden := (_PATHS & hints.keys()) - set(tool.path_arguments):
        return f"does not name {', '.join(sorted(hidden))} among its path_arguments"
    if not tool.arguments.__struct_config__.forbid_unknown_fields:
        return "takes arguments that nobody declared: its struct needs forbid_unknown_fields=True"
    try:
        json.dumps(tool.schema)
        for example in tool.examples:
            tool.parse(msgspec.to_builtins(example))
    except (TypeError, ValueError, msgspec.ValidationError):
        return "has arguments that are not all str, int, bool or a tuple of structs of those"
    return ""
