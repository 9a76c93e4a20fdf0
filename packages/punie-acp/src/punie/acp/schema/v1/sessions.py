"""Sessions and turns: `session/new`, `session/prompt` and their kin.

https://agentclientprotocol.com/protocol/session-setup
https://agentclientprotocol.com/protocol/prompt-turn
"""

# pyright: reportGeneralTypeIssues=false
# Variants make fields of the received type required; the check is about positional dataclasses,
# and every field here is keyword-only.
# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from msgspec import field

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v1.config import SessionConfigOption, SessionModeState
from punie.acp.schema.v1.content import ContentBlock

StopReason: TypeAlias = Literal[
    "end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled"
]


class EnvVariable(Wire, frozen=True, kw_only=True):
    """A variable of a process's environment."""

    name: str
    value: str


class HttpHeader(Wire, frozen=True, kw_only=True):
    """A header of HTTP requests."""

    name: str
    value: str


class McpServer(Wire, frozen=True, kw_only=True):
    """An MCP server, as received: `type` is `http`, `sse` or `None` for stdio.

    To send one, build `McpServerStdio`, `McpServerHttp` or `McpServerSse`. stdio has no `type` in
    the schema, which no typed union can tell apart, so one type receives all.
    """

    on_error: ClassVar[dict[str, OnError]] = {
        "type": "raise",
        "command": "raise",
        "args": "null",
        "env": "null",
        "url": "raise",
        "headers": "null",
    }

    name: str
    type: str | None = None
    command: str | None = None
    args: list[str] | None = None
    env: list[EnvVariable] | None = None
    url: str | None = None
    headers: list[HttpHeader] | None = None


class McpServerStdio(McpServer, frozen=True, kw_only=True):
    """A program to start. Every agent takes it."""

    command: str
    args: list[str]
    env: list[EnvVariable]


class McpServerHttp(McpServer, frozen=True, kw_only=True):
    """A server over HTTP; needs the capability `mcpCapabilities.http`."""

    url: str
    headers: list[HttpHeader]
    # A factory, since a plain default would not be sent.
    type: str = field(default_factory=lambda: "http")


class McpServerSse(McpServer, frozen=True, kw_only=True):
    """A server over SSE; needs the capability `mcpCapabilities.sse`."""

    url: str
    headers: list[HttpHeader]
    type: str = field(default_factory=lambda: "sse")


class NewSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/new`."""

    on_error: ClassVar[dict[str, OnError]] = {
        "mcp_servers": "null",
        "additional_directories": "null",
    }

    cwd: str
    """Absolute."""
    mcp_servers: list[McpServer]
    additional_directories: list[str] = field(default_factory=list)


class NewSessionResponse(Wire, frozen=True, kw_only=True):
    """The session is there; updates for it come after this."""

    session_id: str
    modes: SessionModeState | None = None
    config_options: list[SessionConfigOption] | None = None


class LoadSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/load`: replay the history as updates, then answer."""

    on_error: ClassVar[dict[str, OnError]] = {
        "mcp_servers": "null",
        "additional_directories": "null",
    }

    session_id: str
    cwd: str
    mcp_servers: list[McpServer]
    additional_directories: list[str] = field(default_factory=list)


class LoadSessionResponse(Wire, frozen=True, kw_only=True):
    """The whole history has been replayed."""

    modes: SessionModeState | None = None
    config_options: list[SessionConfigOption] | None = None


class ResumeSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/resume`: go on without a replay."""

    on_error: ClassVar[dict[str, OnError]] = {
        "mcp_servers": "null",
        "additional_directories": "null",
    }

    session_id: str
    cwd: str
    mcp_servers: list[McpServer] = field(default_factory=list)
    additional_directories: list[str] = field(default_factory=list)


class ResumeSessionResponse(Wire, frozen=True, kw_only=True):
    """The session is open again."""

    modes: SessionModeState | None = None
    config_options: list[SessionConfigOption] | None = None


class ListSessionsRequest(Wire, frozen=True, kw_only=True):
    """`session/list`, one page."""

    on_error: ClassVar[dict[str, OnError]] = {"cwd": "raise", "cursor": "raise"}

    cwd: str | None = None
    cursor: str | None = None


class SessionInfo(Wire, frozen=True, kw_only=True):
    """One line of a list of sessions."""

    session_id: str
    cwd: str
    additional_directories: list[str] = field(default_factory=list)
    title: str | None = None
    updated_at: str | None = None
    """ISO 8601."""


class ListSessionsResponse(Wire, frozen=True, kw_only=True):
    """A page of sessions."""

    on_error: ClassVar[dict[str, OnError]] = {"sessions": "default"}

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
    """`session/prompt`: one turn, answered when it is over."""

    session_id: str
    prompt: list[ContentBlock]


class PromptResponse(Wire, frozen=True, kw_only=True):
    """The turn is over; every update of it came before."""

    stop_reason: StopReason


class CancelNotification(Wire, frozen=True, kw_only=True):
    """`session/cancel`: stop the turn; its answer is `cancelled`."""

    session_id: str


class CancelRequestNotification(Wire, frozen=True, kw_only=True):
    """`$/cancel_request`: the sender no longer wants the answer to one request.

    https://agentclientprotocol.com/protocol/cancellation
    """

    request_id: int | str | None
