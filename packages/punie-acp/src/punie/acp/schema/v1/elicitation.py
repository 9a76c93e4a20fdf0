"""Elicitation: an agent asks a person for structured input, by a form or on a web page.

Loaded when first used, since most runs need none of it.
https://agentclientprotocol.com/protocol/elicitation
"""

# pyright: reportGeneralTypeIssues=false
# Variants make fields of the received type required; the check is about positional dataclasses,
# and every field here is keyword-only.
# pyright: reportUnknownVariableType=false
# `dict` as a factory, not `dict[str, X]`: msgspec leaves an empty one out only for the plain type.

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from msgspec import field

from punie.acp.schema._base import UNKNOWN_TAG, OnError, Uint, Wire

StringFormat: TypeAlias = Literal["email", "uri", "date", "date-time"]


class EnumOption(Wire, frozen=True, kw_only=True):
    """One value to choose, with the words a person sees."""

    const: str
    title: str
    description: str | None = None


class StringPropertySchema(Wire, frozen=True, kw_only=True, tag_field="type", tag="string"):
    """A text, or one value out of `enum` or `one_of`."""

    on_error: ClassVar[dict[str, OnError]] = dict.fromkeys(
        ("min_length", "max_length", "pattern", "format", "enum", "one_of"), "raise"
    )

    title: str | None = None
    description: str | None = None
    min_length: Uint | None = None
    """Characters."""
    max_length: Uint | None = None
    pattern: str | None = None
    """A regular expression."""
    format: StringFormat | None = None
    default: str | None = None
    enum: list[str] | None = None
    one_of: list[EnumOption] | None = None


class NumberPropertySchema(Wire, frozen=True, kw_only=True, tag_field="type", tag="number"):
    """A number."""

    on_error: ClassVar[dict[str, OnError]] = {"minimum": "raise", "maximum": "raise"}

    title: str | None = None
    description: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    default: float | None = None


class IntegerPropertySchema(Wire, frozen=True, kw_only=True, tag_field="type", tag="integer"):
    """A whole number."""

    on_error: ClassVar[dict[str, OnError]] = {"minimum": "raise", "maximum": "raise"}

    title: str | None = None
    description: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    default: int | None = None


class BooleanPropertySchema(Wire, frozen=True, kw_only=True, tag_field="type", tag="boolean"):
    """Yes or no."""

    title: str | None = None
    description: str | None = None
    default: bool | None = None


class MultiSelectItems(Wire, frozen=True, kw_only=True):
    """What a list may hold, as received: `enum` or `any_of` is set.

    To send one, build `StringMultiSelectItems` or `TitledMultiSelectItems`. Only some variants
    carry a `type`, which no typed union can tell apart, so one type receives all.
    """

    on_error: ClassVar[dict[str, OnError]] = dict.fromkeys(("type", "enum", "any_of"), "raise")

    type: str | None = None
    enum: list[str] | None = None
    any_of: list[EnumOption] | None = None


class StringMultiSelectItems(MultiSelectItems, frozen=True, kw_only=True):
    """Plain values."""

    enum: list[str]
    # A factory, since a plain default would not be sent.
    type: str = field(default_factory=lambda: "string")


class TitledMultiSelectItems(MultiSelectItems, frozen=True, kw_only=True):
    """Values with the words a person sees."""

    any_of: list[EnumOption]


class MultiSelectPropertySchema(Wire, frozen=True, kw_only=True, tag_field="type", tag="array"):
    """Several values out of a list."""

    on_error: ClassVar[dict[str, OnError]] = {"min_items": "raise", "max_items": "raise"}

    items: MultiSelectItems
    title: str | None = None
    description: str | None = None
    min_items: Uint | None = None
    max_items: Uint | None = None
    default: list[str] | None = None


class UnknownPropertySchema(Wire, frozen=True, kw_only=True, tag_field="type", tag=UNKNOWN_TAG):
    """A field of a kind that this version does not know."""

    kind: str
    """The `type` that came."""
    body: dict[str, Any]
    """The whole field as it came."""


ElicitationPropertySchema: TypeAlias = (
    StringPropertySchema
    | NumberPropertySchema
    | IntegerPropertySchema
    | BooleanPropertySchema
    | MultiSelectPropertySchema
    | UnknownPropertySchema
)


class ElicitationSchema(Wire, frozen=True, kw_only=True):
    """The fields of a form: an object's JSON schema, one level deep."""

    on_error: ClassVar[dict[str, OnError]] = {"properties": "raise", "required": "raise"}

    type: Literal["object"] = "object"
    title: str | None = None
    properties: dict[str, ElicitationPropertySchema] = field(default_factory=dict)
    required: list[str] | None = None
    description: str | None = None


class CreateElicitationRequest(Wire, frozen=True, kw_only=True):
    """`elicitation/create`, as received: `mode` is `form`, `url` or another.

    To send one, build `ElicitationFormMode` or `ElicitationUrlMode`, with the session it belongs
    to, or the request outside of any session. What `mode` asks for is there, or it is refused.
    """

    on_error: ClassVar[dict[str, OnError]] = dict.fromkeys(
        ("session_id", "request_id", "requested_schema", "elicitation_id", "url"), "raise"
    )

    message: str
    """What the person is asked."""
    mode: str
    session_id: str | None = None
    tool_call_id: str | None = None
    request_id: int | str | None = None
    requested_schema: ElicitationSchema | None = None
    elicitation_id: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if self.mode == "form" and self.requested_schema is None:
            raise ValueError("a form needs a requestedSchema")
        if self.mode == "url" and (self.elicitation_id is None or self.url is None):
            raise ValueError("a url needs an elicitationId and a url")


class ElicitationFormMode(CreateElicitationRequest, frozen=True, kw_only=True):
    """Show a form; needs the capability `elicitation.form`."""

    requested_schema: ElicitationSchema
    # A factory, since a plain default would not be sent.
    mode: str = field(default_factory=lambda: "form")


class ElicitationUrlMode(CreateElicitationRequest, frozen=True, kw_only=True):
    """Open a web page; needs the capability `elicitation.url`."""

    elicitation_id: str
    """`elicitation/complete` names it when the person is done."""
    url: str
    mode: str = field(default_factory=lambda: "url")


class CreateElicitationResponse(Wire, frozen=True, kw_only=True):
    """What the person did."""

    on_error: ClassVar[dict[str, OnError]] = {"content": "raise"}

    action: Literal["accept", "decline", "cancel"] | str
    content: dict[str, Any] | None = None
    """The form's values, when accepted."""


class CompleteElicitationNotification(Wire, frozen=True, kw_only=True):
    """`elicitation/complete`: the person is done on the web page."""

    elicitation_id: str
