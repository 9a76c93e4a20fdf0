"""`session/update`: everything an agent tells while it works.

https://agentclientprotocol.com/protocol/prompt-turn
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Meta

from punie.acp.schema._base import UNKNOWN_TAG, OnError, Uint, Wire
from punie.acp.schema.v1.config import SessionConfigOption
from punie.acp.schema.v1.content import ContentBlock
from punie.acp.schema.v1.tools import ToolCall, ToolCallUpdate

PlanEntryPriority: TypeAlias = Literal["high", "medium", "low"]
PlanEntryStatus: TypeAlias = Literal["pending", "in_progress", "completed"]
NoticeSeverity: TypeAlias = Literal["info", "warning", "error"] | str
CompactionStatus: TypeAlias = Literal["in_progress", "completed", "failed", "cancelled"] | str


class UserMessageChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="user_message_chunk"
):
    """A piece of what the user said, in a replay."""

    content: ContentBlock
    message_id: str | None = None


class AgentMessageChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="agent_message_chunk"
):
    """A piece of the answer."""

    content: ContentBlock
    message_id: str | None = None


class AgentThoughtChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="agent_thought_chunk"
):
    """A piece of the model's thinking."""

    content: ContentBlock
    message_id: str | None = None


class PlanEntry(Wire, frozen=True, kw_only=True):
    """One task of a plan."""

    content: str
    priority: PlanEntryPriority
    status: PlanEntryStatus


class Plan(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="plan"):
    """The whole plan; it replaces the one before.

    https://agentclientprotocol.com/protocol/agent-plan
    """

    on_error: ClassVar[dict[str, OnError]] = {"entries": "default"}

    entries: list[PlanEntry]


class UnstructuredCommandInput(Wire, frozen=True, kw_only=True):
    """A command takes the text after its name."""

    hint: str


class AvailableCommand(Wire, frozen=True, kw_only=True):
    """A slash command."""

    name: str
    description: str
    input: UnstructuredCommandInput | None = None


class AvailableCommandsUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="available_commands_update"
):
    """The slash commands there are now.

    https://agentclientprotocol.com/protocol/slash-commands
    """

    on_error: ClassVar[dict[str, OnError]] = {"available_commands": "default"}

    available_commands: list[AvailableCommand]


class CurrentModeUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="current_mode_update"
):
    """Another mode holds."""

    current_mode_id: str


class ConfigOptionUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="config_option_update"
):
    """The complete list of config options after a change."""

    on_error: ClassVar[dict[str, OnError]] = {"config_options": "default"}

    config_options: list[SessionConfigOption]


class SessionInfoUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="session_info_update"
):
    """The session's title or time changed."""

    title: str | None = None
    updated_at: str | None = None
    """ISO 8601."""


class Cost(Wire, frozen=True, kw_only=True):
    """Money spent so far."""

    amount: float
    currency: str
    """ISO 4217."""


class UsageUpdate(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="usage_update"):
    """How full the context window is."""

    used: Uint
    """Tokens."""
    size: Uint
    """Tokens."""
    cost: Cost | None = None


class Notice(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="notice"):
    """A message beside the conversation; only for clients with `session.notices`."""

    severity: NoticeSeverity
    title: Annotated[str, Meta(min_length=1)]
    description: str | None = None


class CompactionUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="compaction_update"
):
    """The context is being compacted; only for clients with `session.compaction`."""

    compaction_id: str
    status: CompactionStatus
    summary: list[ContentBlock] | None = None
    error: str | None = None


class CompactionSummaryChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="compaction_summary_chunk"
):
    """A piece of a compaction's summary."""

    compaction_id: str
    content: ContentBlock


class UnknownUpdate(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag=UNKNOWN_TAG):
    """An update of a kind that this version does not know. Received only, never sent."""

    kind: str
    """The `sessionUpdate` that came."""
    body: dict[str, Any]
    """The whole update as it came."""


SessionUpdate: TypeAlias = (
    UserMessageChunk
    | AgentMessageChunk
    | AgentThoughtChunk
    | ToolCall
    | ToolCallUpdate
    | Plan
    | AvailableCommandsUpdate
    | CurrentModeUpdate
    | ConfigOptionUpdate
    | SessionInfoUpdate
    | UsageUpdate
    | Notice
    | CompactionUpdate
    | CompactionSummaryChunk
    | UnknownUpdate
)


class SessionNotification(Wire, frozen=True, kw_only=True):
    """`session/update`."""

    session_id: str
    update: SessionUpdate
