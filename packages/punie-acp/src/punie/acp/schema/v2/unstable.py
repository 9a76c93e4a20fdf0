"""What may still change in version 2: only `session/fork` so far.

https://agentclientprotocol.com/protocol/v2/draft/session-setup
"""

# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v2.commands import AvailableCommand
from punie.acp.schema.v2.config import SessionConfigOption
from punie.acp.schema.v2.lifecycle import SessionCapabilities as _SessionCapabilities
from punie.acp.schema.v2.sessions import McpServer

__all__ = [
    "ForkSessionRequest",
    "ForkSessionResponse",
    "SessionCapabilities",
    "SessionForkCapabilities",
]


class SessionForkCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/fork`."""


class SessionCapabilities(_SessionCapabilities, frozen=True, kw_only=True):
    """Those of the draft, and `fork`."""

    fork: SessionForkCapabilities | None = None


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
