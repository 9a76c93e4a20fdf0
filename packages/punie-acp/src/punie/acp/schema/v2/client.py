"""What an agent asks of the client: permission. Files and terminals are the agent's own here.

https://agentclientprotocol.com/protocol/v2/tool-calls#requesting-permission
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from punie.acp.schema._base import UNKNOWN_TAG, OnError, Wire
from punie.acp.schema.v2._base import Some, UnknownVariant
from punie.acp.schema.v2.tools import ToolCallPatch

PermissionOptionKind: TypeAlias = (
    Literal["allow_once", "allow_always", "reject_once", "reject_always"] | str
)


class PermissionOption(Wire, frozen=True, kw_only=True):
    """One answer that a person can give."""

    option_id: str
    name: str
    kind: PermissionOptionKind


class ToolCallPermissionSubject(Wire, frozen=True, kw_only=True, tag_field="type", tag="tool_call"):
    """Permission for a tool call."""

    tool_call: ToolCallPatch


class CommandPermissionSubject(Wire, frozen=True, kw_only=True, tag_field="type", tag="command"):
    """Permission for a command."""

    command: str
    cwd: str
    """Absolute."""
    tool_call_id: str | None = None
    terminal_id: str | None = None


RequestPermissionSubject: TypeAlias = (
    ToolCallPermissionSubject | CommandPermissionSubject | UnknownVariant
)


class RequestPermissionRequest(Wire, frozen=True, kw_only=True):
    """`session/request_permission`."""

    on_error: ClassVar[dict[str, OnError]] = {"subject": "raise"}

    session_id: str
    title: str
    options: Some[PermissionOption]
    description: str | None = None
    subject: RequestPermissionSubject | None = None


class CancelledPermissionOutcome(
    Wire, frozen=True, kw_only=True, tag_field="outcome", tag="cancelled"
):
    """Nobody chose an option; it is not permitted."""


class SelectedPermissionOutcome(
    Wire, frozen=True, kw_only=True, tag_field="outcome", tag="selected"
):
    """Somebody chose an option."""

    option_id: str


class UnknownPermissionOutcome(
    Wire, frozen=True, kw_only=True, tag_field="outcome", tag=UNKNOWN_TAG
):
    """An outcome that this version does not know; it permits nothing. Received only."""

    kind: str
    """The `outcome` that came."""
    body: dict[str, Any]
    """The whole outcome as it came."""


RequestPermissionOutcome: TypeAlias = (
    CancelledPermissionOutcome | SelectedPermissionOutcome | UnknownPermissionOutcome
)


class RequestPermissionResponse(Wire, frozen=True, kw_only=True):
    """What was decided."""

    outcome: RequestPermissionOutcome
