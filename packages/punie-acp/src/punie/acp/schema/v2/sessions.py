"""Sessions: opening, listing, prompting and ending them.

https://agentclientprotocol.com/protocol/v2/session-setup
https://agentclientprotocol.com/protocol/v2/prompt-lifecycle
"""

# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import field

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v2._base import Some, UnknownVariant
from punie.acp.schema.v2.commands import AvailableCommand
from punie.acp.schema.v2.config import SessionConfigOption
from punie.acp.schema.v2.content import ContentBlock
from punie.acp.schema.v2.lifecycle import EnvVariable


class HttpHeader(Wire, frozen=True, kw_only=True):
    """A header of HTTP requests."""

    name: str
    value: str


class McpServerHttp(Wire, frozen=True, kw_only=True, tag_field="type", tag="http"):
    """A server over HTTP; needs the capability `session.mcp.http`."""

    on_error: ClassVar[dict[str, OnError]] = {"headers": "null"}

    name: str
    url: str
    headers: list[HttpHeader] = field(default_factory=list)


class McpServerStdio(Wire, frozen=True, kw_only=True, tag_field="type", tag="stdio"):
    """A program to start; needs the capability `session.mcp.stdio`."""

    on_error: ClassVar[dict[str, OnError]] = {"args": "null", "env": "null"}

    name: str
    command: str
    """Absolute."""
    args: list[str] = field(default_factory=list)
    env: list[EnvVariable] = field(default_factory=list)


McpServer: TypeAlias = McpServerHttp | McpServerStdio | UnknownVariant


class NewSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/new`."""

    on_error: ClassVar[dict[str, OnError]] = {
        "mcp_servers": "null",
        "additional_directories": "null",
    }

    cwd: str
    """Absolute."""
    additional_directories: list[str] = field(default_factory=list)
    mcp_servers: list[McpServer] = field(default_factory=list)


class NewSessionResponse(Wire, frozen=True, kw_only=True):
    """The session is there, and idle until an update says otherwise."""

    session_id: str
    config_options: list[SessionConfigOption] = field(default_factory=list)
    available_commands: list[AvailableCommand] = field(default_factory=list)


class ReplayFromStart(Wire, frozen=True, kw_only=True, tag_field="type", tag="start"):
    """Replay all that is kept."""


ReplayFrom: TypeAlias = ReplayFromStart | UnknownVariant


class ResumeSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/resume`: open an old session, with or without its history."""

    on_error: ClassVar[dict[str, OnError]] = {
        "mcp_servers": "null",
        "additional_directories": "null",
        "replay_from": "raise",
    }

    session_id: str
    cwd: str
    """Absolute."""
    additional_directories: list[str] = field(default_factory=list)
    mcp_servers: list[McpServer] = field(default_factory=list)
    replay_from: ReplayFrom | None = None
    """`None` replays nothing."""


class ResumeSessionResponse(Wire, frozen=True, kw_only=True):
    """The session is open again."""

    config_options: list[SessionConfigOption] = field(default_factory=list)
    available_commands: list[AvailableCommand] = field(default_factory=list)


class ListSessionsRequest(Wire, frozen=True, kw_only=True):
    """`session/list`, one page."""

    on_error: ClassVar[dict[str, OnError]] = {"cwd": "raise", "cursor": "raise"}

    cwd: str | None = None
    cursor: str | None = None


class SessionInfo(Wire, frozen=True, kw_only=True):
    """One line of a list of sessions."""

    on_error: ClassVar[dict[str, OnError]] = {"additional_directories": "null"}

    session_id: str
    cwd: str
    additional_directories: list[str] = field(default_factory=list)
    title: str | None = None
    updated_at: str | None = None
    """ISO 8601."""


class ListSessionsResponse(Wire, frozen=True, kw_only=True):
    """A page of sessions."""

    on_error: ClassVar[dict[str, OnError]] = {"sessions": "default", "next_cursor": "raise"}

    sessions: list[SessionInfo]
    next_cursor: str | None = None


class CloseSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/close`: stop its work and free what it holds."""

    session_id: str


class CloseSessionResponse(Wire, frozen=True, kw_only=True):
    """Closed."""


class DeleteSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/delete`: forget it."""

    session_id: str


class DeleteSessionResponse(Wire, frozen=True, kw_only=True):
    """Forgotten."""


class PromptRequest(Wire, frozen=True, kw_only=True):
    """`session/prompt`: answered when the prompt is taken; updates tell how it goes on."""

    session_id: str
    prompt: Some[ContentBlock]


class PromptResponse(Wire, frozen=True, kw_only=True):
    """The prompt is part of the conversation now.

    https://agentclientprotocol.com/protocol/v2/prompt-lifecycle#2-prompt-accepted
    """

    message_id: str
    """The `user_message` that it became."""


class CancelSessionNotification(Wire, frozen=True, kw_only=True):
    """`session/cancel`: stop the foreground work, and drop prompts that wait.

    https://agentclientprotocol.com/protocol/v2/prompt-lifecycle#cancellation
    """

    session_id: str


class CancelRequestNotification(Wire, frozen=True, kw_only=True):
    """`$/cancel_request`: the sender no longer wants the answer to one request.

    https://agentclientprotocol.com/protocol/v2/cancellation
    """

    request_id: int | str
