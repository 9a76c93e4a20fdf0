"""Config options: what a person can choose for a session. Modes are options, too.

https://agentclientprotocol.com/protocol/v2/session-config-options
"""

# pyright: reportGeneralTypeIssues=false
# Variants make fields of the received type required; the check is about positional dataclasses,
# and every field here is keyword-only.

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v2._base import Some, UnknownVariant

SessionConfigOptionCategory: TypeAlias = (
    Literal["mode", "model", "model_config", "thought_level"] | str
)


class SessionConfigSelectItem(Wire, frozen=True, kw_only=True):
    """An entry of a select's list, as received: an option (`value`) or a group (`group_id`).

    To send one, build `SessionConfigSelectOption` or `SessionConfigSelectGroup`.
    """

    on_error: ClassVar[dict[str, OnError]] = {"value": "raise", "group_id": "raise"}

    name: str
    value: str | None = None
    description: str | None = None
    group_id: str | None = None
    options: list[SessionConfigSelectItem] | None = None


class SessionConfigSelectOption(SessionConfigSelectItem, frozen=True, kw_only=True):
    """One value that can be chosen."""

    value: str


class SessionConfigSelectGroup(SessionConfigSelectItem, frozen=True, kw_only=True):
    """Values under a heading."""

    on_error: ClassVar[dict[str, OnError]] = {"options": "default"}

    group_id: str
    options: Some[SessionConfigSelectItem]


class SessionConfigSelect(Wire, frozen=True, kw_only=True, tag_field="type", tag="select"):
    """A config option with one value out of a list."""

    config_id: str
    name: str
    current_value: str
    options: Some[SessionConfigSelectItem]
    """All options or all groups."""
    description: str | None = None
    category: SessionConfigOptionCategory | None = None


class SessionConfigBoolean(Wire, frozen=True, kw_only=True, tag_field="type", tag="boolean"):
    """A switch."""

    config_id: str
    name: str
    current_value: bool
    description: str | None = None
    category: SessionConfigOptionCategory | None = None


SessionConfigOption: TypeAlias = SessionConfigSelect | SessionConfigBoolean | UnknownVariant


class SetSessionConfigOptionRequest(Wire, frozen=True, kw_only=True):
    """`session/set_config_option`: choose the value of an option.

    https://agentclientprotocol.com/protocol/v2/session-config-options#setting-a-config-option
    """

    session_id: str
    config_id: str
    type: Literal["id", "boolean"] | str
    value: Any
    """A string for `id`, a bool for `boolean`; a value of another shape is refused."""

    def __post_init__(self) -> None:
        shape = {"id": str, "boolean": bool}.get(self.type, object)
        if not isinstance(self.value, shape):
            raise ValueError(f"a value of type {self.type!r} is a {shape.__name__}")


class SetSessionConfigOptionResponse(Wire, frozen=True, kw_only=True):
    """The complete list of options, after the change."""

    on_error: ClassVar[dict[str, OnError]] = {"config_options": "items"}

    config_options: list[SessionConfigOption]
