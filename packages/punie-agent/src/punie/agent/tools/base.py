"""The shape of a tool, and the flat JSON schema made from its argument struct.

The catalog is a mapping of these; native calls, permission policy, prompts, training data and
evaluation read it. A tool's `run` must not raise for what the world does wrong (missing files,
programs, time-outs): it returns a result that is not `ok`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from punie.agent.events import DiffContent, ToolKind
from punie.agent.tools.results import Result
from punie.agent.workspaces.base import OnOutput, Workspace

Risk: TypeAlias = Literal["read", "check", "write", "execute"]
"""`read`: looks only. `check`: runs a fixed program of the project (its tests). `write`: changes
files. `execute`: runs what the model wrote."""

A = TypeVar("A", bound=Struct)
R = TypeVar("R", bound=Result, covariant=True)


class Call(NamedTuple):
    """What a tool gets besides its arguments."""

    workspace: Workspace
    on_output: OnOutput | None = None
    """Receives output of a running command."""


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
    preview: Callable[[Call, A], Awaitable[DiffContent | None]] | None = None
    """The change that `run` would make, shown before permission is asked."""
    examples: tuple[A, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments: flat, closed, without titles or references."""
        return argument_schema(self.arguments)

    def parse(self, arguments: object) -> A:
        """Turn a JSON object into the argument struct.

        Raises:
            msgspec.ValidationError: It does not fit; the message names the field.
        """
        return msgspec.convert(arguments, self.arguments, strict=False)


def argument_schema(arguments: type[Struct]) -> dict[str, Any]:
    """Write a flat JSON schema for a struct of strings, integers and booleans.

    Small models read flat schemas best, so references, titles and unions are left out.

    Args:
        arguments: A struct whose fields are `str`, `int` or `bool`.

    Returns:
        An object schema with `properties`, `required` and `additionalProperties: false`.
    """
    names = {str: "string", int: "integer", bool: "boolean"}
    fields = msgspec.structs.fields(arguments)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            f.encode_name: {"type": names[f.type]}
            | ({} if f.required else {"default": f.default})
            for f in fields
        },
        "additionalProperties": False,
    }
    if required := [f.encode_name for f in fields if f.required]:
        schema["required"] = required
    return schema
