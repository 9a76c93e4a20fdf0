"""Unstable methods of sessions: forks, titles, archives, system prompts, usage; MCP over ACP.

https://agentclientprotocol.com/protocol/v1/draft/session-setup
"""

# pyright: reportUnknownVariableType=false, reportGeneralTypeIssues=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.
# Variants make fields of the received type required; the check is about positional dataclasses,
# and every field here is keyword-only.

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

from punie.acp.schema._base import OnError, Uint, Wire
from punie.acp.schema.v1 import sessions
from punie.acp.schema.v1.config import SessionConfigOption, SessionModeState
from punie.acp.schema.v1.content import ContentBlock

SystemPromptMode: TypeAlias = Literal["append", "override"] | str
SessionArchiveFilter: TypeAlias = Literal["exclude", "include", "only"] | str
SessionStatus: TypeAlias = Literal["open", "saved"] | str


class McpServer(sessions.McpServer, frozen=True, kw_only=True):
    """An MCP server, as received: `type` may be `acp`, too."""

    on_error: ClassVar[dict[str, OnError]] = {**sessions.McpServer.on_error, "server_id": "raise"}

    server_id: str | None = None


class McpServerAcp(McpServer, frozen=True, kw_only=True):
    """A server that the client answers for through `mcp/message`; needs `mcpCapabilities.acp`."""

    server_id: str
    # A factory, since a plain default would not be sent.
    type: str = field(default_factory=lambda: "acp")


class SystemPrompt(Wire, frozen=True, kw_only=True):
    """What a client adds to the agent's system prompt, or puts in its place."""

    mode: SystemPromptMode
    content: list[ContentBlock]


class NewSessionRequest(sessions.NewSessionRequest, frozen=True, kw_only=True):
    """`session/new`."""

    on_error: ClassVar[dict[str, OnError]] = {
        **sessions.NewSessionRequest.on_error,
        "system_prompt": "raise",
    }

    mcp_servers: list[McpServer]  # pyright: ignore[reportIncompatibleVariableOverride]
    system_prompt: SystemPrompt | None = None


class LoadSessionRequest(sessions.LoadSessionRequest, frozen=True, kw_only=True):
    """`session/load`."""

    on_error: ClassVar[dict[str, OnError]] = {
        **sessions.LoadSessionRequest.on_error,
        "system_prompt": "raise",
    }

    mcp_servers: list[McpServer]  # pyright: ignore[reportIncompatibleVariableOverride]
    system_prompt: SystemPrompt | None = None


class ResumeSessionRequest(sessions.ResumeSessionRequest, frozen=True, kw_only=True):
    """`session/resume`."""

    on_error: ClassVar[dict[str, OnError]] = {
        **sessions.ResumeSessionRequest.on_error,
        "system_prompt": "raise",
    }

    mcp_servers: list[McpServer] = field(default_factory=list)  # pyright: ignore[reportIncompatibleVariableOverride]
    system_prompt: SystemPrompt | None = None


class ForkSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/fork`: a new session that begins with another one's history."""

    on_error: ClassVar[dict[str, OnError]] = {
        "mcp_servers": "null",
        "additional_directories": "null",
        "system_prompt": "raise",
    }

    session_id: str
    cwd: str
    """Absolute."""
    additional_directories: list[str] = field(default_factory=list)
    mcp_servers: list[McpServer] = field(default_factory=list)
    system_prompt: SystemPrompt | None = None


class ForkSessionResponse(Wire, frozen=True, kw_only=True):
    """The new session."""

    session_id: str
    modes: SessionModeState | None = None
    config_options: list[SessionConfigOption] | None = None


class ListSessionsRequest(sessions.ListSessionsRequest, frozen=True, kw_only=True):
    """`session/list`, one page."""

    on_error: ClassVar[dict[str, OnError]] = {
        **sessions.ListSessionsRequest.on_error,
        "archived": "raise",
    }

    archived: SessionArchiveFilter | None = None


class SessionInfo(sessions.SessionInfo, frozen=True, kw_only=True):
    """One line of a list of sessions."""

    archived: bool | None = None


class ListSessionsResponse(sessions.ListSessionsResponse, frozen=True, kw_only=True):
    """A page of sessions."""

    sessions: list[SessionInfo]  # pyright: ignore[reportIncompatibleVariableOverride]


class ArchiveSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/archive`: keep it out of the way."""

    session_id: str


class ArchiveSessionResponse(Wire, frozen=True, kw_only=True):
    """Archived."""


class UnarchiveSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/unarchive`."""

    session_id: str


class UnarchiveSessionResponse(Wire, frozen=True, kw_only=True):
    """Back again."""


class SessionStatusRequest(Wire, frozen=True, kw_only=True):
    """`session/status`: is it open here, or only saved?"""

    session_id: str


class SessionStatusResponse(Wire, frozen=True, kw_only=True):
    """What a session is."""

    status: SessionStatus


class SetSessionTitleRequest(Wire, frozen=True, kw_only=True):
    """`session/set_title`."""

    session_id: str
    title: str


class SetSessionTitleResponse(Wire, frozen=True, kw_only=True):
    """The title that it has now."""

    title: str


class Usage(Wire, frozen=True, kw_only=True):
    """Tokens of a turn."""

    total_tokens: Uint
    input_tokens: Uint
    output_tokens: Uint
    thought_tokens: Uint | None = None
    cached_read_tokens: Uint | None = None
    cached_write_tokens: Uint | None = None


class PromptResponse(sessions.PromptResponse, frozen=True, kw_only=True):
    """The turn is over."""

    usage: Usage | None = None


class MessageMcpRequest(Wire, frozen=True, kw_only=True):
    """`mcp/message` to the client: a request for a server of type `acp`."""

    on_error: ClassVar[dict[str, OnError]] = {"params": "raise"}

    server_id: str
    request_id: str
    method: str
    params: dict[str, Any] | None = None


class McpError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error of MCP."""

    code: int
    message: str
    data: Any = UNSET


class MessageMcpResponse(Wire, frozen=True, kw_only=True):
    """The server's answer: `result` or `error` is set."""

    on_error: ClassVar[dict[str, OnError]] = {"result": "raise", "error": "raise"}

    result: Any = UNSET
    error: McpError | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.result is UNSET) == (self.error is UNSET):
            raise ValueError("an answer is a result or an error")


class MessageMcpNotification(Wire, frozen=True, kw_only=True):
    """`mcp/message` to the agent: a notification of a server of type `acp`."""

    on_error: ClassVar[dict[str, OnError]] = {"params": "raise"}

    server_id: str
    request_id: str
    method: str
    params: dict[str, Any] | None = None
