"""Tool calls: what the agent does, as the client shows it.

https://agentclientprotocol.com/protocol/tool-calls
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from punie.acp.schema._base import Uint, Wire
from punie.acp.schema.v1.content import ContentBlock

ToolKind: TypeAlias = Literal[
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
ToolCallStatus: TypeAlias = Literal["pending", "in_progress", "completed", "failed"]


class Content(Wire, frozen=True, kw_only=True, tag_field="type", tag="content"):
    """A content block that a tool produced."""

    content: ContentBlock


class Diff(Wire, frozen=True, kw_only=True, tag_field="type", tag="diff"):
    """A change of one file, whole texts before and after."""

    path: str
    """Absolute."""
    new_text: str
    old_text: str | None = None
    """`None` when the file is new."""


class Terminal(Wire, frozen=True, kw_only=True, tag_field="type", tag="terminal"):
    """A live view of a terminal that was made with `terminal/create`."""

    terminal_id: str


ToolCallContent: TypeAlias = Content | Diff | Terminal


class ToolCallLocation(Wire, frozen=True, kw_only=True):
    """A place the tool works at, so that an editor can follow along."""

    path: str
    """Absolute."""
    line: Uint | None = None


class ToolCall(Wire, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="tool_call"):
    """A tool call begins."""

    tool_call_id: str
    title: str
    name: str | None = None
    kind: ToolKind | None = None
    status: ToolCallStatus | None = None
    content: list[ToolCallContent] | None = None
    locations: list[ToolCallLocation] | None = None
    raw_input: Any = None
    raw_output: Any = None


class ToolCallPatch(Wire, frozen=True, kw_only=True):
    """What changed in a tool call; what is `None` stays as it was.

    As a `session/update` it is a `ToolCallUpdate`, in a permission request it stands alone.
    """

    tool_call_id: str
    title: str | None = None
    name: str | None = None
    kind: ToolKind | None = None
    status: ToolCallStatus | None = None
    content: list[ToolCallContent] | None = None
    locations: list[ToolCallLocation] | None = None
    raw_input: Any = None
    raw_output: Any = None


class ToolCallUpdate(
    ToolCallPatch, frozen=True, kw_only=True, tag_field="sessionUpdate", tag="tool_call_update"
):
    """A tool call changes."""
