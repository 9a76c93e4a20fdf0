"""The shape of a tool, and the flat JSON schema made from its argument struct.

The catalog is a mapping of these; native calls, permission policy, prompts, training data and
evaluation read it. A tool's `run` must not raise for what the world does wrong (missing files,
programs, time-outs): it returns a result that is not `ok`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import Struct

from punie.agent.events import DiffContent, ToolKind
from punie.agent.tools.results import Result
from punie.agent.tools.services import Services
from punie.agent.workspaces.base import OnOutput, Workspace

Risk: TypeAlias = Literal["read", "check", "write", "execute"]
"""`read`: looks only. `check`: runs a fixed program of the project (its tests). `write`: changes
files. `execute`: runs what the model wrote."""

CORE = "core"
"""The group of tools that every model is offered."""

A = TypeVar("A", bound=Struct)
R = TypeVar("R", bound=Result, covariant=True)


class Said(NamedTuple):
    """What became of a question to the person."""

    outcome: Literal["answered", "declined", "cancelled", "unanswerable", "later"]
    """`later`: it is shown as text at the end of the turn, and the next prompt is the answer."""
    text: str = ""
    """The answer."""


AskPerson: TypeAlias = Callable[[str, tuple[str, ...]], Awaitable[Said]]
"""Puts a question with its choices, perhaps none, to the person."""


@dataclass(frozen=True)
class Call:
    """What a tool gets besides its arguments."""

    workspace: Workspace
    on_output: OnOutput | None = None
    """Receives output of a running command."""
    services: Services = dataclasses.field(default_factory=Services)
    """What tools of one session keep open between calls."""
    nested: Callable[[str, dict[str, Any]], Awaitable[Result]] | None = None
    """Makes a call of another tool on the way, with everything around it; raises
    `PermissionError` when it is denied, `ValueError` when its arguments do not fit."""
    ask: AskPerson | None = None
    """Asks the person; `None` when nobody can be asked."""


@dataclass(frozen=True, kw_only=True)
class Tool(Generic[A, R]):
    """One tool: the single source of its name, risk, schema and behaviour."""

    name: str
    kind: ToolKind
    risk: Risk
    description: str
    """One line, for the model."""
    arguments: type[A]
    result: type[R]
    run: Callable[[Call, A], Awaitable[R]]
    title: Callable[[A], str]
    """What the person reads, such as `Read src/x.py`."""
    path_arguments: tuple[str, ...] = ()
    """Arguments that name a file or folder: the policy looks where they lead."""
    copied_arguments: tuple[str, ...] = ()
    """Arguments that quote the user's words, such as a search query. With `path_arguments` they
    tell a constrained decoder what it may copy from the prompt."""
    shown: tuple[str, ...] | None = None
    """Arguments that the model is offered, then all required; `None` offers every one."""
    preview: Callable[[Call, A], Awaitable[tuple[DiffContent, ...]]] | None = None
    """The changes that `run` would make, shown before permission is asked; none when it fails."""
    group: str = CORE
    """What a model spec or a setting asks for to get it; only `core` is offered by default."""
    examples: tuple[A, ...] = ()

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments: flat, closed, without titles or references; not to be changed."""
        return argument_schema(self.arguments, shown=self.shown)

    def parse(self, arguments: object) -> A:
        """Turn a JSON object into the argument struct.

        Raises:
            msgspec.ValidationError: It does not fit; the message names the field.
        """
        return msgspec.convert(arguments, self.arguments, strict=False)


def argument_schema(
    arguments: type[Struct], *, shown: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Write a JSON schema for a struct of strings, integers, booleans and lists of such structs.

    Small models read flat schemas best, so references, titles and unions are left out.

    Args:
        arguments: A struct whose fields are `str`, `int`, `bool` or `tuple[Struct, ...]`.
        shown: Only these fields, all of them required; every field as declared by default.

    Returns:
        An object schema with `properties`, `required` and `additionalProperties: false`.
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in msgspec.structs.fields(arguments):
        if shown is not None and field.encode_name not in shown:
            continue
        properties[field.encode_name] = _type_schema(field.type)
        if field.required or shown is not None:
            required.append(field.encode_name)
        else:
            properties[field.encode_name]["default"] = field.default
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema | {"additionalProperties": False}


def _type_schema(kind: Any) -> dict[str, Any]:
    names = {str: "string", int: "integer", bool: "boolean"}
    if kind in names:
        return {"type": names[kind]}
    item, _ = get_args(kind)
    return {"type": "array", "items": argument_schema(item)}
