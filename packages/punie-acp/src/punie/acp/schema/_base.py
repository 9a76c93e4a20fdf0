"""What every wire type shares: names, omitted defaults, `_meta`, and what a malformed field does.

Fields are `snake_case` here and `camelCase` on the wire. What equals its default is not sent.
Unknown keys are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct


def wire_name(field: str) -> str:
    """Turn a field's name into the protocol's: `session_id` to `sessionId`, `meta` to `_meta`."""
    if field == "meta":
        return "_meta"
    head, *rest = field.split("_")
    return head + "".join(word.capitalize() for word in rest)


Uint = Annotated[int, Meta(ge=0)]
"""An integer that is not negative."""

OnError: TypeAlias = Literal["default", "items", "null", "whole", "raise"]
"""What a malformed field does when it is received.

- `default`: it counts as not there; a list loses only the items that cannot be read.
- `items`: a list loses the items that cannot be read; anything but a list is refused.
- `null`: only `null` counts as not there; all else is refused. A required list that is not there at
  all counts as empty: clients leave it out, and it can mean nothing else.
- `whole`: it counts as not there, even when only one item of a list cannot be read.
- `raise`: it is refused.
"""

UNKNOWN_TAG = "_unknown"
"""The tag of a union's variant that receives the variants this version does not know."""


class Wire(Struct, frozen=True, kw_only=True, omit_defaults=True, rename=wire_name):
    """Base of all objects on the wire.

    `_meta` belongs to extensions and may carry tokens: it is never logged.
    https://agentclientprotocol.com/protocol/extensibility
    """

    on_error: ClassVar[dict[str, OnError]] = {}
    """Fields by name that differ from the rule: a malformed optional field counts as not there
    (`default`), a malformed required one is refused (`raise`)."""

    meta: dict[str, Any] | None = None
