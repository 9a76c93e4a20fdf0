"""Modes and config options: what a person can choose for a session.

https://agentclientprotocol.com/protocol/session-modes
https://agentclientprotocol.com/protocol/session-config-options
"""

# pyright: reportGeneralTypeIssues=false
# Variants make fields of the received type required; the check is about positional dataclasses,
# and every field here is keyword-only.

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from punie.acp.schema._base import OnError, Wire

SessionConfigOptionCategory: TypeAlias = (
    Literal["mode", "model", "model_config", "thought_level"] | str
)


class SessionMode(Wire, frozen=True, kw_only=True):
    """One way of working, such as `ask` or `edit`."""

    id: str
    name: str
    description: str | None = None


class SessionModeState(Wire, frozen=True, kw_only=True):
    """The modes there are, and the one that holds."""

    on_error: ClassVar[dict[str, OnError]] = {"available_modes": "default"}

    current_mode_id: str
    available_modes: list[SessionMode]


class SessionConfigSelectItem(Wire, frozen=True, kw_only=True):
    """An entry of a select's list, as received: an option (`value`) or a group (`group`).

    To send one, build `SessionConfigSelectOption` or `SessionConfigSelectGroup`.
    """

    on_error: ClassVar[dict[str, OnError]] = {"value": "raise", "group": "raise"}

    name: str
    value: str | None = None
    description: str | None = None
    group: str | None = None
    options: list[SessionConfigSelectItem] | None = None


class SessionConfigSelectOption(SessionConfigSelectItem, frozen=True, kw_only=True):
    """One value that can be chosen."""

    value: str


class SessionConfigSelectGroup(SessionConfigSelectItem, frozen=True, kw_only=True):
    """Values under a heading."""

    on_error: ClassVar[dict[str, OnError]] = {"options": "default"}

    group: str
    options: list[SessionConfigSelectItem]


class SessionConfigSelect(Wire, frozen=True, kw_only=True, tag_field="type", tag="select"):
    """A config option with one value out of a list."""

    id: str
    name: str
    current_value: str
    options: list[SessionConfigSelectItem]
    """All options or all groups."""
    description: str | None = None
    category: SessionConfigOptionCategory | None = None
    """One's own begins with `_`."""


class SessionConfigBoolean(Wire, frozen=True, kw_only=True, tag_field="type", tag="boolean"):
    """A switch; only for clients with `session.configOptions.boolean`."""

    id: str
    name: str
    current_value: bool
    description: str | None = None
    category: SessionConfigOptionCategory | None = None


SessionConfigOption: TypeAlias = SessionConfigSelect | SessionConfigBoolean


class SetSessionModeRequest(Wire, frozen=True, kw_only=True):
    """`session/set_mode`."""

    session_id: str
    mode_id: str


class SetSessionModeResponse(Wire, frozen=True, kw_only=True):
    """The mode holds."""


class SetSessionConfigOptionRequest(Wire, frozen=True, kw_only=True):
    """`session/set_config_option`."""

    on_error: ClassVar[dict[str, OnError]] = {"type": "raise"}

    session_id: str
    config_id: str
    value: str | bool
    type: str | None = None
    """`boolean` when `value` is one."""


class SetSessionConfigOptionResponse(Wire, frozen=True, kw_only=True):
    """The complete list of options, after the change."""

    on_error: ClassVar[dict[str, OnError]] = {"config_options": "default"}

    config_options: list[SessionConfigOption]
