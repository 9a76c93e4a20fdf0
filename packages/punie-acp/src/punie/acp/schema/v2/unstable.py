"""What may still change in version 2, as far as it is served here: more that is done with sessions.

https://agentclientprotocol.com/protocol/v2/draft/session-setup
"""

# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from msgspec import field

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v2.commands import AvailableCommand
from punie.acp.schema.v2.config import SessionConfigOption
from punie.acp.schema.v2.lifecycle import SessionCapabilities as _SessionCapabilities
from punie.acp.schema.v2.sessions import McpServer
from punie.acp.schema.v2.updates import StateUpdate

__all__ = [
    "ArchiveSessionRequest",
    "ArchiveSessionResponse",
    "ForkSessionRequest",
    "ForkSessionResponse",
    "SessionArchiveCapabilities",
    "SessionCapabilities",
    "SessionForkCapabilities",
    "SessionStatus",
    "SessionStatusCapabilities",
    "SessionStatusRequest",
    "SessionStatusResponse",
    "SessionTitleCapabilities",
    "SetSessionTitleRequest",
    "SetSessionTitleResponse",
    "UnarchiveSessionRequest",
    "UnarchiveSessionResponse",
]


SessionStatus: TypeAlias = Literal["open", "saved"] | str


class SessionForkCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/fork`."""


class SessionArchiveCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/archive` and `session/unarchive`."""


class SessionStatusCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/status`."""


class SessionTitleCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/set_title`."""


class SessionCapabilities(_SessionCapabilities, frozen=True, kw_only=True):
    """Those of the draft, and more."""

    fork: SessionForkCapabilities | None = None
    archive: SessionArchiveCapabilities | None = None
    status: SessionStatusCapabilities | None = None
    title: SessionTitleCapabilities | None = None


class ForkSessionRequest(Wire, frozen=True, kw_only=True):
    """`session/fork`: a new session that begins with another one's history."""

    on_error: ClassVar[dict[str, OnError]] = {
        "mcp_servers": "null",
        "additional_directories": "null",
    }

    session_id: str
    cwd: str
    """Absolute."""
    additional_directories: list[str] = field(default_factory=list)
    mcp_servers: list[McpServer] = field(default_factory=list)


class ForkSessionResponse(Wire, frozen=True, kw_only=True):
    """The new session."""

    session_id: str
    config_options: list[SessionConfigOption] = field(default_factory=list)
    available_commands: list[AvailableCommand] = field(default_factory=list)


class SetSessionTitleRequest(Wire, frozen=True, kw_only=True):
    """`session/set_title`."""

    session_id: str
    title: str


class SetSessionTitleResponse(Wire, frozen=True, kw_only=True):
    """The title that it has now."""

    title: str


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
    state: StateUpdate | None = None
    """What it is doing, when it is open."""
