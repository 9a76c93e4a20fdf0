"""What the wire types of version 2 share beyond `punie.acp.schema._base`: patches, open unions.

A patch tells three things apart: a field that is `UNSET` keeps its value, `None` clears it, a value
replaces it. Everywhere else `None` and "not there" are the same.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, UnsetType

from punie.acp.schema._base import UNKNOWN_TAG, Wire

T = TypeVar("T")
Some = Annotated[list[T], Meta(min_length=1)]
"""A list that is never empty."""


class Patch(Wire, frozen=True, kw_only=True):
    """Base of what updates a thing by its id, or makes it.

    https://agentclientprotocol.com/protocol/v2/extensibility#metadata-patches
    """

    meta: dict[str, Any] | UnsetType | None = UNSET  # pyright: ignore[reportIncompatibleVariableOverride]
    """Keys that are there are replaced, the others keep their values."""


class UnknownVariant(Wire, frozen=True, kw_only=True, tag_field="type", tag=UNKNOWN_TAG):
    """A variant of an open union, told apart by `type`, that this version does not know.

    Received only; `punie.acp.schema.reading.write` sends it on as it came.
    """

    kind: str
    """The `type` that came."""
    body: dict[str, Any]
    """The whole object as it came."""
