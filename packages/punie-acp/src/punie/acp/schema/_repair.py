"""What a message that does not fit its type becomes before it is read again.

Loaded with the first such message, since most connections never see one. `punie.acp.schema.reading`
tells the rules.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
# What is repaired is JSON of any shape.

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, UnsetType
from msgspec.structs import FieldInfo, fields

from punie.acp.schema._base import UNKNOWN_TAG, OnError

_MALFORMED = object()


class _Shape(NamedTuple):
    """What the slow path needs to know of a type."""

    item: Any = None
    """What a list holds."""
    entry: Any = None
    """What the values of a mapping are."""
    struct: type[Struct] | None = None
    variants: dict[str, type[Struct]] = {}  # noqa: RUF012 - never changed
    tag_field: str | None = None


def _shape(of: Any) -> _Shape:
    origin, arguments = typing.get_origin(of), typing.get_args(of)
    if origin is typing.Annotated:
        return _shape(arguments[0])
    if origin is list:
        return _Shape(item=arguments[0])
    if origin is dict:
        return _Shape(entry=arguments[1])
    if origin in (typing.Union, types.UnionType):
        return _union_shape([one for one in arguments if one not in (type(None), UnsetType)])
    if isinstance(of, type) and issubclass(of, Struct):
        return _union_shape([of]) if of.__struct_config__.tag_field else _Shape(struct=of)
    return _Shape()


def _union_shape(members: list[Any]) -> _Shape:
    if len(members) == 1 and not getattr(members[0], "__struct_fields__", None):
        return _shape(members[0])
    structs = [one for one in members if isinstance(one, type) and issubclass(one, Struct)]
    tags = {str(one.__struct_config__.tag): one for one in structs if one.__struct_config__.tag}
    if not tags:
        return _Shape(struct=structs[0]) if structs else _Shape()
    return _Shape(variants=tags, tag_field=structs[0].__struct_config__.tag_field)


_shape_of = cache(_shape)


def repair(value: Any, of: Any, strict: bool) -> Any:
    """Leave out what may be left out, at every depth."""
    shape = _shape_of(of)
    if isinstance(value, list) and shape.item is not None:
        return [repair(item, shape.item, strict) for item in value]
    if not isinstance(value, dict):
        return value
    if shape.entry is not None:
        return {key: repair(item, shape.entry, strict) for key, item in value.items()}
    if shape.tag_field is not None:
        return _repair_variant(value, shape, strict)
    return value if shape.struct is None else _repair_struct(value, shape.struct, strict)


def _repair_variant(value: dict[str, Any], shape: _Shape, strict: bool) -> dict[str, Any]:
    tag_field = str(shape.tag_field)
    tag = value.get(tag_field)
    if isinstance(tag, str) and tag != UNKNOWN_TAG and tag in shape.variants:
        return _repair_struct(value, shape.variants[tag], strict)
    if isinstance(tag, str) and UNKNOWN_TAG in shape.variants:
        return {tag_field: UNKNOWN_TAG, "kind": tag, "body": value}
    return value


def _repair_struct(value: dict[str, Any], cls: type[Struct], strict: bool) -> dict[str, Any]:
    on_error: dict[str, OnError] = getattr(cls, "on_error", {})
    repaired = dict(value)
    for field in fields(cls):
        if field.encode_name not in value:
            if field.required and on_error.get(field.name) == "null":
                repaired[field.encode_name] = _empty(field)
            continue
        mode = on_error.get(field.name, "raise" if field.required else "default")
        found = _repair_field(value[field.encode_name], field.type, mode, strict)
        if found is not _MALFORMED:
            repaired[field.encode_name] = found
        elif field.required:
            repaired[field.encode_name] = _empty(field)
        else:
            del repaired[field.encode_name]
    return repaired


def _repair_field(value: Any, of: Any, mode: OnError, strict: bool) -> Any:
    """The value, repaired as far as its field allows, or `_MALFORMED` when it is to be left out."""
    fixed = repair(value, of, strict)
    if isinstance(fixed, list) and mode in ("default", "items"):
        item = _shape_of(of).item
        fixed = fixed if item is None else [one for one in fixed if _fits(one, item, strict)]
    if mode in ("raise", "items") or _fits(fixed, of, strict):
        return fixed
    return _MALFORMED if mode != "null" or value is None else fixed


def _empty(field: FieldInfo) -> Any:
    """What a required field that may be malformed holds then."""
    return {} if _shape_of(field.type).entry is not None else []


def _fits(value: Any, of: Any, strict: bool) -> bool:
    try:
        msgspec.convert(value, of, strict=strict)
    except msgspec.ValidationError:
        return False
    return True
