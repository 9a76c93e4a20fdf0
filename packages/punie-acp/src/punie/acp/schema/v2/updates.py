"""`session/update`: everything an agent tells while a session exists.

Messages, tool calls, terminals and compactions are told as patches by id, plans and lists as a
whole, text as chunks that are appended.
https://agentclientprotocol.com/protocol/v2/prompt-lifecycle
"""

# pyright: reportGeneralTypeIssues=false
# The check is about positional dataclasses, and every field here is keyword-only.

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

from punie.acp.schema._base import UNKNOWN_TAG, OnError, Uint, Wire
from punie.acp.schema.v2._base import Patch, UnknownVariant
from punie.acp.schema.v2.commands import AvailableCommand
from punie.acp.schema.v2.config import SessionConfigOption
from punie.acp.schema.v2.content import ContentBlock
from punie.acp.schema.v2.tools import (
    TerminalOutputChunk,
    TerminalUpdate,
    ToolCallContentChunk,
    ToolCallUpdate,
)

StopReason: TypeAlias = (
    Literal["end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled", "error"] | str
)
PlanEntryPriority: TypeAlias = Literal["high", "medium", "low"] | str
PlanEntryStatus: TypeAlias = Literal["pending", "in_progress", "completed", "cancelled"] | str
NoticeSeverity: TypeAlias = Literal["info", "warning", "error"] | str
CompactionStatus: TypeAlias = Literal["in_progress", "completed", "failed", "cancelled"] | str


class UserMessageChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="user_message_chunk"
):
    """A block appended to what the user said."""

    message_id: str
    content: ContentBlock


class AgentMessageChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="agent_message_chunk"
):
    """A block appended to an answer."""

    message_id: str
    content: ContentBlock


class AgentThoughtChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="agent_thought_chunk"
):
    """A block appended to the model's thinking."""

    message_id: str
    content: ContentBlock


class UserMessage(Patch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="user_message"):
    """What the user said: `UNSET` keeps the content, `None` clears it, a list replaces it.

    https://agentclientprotocol.com/protocol/v2/prompt-lifecycle#1-user-message
    """

    message_id: str
    content: list[ContentBlock] | UnsetType | None = UNSET


class AgentMessage(
    Patch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="agent_message"
):
    """An answer: `UNSET` keeps the content, `None` clears it, a list replaces it."""

    message_id: str
    content: list[ContentBlock] | UnsetType | None = UNSET


class AgentThought(
    Patch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="agent_thought"
):
    """The model's thinking: `UNSET` keeps the content, `None` clears it, a list replaces it."""

    message_id: str
    content: list[ContentBlock] | UnsetType | None = UNSET


class BackgroundTerminal(Wire, frozen=True, kw_only=True, tag_field="type", tag="terminal"):
    """A terminal that runs in the background."""

    terminal_id: str


class BackgroundToolCall(Wire, frozen=True, kw_only=True, tag_field="type", tag="tool_call"):
    """A tool call that goes on in the background."""

    tool_call_id: str


BackgroundWork: TypeAlias = BackgroundTerminal | BackgroundToolCall | UnknownVariant


class Error(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON-RPC error, told as the reason of an end."""

    code: int
    message: str
    data: Any = None


class StateUpdate(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="state_update"):
    """What a session is doing, as received: `state` tells which variant it is.

    To send one, build `RunningStateUpdate`, `IdleStateUpdate` or `RequiresActionStateUpdate`. The
    schema nests this union in that of all updates, which no typed union can do, so one type
    receives all; further fields of states that this version does not know are dropped.
    https://agentclientprotocol.com/protocol/v2/prompt-lifecycle#session-states
    """

    on_error: ClassVar[dict[str, OnError]] = {"background": "whole"}

    state: Literal["running", "idle", "requires_action"] | str
    background: list[BackgroundWork] | None = None
    """All that runs beside the foreground work; `None` when the agent does not tell."""
    stop_reason: StopReason | None = None
    """When `idle`: why the foreground work stopped."""
    error: Error | None = None
    """When stopped by `error`: what failed."""


class RunningStateUpdate(StateUpdate, frozen=True, kw_only=True):
    """Foreground work is in progress."""

    # A factory, since a plain default would not be sent.
    state: str = field(default_factory=lambda: "running")


class IdleStateUpdate(StateUpdate, frozen=True, kw_only=True):
    """No foreground work: the session takes a prompt."""

    state: str = field(default_factory=lambda: "idle")


class RequiresActionStateUpdate(StateUpdate, frozen=True, kw_only=True):
    """The foreground work waits for a person."""

    state: str = field(default_factory=lambda: "requires_action")


class PlanEntry(Wire, frozen=True, kw_only=True):
    """One task of a plan."""

    content: str
    priority: PlanEntryPriority
    status: PlanEntryStatus


class PlanItems(Wire, frozen=True, kw_only=True, tag_field="type", tag="items"):
    """A plan as a list of tasks.

    https://agentclientprotocol.com/protocol/v2/agent-plan
    """

    on_error: ClassVar[dict[str, OnError]] = {"entries": "items"}

    plan_id: str
    entries: list[PlanEntry]


PlanUpdateContent: TypeAlias = PlanItems | UnknownVariant


class PlanUpdate(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="plan_update"):
    """A whole plan; it replaces the one of the same id."""

    plan: PlanUpdateContent


class AvailableCommandsUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="available_commands_update"
):
    """The slash commands there are now."""

    on_error: ClassVar[dict[str, OnError]] = {"available_commands": "items"}

    available_commands: list[AvailableCommand]


class ConfigOptionUpdate(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="config_option_update"
):
    """The complete list of config options after a change."""

    on_error: ClassVar[dict[str, OnError]] = {"config_options": "items"}

    config_options: list[SessionConfigOption]


class SessionInfoUpdate(
    Patch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="session_info_update"
):
    """The session's title or time changed: `UNSET` keeps, `None` clears, a value replaces."""

    title: str | UnsetType | None = UNSET
    updated_at: str | UnsetType | None = UNSET
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
    cost: Cost | UnsetType | None = UNSET
    """`UNSET` keeps the one told last, `None` clears it."""


class Notice(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="notice"):
    """A message beside the conversation.

    https://agentclientprotocol.com/protocol/v2/prompt-lifecycle#session-notices
    """

    severity: NoticeSeverity
    title: Annotated[str, Meta(min_length=1)]
    description: str | None = None


class CompactionUpdate(
    Patch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="compaction_update"
):
    """The context is being compacted: `UNSET` keeps, `None` clears, a value replaces."""

    compaction_id: str
    status: CompactionStatus
    summary: list[ContentBlock] | UnsetType | None = UNSET
    error: str | UnsetType | None = UNSET


class CompactionSummaryChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="compaction_summary_chunk"
):
    """A block appended to a compaction's summary."""

    compaction_id: str
    content: ContentBlock


class UnknownUpdate(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag=UNKNOWN_TAG):
    """An update of a kind that this version does not know. Received only."""

    kind: str
    """The `sessionUpdate` that came."""
    body: dict[str, Any]
    """The whole update as it came."""


SessionUpdate: TypeAlias = (
    UserMessageChunk
    | UserMessage
    | AgentMessageChunk
    | AgentMessage
    | AgentThoughtChunk
    | AgentThought
    | StateUpdate
    | ToolCallContentChunk
    | ToolCallUpdate
    | TerminalUpdate
    | TerminalOutputChunk
    | PlanUpdate
    | AvailableCommandsUpdate
    | ConfigOptionUpdate
    | SessionInfoUpdate
    | UsageUpdate
    | Notice
    | CompactionUpdate
    | CompactionSummaryChunk
    | UnknownUpdate
)


class UpdateSessionNotification(Wire, frozen=True, kw_only=True):
    """`session/update`."""

    session_id: str
    update: SessionUpdate
