"""Unstable kinds of `session/update`: other plans, subagents and what sessions tell each other.

https://agentclientprotocol.com/protocol/v1/draft/agent-plan
https://agentclientprotocol.com/rfds/subagents
"""

# pyright: reportGeneralTypeIssues=false
# The check is about positional dataclasses, and every field here is keyword-only.

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v1 import updates
from punie.acp.schema.v1.content import ContentBlock
from punie.acp.schema.v1.tools import ToolCall, ToolCallUpdate
from punie.acp.schema.v1.unstable.sessions import Usage


class PlanItems(Wire, frozen=True, kw_only=True, tag_field="type", tag="items"):
    """A plan as a list of tasks."""

    on_error: ClassVar[dict[str, OnError]] = {"entries": "default"}

    plan_id: str
    entries: list[updates.PlanEntry]


class PlanFile(Wire, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A plan in a file."""

    plan_id: str
    uri: str


class PlanMarkdown(Wire, frozen=True, kw_only=True, tag_field="type", tag="markdown"):
    """A plan as text."""

    plan_id: str
    content: str


PlanUpdateContent: TypeAlias = PlanItems | PlanFile | PlanMarkdown


class PlanUpdate(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="plan_update"):
    """A whole plan; only for clients with `plan`."""

    plan: PlanUpdateContent


class PlanRemoved(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="plan_removed"):
    """A plan is gone."""

    plan_id: str


class SessionCancelCapabilities(Wire, frozen=True, kw_only=True):
    """`session/cancel` stops this subagent."""


class SubagentSessionCapabilities(Wire, frozen=True, kw_only=True):
    """What a client can do with a subagent's session."""

    cancel: SessionCancelCapabilities | None = None


class Error(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON-RPC error, told as the reason of an end."""

    code: int
    message: str
    data: Any = None


class StateUpdate(Wire, frozen=True, kw_only=True):
    """What a subagent is doing, as received: `state` tells which variant it is.

    To send one, build `RunningStateUpdate`, `IdleStateUpdate`, `RequiresActionStateUpdate` or
    `UnknownStateUpdate`. Further fields of states that this version does not know are dropped.
    """

    state: Literal["running", "idle", "requires_action", "unknown"] | str
    stop_reason: str | None = None
    """When `idle`: why the work stopped."""
    usage: Usage | None = None
    error: Error | None = None
    """When stopped by `error`: what failed."""


class RunningStateUpdate(StateUpdate, frozen=True, kw_only=True):
    """Work is in progress."""

    # A factory, since a plain default would not be sent.
    state: str = field(default_factory=lambda: "running")


class IdleStateUpdate(StateUpdate, frozen=True, kw_only=True):
    """Ready for another prompt."""

    state: str = field(default_factory=lambda: "idle")


class RequiresActionStateUpdate(StateUpdate, frozen=True, kw_only=True):
    """The work waits for a person."""

    state: str = field(default_factory=lambda: "requires_action")


class UnknownStateUpdate(StateUpdate, frozen=True, kw_only=True):
    """The agent cannot tell."""

    state: str = field(default_factory=lambda: "unknown")


class SubagentUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="subagent_update"
):
    """A subagent begins or changes: `UNSET` keeps, `None` clears, a value replaces."""

    on_error: ClassVar[dict[str, OnError]] = {"cwd": "raise", "additional_directories": "raise"}

    meta: dict[str, Any] | UnsetType | None = UNSET  # pyright: ignore[reportIncompatibleVariableOverride]
    session_id: str
    title: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    capabilities: SubagentSessionCapabilities | UnsetType | None = UNSET
    state: StateUpdate | UnsetType | None = UNSET
    cwd: str | UnsetType | None = UNSET
    additional_directories: list[str] | UnsetType | None = UNSET


class SessionMessage(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="session_message"
):
    """A message from session to session: `UNSET` keeps, `None` clears, a value replaces."""

    meta: dict[str, Any] | UnsetType | None = UNSET  # pyright: ignore[reportIncompatibleVariableOverride]
    message_id: str
    sender_session_id: str | UnsetType | None = UNSET
    recipient_session_id: str | UnsetType | None = UNSET
    sender_message_id: str | UnsetType | None = UNSET
    recipient_message_id: str | UnsetType | None = UNSET
    content: list[ContentBlock] | UnsetType | None = UNSET


class SessionMessageChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="session_message_chunk"
):
    """A block appended to a message from session to session."""

    message_id: str
    content: ContentBlock


SessionUpdate: TypeAlias = (
    updates.UserMessageChunk
    | updates.AgentMessageChunk
    | updates.AgentThoughtChunk
    | ToolCall
    | ToolCallUpdate
    | updates.Plan
    | PlanUpdate
    | PlanRemoved
    | updates.AvailableCommandsUpdate
    | updates.CurrentModeUpdate
    | updates.ConfigOptionUpdate
    | updates.SessionInfoUpdate
    | updates.UsageUpdate
    | updates.Notice
    | updates.CompactionUpdate
    | updates.CompactionSummaryChunk
    | SubagentUpdate
    | SessionMessage
    | SessionMessageChunk
    | updates.UnknownUpdate
)


class SessionNotification(Wire, frozen=True, kw_only=True):
    """`session/update`."""

    session_id: str
    update: SessionUpdate
