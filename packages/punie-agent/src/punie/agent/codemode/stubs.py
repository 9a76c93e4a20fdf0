"""Typed stubs of tools, for the sandbox's type checker and for the model, made from the catalog.

A result reaches the code as a dictionary with every field of its type.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from punie.agent.tools.base import Tool

_PLAIN: dict[Any, str] = {
    str: "str",
    int: "int",
    bool: "bool",
    float: "float",
    type(None): "None",
    Any: "object",
}
_HEADER = "from typing import TypedDict\nclass PermissionError(OSError): ..."
"""The sandbox has `PermissionError`, its type checker does not know it."""


def stubs_of(tools: Iterable[Tool[Any, Any]]) -> str:
    """Write stubs of tools and of the types of their results.

    Args:
        tools: Those that the code may call.
    """
    structs: dict[type[Struct], str] = {}
    functions = [signature(tool, structs) for tool in tools]
    return "\n".join([_HEADER, *structs.values(), *functions]) + "\n"


def signature(tool: Tool[Any, Any], structs: dict[type[Struct], str]) -> str:
    """Write one tool as an async function.

    Args:
        tool: The tool.
        structs: Filled with the types that it needs.
    """
    arguments: list[str] = []
    for field in msgspec.structs.fields(tool.arguments):
        text = f"{field.name}: {_type(field.type, structs)}"
        arguments.append(text if field.required else f"{text} = {field.default!r}")
    result = _type(tool.result, structs)
    return f"async def {tool.name}({', '.join(arguments)}) -> {result}: ..."


def plain(value: object) -> Any:
    """Turn a result into what the code gets: dictionaries with every field, and lists."""
    if isinstance(value, Struct):
        return {
            field.name: plain(getattr(value, field.name))
            for field in msgspec.structs.fields(type(value))
        }
    if isinstance(value, Mapping):
        items = typing.cast("Mapping[object, object]", value).items()
        return {str(key): plain(one) for key, one in items}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in typing.cast("list[object]", value)]
    return value


def _type(kind: Any, structs: dict[type[Struct], str]) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(dict.fromkeys(_PLAIN[type(one)] for one in args))
    if origin in {tuple, list}:
        return f"list[{_type(args[0], structs)}]"
    if origin is dict:
        return f"dict[str, {_type(args[1], structs)}]"
    if origin in {typing.Union, types.UnionType}:
        return " | ".join(_type(one, structs) for one in args)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _struct(kind, structs)
    return "object"  # of another make's tool


def _struct(kind: type[Struct], structs: dict[type[Struct], str]) -> str:
    if kind not in structs:
        structs[kind] = ""  # A place for it, should it hold itself.
        fields = [
            f"    {field.name}: {_type(field.type, structs)}"
            for field in msgspec.structs.fields(kind)
        ]
        structs[kind] = "\n".join([f"class {_name(kind, structs)}(TypedDict):", *fields])
    return _name(kind, structs)


def _name(kind: type[Struct], structs: Iterable[type[Struct]]) -> str:
    """Name a type as it calls itself; one of another make may be called the same."""
    alike = [one for one in structs if one.__name__ == kind.__name__]
    number = alike.index(kind)
    return f"{kind.__name__}{number + 1}" if number else kind.__name__
