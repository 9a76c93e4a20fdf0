"""What every v1 wire type shares: names, omitted defaults and `_meta`.

Fields are `snake_case` here and `camelCase` on the wire. What equals its default is not sent, so
`None` and "not there" are the same thing in both directions. Unknown keys are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct


def wire_name(field: str) -> str:
    """Turn a field's name into the protocol's: `session_id` to `sessionId`, `meta` to `_meta`."""
    if field == "meta":
        return "_meta"
    head, *rest = field.split("_")
    return head + "".join(word.capitalize() for word in rest)


Uint = Annotated[int, Meta(ge=0)]
"""An integer that is not negative."""


class Wire(Struct, frozen=True, kw_only=True, omit_defaults=True, rename=wire_name):
    """Base of all v1 objects.

    `_meta` belongs to extensions and may carry tokens: it is never logged.
    https://agentclientprotocol.com/protocol/extensibility
    """

    meta: dict[str, Any] | None = None
