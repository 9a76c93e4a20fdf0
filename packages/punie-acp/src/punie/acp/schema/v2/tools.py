"""Tool calls and the agent's terminals: what the agent does, as the client shows it.

https://agentclientprotocol.com/protocol/v2/tool-calls
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from punie.acp.schema._base import UNKNOWN_TAG, OnError, Wire
from punie.acp.schema.v2._base import Patch, UnknownVariant
from punie.acp.schema.v2.content import ContentBlock

ToolKind: TypeAlias = (
    Literal[
        "read",
        "edit",
        "delete",
        "move",
        "search",
        "execute",
        "think",
        "fetch",
        "switch_mode",
        "other",
    ]
    | str
)
ToolCallStatus: TypeAlias = (
    Literal["pending", "in_progress", "paused", "completed", "failed", "cancelled"] | str
)
DiffFileType: TypeAlias = Literal["text", "binary", "directory", "symlink"] | str
DiffPatchFormat: TypeAlias = Literal["git_patch"] | str


class Content(Wire, frozen=True, kw_only=True, tag_field="type", tag="content"):
    """A content block that a tool produced."""

    content: ContentBlock


class DiffPathChange(Wire, frozen=True, kw_only=True):
    """What changes of one path share."""

    path: str
    """Absolute."""
    file_type: DiffFileType | None = None
    mime_type: str | None = None


class DiffPathPairChange(Wire, frozen=True, kw_only=True):
    """What changes from one path to another share."""

    old_path: str
    """Absolute."""
    path: str
    """Absolute."""
    file_type: DiffFileType | None = None
    mime_type: str | None = None


class DiffAdd(DiffPathChange, frozen=True, kw_only=True, tag_field="operation", tag="add"):
    """A file was made."""


class DiffDelete(DiffPathChange, frozen=True, kw_only=True, tag_field="operation", tag="delete"):
    """A file was removed."""


class DiffModify(DiffPathChange, frozen=True, kw_only=True, tag_field="operation", tag="modify"):
    """A file's content changed."""


class DiffMove(DiffPathPairChange, frozen=True, kw_only=True, tag_field="operation", tag="move"):
    """A file has another path now."""


class DiffCopy(DiffPathPairChange, frozen=True, kw_only=True, tag_field="operation", tag="copy"):
    """A file was copied."""


class UnknownDiffChange(Wire, frozen=True, kw_only=True, tag_field="operation", tag=UNKNOWN_TAG):
    """A change of a kind that this version does not know. Received only."""

    kind: str
    """The `operation` that came."""
    body: dict[str, Any]
    """The whole change as it came."""


DiffChange: TypeAlias = DiffAdd | DiffDelete | DiffModify | DiffMove | DiffCopy | UnknownDiffChange


class DiffPatch(Wire, frozen=True, kw_only=True):
    """A patch as text."""

    format: DiffPatchFormat
    text: str


class Diff(Wire, frozen=True, kw_only=True, tag_field="type", tag="diff"):
    """Changes of files: which ones, and a patch that shows how."""

    on_error: ClassVar[dict[str, OnError]] = {"changes": "items"}

    changes: list[DiffChange]
    patch: DiffPatch | None = None


class Terminal(Wire, frozen=True, kw_only=True, tag_field="type", tag="terminal"):
    """A view of one of the agent's terminals, which `terminal_update` tells about."""

    terminal_id: str


ToolCallContent: TypeAlias = Content | Diff | Terminal | UnknownVariant


class ToolCallLocation(Wire, frozen=True, kw_only=True):
    """A place the tool works at, so that an editor can follow along."""

    path: str
    """Absolute."""
    line: Annotated[int, Meta(ge=1)] | None = None


class ToolCallCancelCapabilities(Wire, frozen=True, kw_only=True):
    """`tool_call/cancel` stops this call."""


class ToolCallCapabilities(Wire, frozen=True, kw_only=True):
    """What a client can do with a running call."""

    cancel: ToolCallCancelCapabilities | None = None


class ToolCallPatch(Patch, frozen=True, kw_only=True):
    """A tool call begins or changes: `UNSET` keeps, `None` clears, a value replaces.

    As a `session/update` it is a `ToolCallUpdate`, in a permission request it stands alone.
    """

    tool_call_id: str
    name: str | UnsetType | None = UNSET
    title: str | UnsetType | None = UNSET
    kind: ToolKind | UnsetType | None = UNSET
    """`other` at first."""
    status: ToolCallStatus | UnsetType | None = UNSET
    """`pending` at first."""
    content: list[ToolCallContent] | UnsetType | None = UNSET
    locations: list[ToolCallLocation] | UnsetType | None = UNSET
    raw_input: Any = UNSET
    raw_output: Any = UNSET
    capabilities: ToolCallCapabilities | UnsetType | None = UNSET


class ToolCallUpdate(
    ToolCallPatch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="tool_call_update"
):
    """A tool call begins or changes."""


class ToolCallContentChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="tool_call_content_chunk"
):
    """More content of a tool call, appended to what is there."""

    tool_call_id: str
    content: ToolCallContent


class TerminalOutput(Wire, frozen=True, kw_only=True):
    """All output so far; it replaces what was there."""

    data: str
    """Base64."""


class TerminalExitStatus(Wire, frozen=True, kw_only=True):
    """How a command ended."""

    exit_code: int | None = None
    signal: str | None = None


TerminalCells = Annotated[int, Meta(ge=1, le=65535)]
"""A width or a height in character cells."""


class TerminalSize(Wire, frozen=True, kw_only=True):
    """The size a command runs with."""

    cols: TerminalCells
    rows: TerminalCells


class TerminalCancelCapabilities(Wire, frozen=True, kw_only=True):
    """`terminal/cancel` stops this terminal."""


class TerminalCapabilities(Wire, frozen=True, kw_only=True):
    """What a client can do with a terminal."""

    cancel: TerminalCancelCapabilities | None = None


class TerminalUpdate(
    Patch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="terminal_update"
):
    """A terminal begins or changes: `UNSET` keeps, `None` clears, a value replaces."""

    terminal_id: str
    command: str | UnsetType | None = UNSET
    cwd: str | UnsetType | None = UNSET
    """Absolute."""
    output: TerminalOutput | UnsetType | None = UNSET
    exit_status: TerminalExitStatus | UnsetType | None = UNSET
    """A value says that the command ended."""
    size: TerminalSize | UnsetType | None = UNSET
    capabilities: TerminalCapabilities | UnsetType | None = UNSET


class TerminalOutputChunk(
    Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="terminal_output_chunk"
):
    """More output of a terminal."""

    terminal_id: str
    data: str
    """Base64; each chunk decodes alone."""


class CancelToolCallRequest(Wire, frozen=True, kw_only=True):
    """`tool_call/cancel`; needs the call's capability `cancel`.

    https://agentclientprotocol.com/protocol/v2/tool-calls#cancelling-tool-calls
    """

    session_id: str
    tool_call_id: str


class CancelToolCallResponse(Wire, frozen=True, kw_only=True):
    """The agent will stop it; an update tells when it has."""


class CancelTerminalRequest(Wire, frozen=True, kw_only=True):
    """`terminal/cancel`; needs the terminal's capability `cancel`.

    https://agentclientprotocol.com/protocol/v2/tool-calls#cancelling-terminals
    """

    session_id: str
    terminal_id: str


class CancelTerminalResponse(Wire, frozen=True, kw_only=True):
    """The agent will stop it; an update tells when it has."""
