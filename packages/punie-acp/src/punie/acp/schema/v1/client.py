"""What an agent asks of the client: permission, files, terminals.

https://agentclientprotocol.com/protocol/tool-calls#requesting-permission
https://agentclientprotocol.com/protocol/file-system
https://agentclientprotocol.com/protocol/terminals
"""

# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from msgspec import field

from punie.acp.schema._base import OnError, Uint, Wire
from punie.acp.schema.v1.sessions import EnvVariable
from punie.acp.schema.v1.tools import ToolCallPatch

PermissionOptionKind: TypeAlias = Literal[
    "allow_once", "allow_always", "reject_once", "reject_always"
]


class PermissionOption(Wire, frozen=True, kw_only=True):
    """One answer that a person can give."""

    option_id: str
    name: str
    kind: PermissionOptionKind


class RequestPermissionRequest(Wire, frozen=True, kw_only=True):
    """`session/request_permission`."""

    session_id: str
    tool_call: ToolCallPatch
    options: list[PermissionOption]


class CancelledPermissionOutcome(
    Wire, frozen=True, kw_only=True, tag_field="outcome", tag="cancelled"
):
    """Nobody answered: the turn was cancelled."""


class SelectedPermissionOutcome(
    Wire, frozen=True, kw_only=True, tag_field="outcome", tag="selected"
):
    """Somebody chose an option."""

    option_id: str


RequestPermissionOutcome: TypeAlias = CancelledPermissionOutcome | SelectedPermissionOutcome


class RequestPermissionResponse(Wire, frozen=True, kw_only=True):
    """What was decided."""

    outcome: RequestPermissionOutcome


class ReadTextFileRequest(Wire, frozen=True, kw_only=True):
    """`fs/read_text_file`: the editor's text, saved or not."""

    on_error: ClassVar[dict[str, OnError]] = {"line": "raise", "limit": "raise"}

    session_id: str
    path: str
    """Absolute."""
    line: Uint | None = None
    """First line, from 1."""
    limit: Uint | None = None
    """Lines."""


class ReadTextFileResponse(Wire, frozen=True, kw_only=True):
    """The text."""

    content: str


class WriteTextFileRequest(Wire, frozen=True, kw_only=True):
    """`fs/write_text_file`."""

    session_id: str
    path: str
    """Absolute."""
    content: str


class WriteTextFileResponse(Wire, frozen=True, kw_only=True):
    """Written."""


class CreateTerminalRequest(Wire, frozen=True, kw_only=True):
    """`terminal/create`: run a command where the person can watch it."""

    on_error: ClassVar[dict[str, OnError]] = {
        "args": "null",
        "env": "null",
        "cwd": "raise",
        "output_byte_limit": "raise",
    }

    session_id: str
    command: str
    args: list[str] = field(default_factory=list)
    env: list[EnvVariable] = field(default_factory=list)
    cwd: str | None = None
    """Absolute."""
    output_byte_limit: Uint | None = None
    """Bytes to keep; older output goes first."""


class CreateTerminalResponse(Wire, frozen=True, kw_only=True):
    """The command runs."""

    terminal_id: str


class TerminalOutputRequest(Wire, frozen=True, kw_only=True):
    """`terminal/output`."""

    session_id: str
    terminal_id: str


class TerminalExitStatus(Wire, frozen=True, kw_only=True):
    """How a command ended."""

    exit_code: Uint | None = None
    signal: str | None = None


class TerminalOutputResponse(Wire, frozen=True, kw_only=True):
    """What was printed so far."""

    output: str
    truncated: bool
    exit_status: TerminalExitStatus | None = None


class WaitForTerminalExitRequest(Wire, frozen=True, kw_only=True):
    """`terminal/wait_for_exit`."""

    session_id: str
    terminal_id: str


class WaitForTerminalExitResponse(Wire, frozen=True, kw_only=True):
    """The command ended."""

    exit_code: Uint | None = None
    signal: str | None = None


class KillTerminalRequest(Wire, frozen=True, kw_only=True):
    """`terminal/kill`: end the command, keep its output."""

    session_id: str
    terminal_id: str


class KillTerminalResponse(Wire, frozen=True, kw_only=True):
    """Killed."""


class ReleaseTerminalRequest(Wire, frozen=True, kw_only=True):
    """`terminal/release`: end the command and forget it."""

    session_id: str
    terminal_id: str


class ReleaseTerminalResponse(Wire, frozen=True, kw_only=True):
    """Released."""
