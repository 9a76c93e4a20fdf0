"""What happened in a session: the one stream that every screen, log and replay reads.

Events are shaped like ACP v2: messages, tool calls and state are upserts by id, an omitted field
keeps its value, a chunk appends. The ACP v1 updates are derived from them in `punie.agent.acp`.
Nothing here knows who reads the events.

Source:
    https://agentclientprotocol.com/protocol/v2/draft (session updates).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

ToolKind: TypeAlias = Literal[
    "read", "edit", "delete", "move", "search", "execute", "think", "fetch", "other"
]
ToolStatus: TypeAlias = Literal["pending", "in_progress", "completed", "failed", "cancelled"]
StopReason: TypeAlias = Literal[
    "end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled", "error"
]


SHOWN_FILES = 20
"""Files that a headline names."""


class SessionEvent(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """Base of all events; the JSON field `type` tells them apart."""


class ImageContent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image of a prompt."""

    data: str
    """Base64."""
    mime_type: str
    """Such as `image/png`."""
    uri: str = ""
    """Where it came from, when that is known."""


class UserMessage(SessionEvent, frozen=True, kw_only=True, tag="user_message"):
    """A prompt was accepted into the session."""

    message_id: str
    text: str
    images: tuple[ImageContent, ...] = ()


class AgentMessageChunk(SessionEvent, frozen=True, kw_only=True, tag="agent_message_chunk"):
    """More text of the agent's answer; chunks with one `message_id` form one message."""

    message_id: str
    text: str


class AgentThoughtChunk(SessionEvent, frozen=True, kw_only=True, tag="agent_thought_chunk"):
    """More text of the model's reasoning."""

    message_id: str
    text: str


class TextContent(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Plain text that a tool call shows."""

    text: str


class DiffContent(Struct, frozen=True, kw_only=True, tag_field="type", tag="diff"):
    """A change to one file, before or after it was made."""

    path: str
    """Absolute path."""
    old_text: str | None
    """`None` for a new file."""
    new_text: str


class TerminalContent(Struct, frozen=True, kw_only=True, tag_field="type", tag="terminal"):
    """A terminal that the client owns and shows live."""

    terminal_id: str


ToolContent: TypeAlias = TextContent | DiffContent | TerminalContent


class Location(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place in a file that a tool call is about."""

    path: str
    """Absolute path."""
    line: int | None = None
    """1-based."""


class ToolCallUpdate(SessionEvent, frozen=True, kw_only=True, tag="tool_call_update"):
    """A tool call appeared or changed. The first event of an id carries title, name and kind."""

    tool_call_id: str
    title: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    kind: ToolKind | UnsetType = UNSET
    status: ToolStatus | UnsetType = UNSET
    raw_input: Any | UnsetType = UNSET
    """The arguments, a JSON object."""
    raw_output: Any | UnsetType = UNSET
    """The typed result as JSON: always has `ok`."""
    content: tuple[ToolContent, ...] | UnsetType = UNSET
    """Replaces what was shown before."""
    locations: tuple[Location, ...] | UnsetType = UNSET
    printed: str | UnsetType = UNSET
    """What a running command has printed since the update before; the end of all is in `content`."""


class PlanEntry(Struct, frozen=True, kw_only=True):
    """One step of the plan."""

    content: str
    priority: Literal["high", "medium", "low"] = "medium"
    status: Literal["pending", "in_progress", "completed"] = "pending"


class PlanUpdate(SessionEvent, frozen=True, kw_only=True, tag="plan_update"):
    """The whole plan, each time."""

    entries: tuple[PlanEntry, ...]


class PermissionOption(Struct, frozen=True, kw_only=True):
    """One answer that a person can give."""

    option_id: str
    name: str
    kind: Literal["allow_once", "allow_always", "reject_once", "reject_always"]


class PermissionRequested(SessionEvent, frozen=True, kw_only=True, tag="permission_requested"):
    """A call waits for a person. The tool call's own event went out before."""

    request_id: str
    tool_call_id: str
    title: str
    options: tuple[PermissionOption, ...]
    about: Literal["call", "loop", "question"] = "call"
    """Whether a call may run, a turn may go on, or what the model wants to know."""


class PermissionResolved(SessionEvent, frozen=True, kw_only=True, tag="permission_resolved"):
    """The wait is over."""

    request_id: str
    """The `PermissionRequested` that this closes."""
    outcome: Literal["allowed", "rejected", "cancelled", "unanswerable", "answered", "later"]
    option_id: str | None = None


class UsageUpdate(SessionEvent, frozen=True, kw_only=True, tag="usage_update"):
    """Tokens of one model call and how full the context is."""

    used: int
    """Tokens now in the context."""
    size: int
    """The context window, tokens; 0 when unknown."""
    input_tokens: int = 0
    cached_tokens: int = 0
    """Of `input_tokens`, those that came from the prefix cache."""
    output_tokens: int = 0


class Notice(SessionEvent, frozen=True, kw_only=True, tag="notice"):
    """Something the person should know that is no part of the answer."""

    severity: Literal["info", "warning", "error"]
    title: str
    description: str = ""


class CompactionUpdate(SessionEvent, frozen=True, kw_only=True, tag="compaction_update"):
    """The conversation is being shortened, so that it fits the model's context window."""

    compaction_id: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    summary: str | UnsetType = UNSET
    """What stands in for what was taken out; with `completed`."""
    error: str | UnsetType = UNSET
    """One clause; with `failed`."""


class Progress(SessionEvent, frozen=True, kw_only=True, tag="progress"):
    """How far a long step has come. Shown, never stored."""

    what: str
    """`download`, `convert`, `load` or `prefill`."""
    done: int
    total: int
    unit: str = ""


class ChangedFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file that is not what it was before the turn."""

    path: str
    """Absolute path."""
    name: str
    """The path as a person reads it: relative to the session's folder, if it is in there."""
    change: Literal["added", "modified", "deleted"]
    kept: bool = True
    """An undo brings back what it was."""


class FilesChanged(SessionEvent, frozen=True, kw_only=True, tag="files_changed"):
    """What a turn, or an undo, changed; each file can be taken back alone."""

    checkpoint: int
    """Turns and undos that changed something, counted from 1."""
    files: tuple[ChangedFile, ...]
    what: Literal["turn", "undo"] = "turn"

    def headline(self) -> str:
        """Such as `Changed src/x.py, tests/test_x.py (new)`."""
        marks = {"added": " (new)", "modified": "", "deleted": " (deleted)"}
        shown = [f"{file.name}{marks[file.change]}" for file in self.files[:SHOWN_FILES]]
        more = len(self.files) - len(shown)
        return f"Changed {', '.join(shown)}" + (f" and {more} more" if more else "")


class SessionInfoUpdate(SessionEvent, frozen=True, kw_only=True, tag="session_info_update"):
    """The session got a title."""

    title: str


class SettingsUpdate(SessionEvent, frozen=True, kw_only=True, tag="settings_update"):
    """A person chose another mode, model or level of reasoning, or the model has other levels."""

    mode: str
    model: str
    """Empty for what the settings lead to."""
    thought: str = ""
    """Empty leaves it to the model."""


class StateUpdate(SessionEvent, frozen=True, kw_only=True, tag="state_update"):
    """The session started or stopped working on a prompt."""

    state: Literal["running", "requires_action", "idle"]
    stop_reason: StopReason | UnsetType = UNSET
    """Only with `idle`."""
    error: str | UnsetType = UNSET
    """One sentence, only with `stop_reason` `error`."""


AnyEvent: TypeAlias = (
    UserMessage
    | AgentMessageChunk
    | AgentThoughtChunk
    | ToolCallUpdate
    | PlanUpdate
    | PermissionRequested
    | PermissionResolved
    | UsageUpdate
    | Notice
    | CompactionUpdate
    | Progress
    | FilesChanged
    | SessionInfoUpdate
    | SettingsUpdate
    | StateUpdate
)
"""Every event, for a decoder or an exhaustive `match`."""
