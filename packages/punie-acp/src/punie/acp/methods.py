"""The one method table: what each method takes and gives, who serves it, how it is delivered.

Routing, proxies and tests read it. Decoders are built when a method is first used, since building
all of them would cost every start. Version 2 gets a table of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from punie.acp.schema import v1

Side: TypeAlias = Literal["agent", "client", "both"]
Kind: TypeAlias = Literal["request", "notification"]


class Method(NamedTuple):
    """One method of the protocol."""

    name: str
    """As on the wire."""
    attribute: str
    """The Python method that serves it."""
    params: type[Any]
    result: type[Any] | None
    """`None` for a notification."""
    served_by: Side
    ordered: bool = False
    """A notification that is handled alone and before whatever came after it."""

    @property
    def kind(self) -> Kind:
        """Whether an answer is due."""
        return "notification" if self.result is None else "request"


INITIALIZE = Method(
    "initialize", "initialize", v1.InitializeRequest, v1.InitializeResponse, "agent"
)
NEW_SESSION = Method(
    "session/new", "new_session", v1.NewSessionRequest, v1.NewSessionResponse, "agent"
)
PROMPT = Method("session/prompt", "prompt", v1.PromptRequest, v1.PromptResponse, "agent")
CANCEL = Method("session/cancel", "cancel", v1.CancelNotification, None, "agent")
CANCEL_REQUEST = Method(
    "$/cancel_request", "cancel_request", v1.CancelRequestNotification, None, "both"
)
SESSION_UPDATE = Method(
    "session/update", "session_update", v1.SessionNotification, None, "client", ordered=True
)

METHODS: tuple[Method, ...] = (
    INITIALIZE,
    Method(
        "authenticate", "authenticate", v1.AuthenticateRequest, v1.AuthenticateResponse, "agent"
    ),
    Method("logout", "logout", v1.LogoutRequest, v1.LogoutResponse, "agent"),
    NEW_SESSION,
    Method("session/load", "load_session", v1.LoadSessionRequest, v1.LoadSessionResponse, "agent"),
    Method(
        "session/resume",
        "resume_session",
        v1.ResumeSessionRequest,
        v1.ResumeSessionResponse,
        "agent",
    ),
    Method(
        "session/list", "list_sessions", v1.ListSessionsRequest, v1.ListSessionsResponse, "agent"
    ),
    Method(
        "session/close", "close_session", v1.CloseSessionRequest, v1.CloseSessionResponse, "agent"
    ),
    Method(
        "session/delete",
        "delete_session",
        v1.DeleteSessionRequest,
        v1.DeleteSessionResponse,
        "agent",
    ),
    Method(
        "session/set_mode",
        "set_session_mode",
        v1.SetSessionModeRequest,
        v1.SetSessionModeResponse,
        "agent",
    ),
    Method(
        "session/set_config_option",
        "set_session_config_option",
        v1.SetSessionConfigOptionRequest,
        v1.SetSessionConfigOptionResponse,
        "agent",
    ),
    PROMPT,
    CANCEL,
    CANCEL_REQUEST,
    SESSION_UPDATE,
    Method(
        "session/request_permission",
        "request_permission",
        v1.RequestPermissionRequest,
        v1.RequestPermissionResponse,
        "client",
    ),
    Method(
        "fs/read_text_file",
        "read_text_file",
        v1.ReadTextFileRequest,
        v1.ReadTextFileResponse,
        "client",
    ),
    Method(
        "fs/write_text_file",
        "write_text_file",
        v1.WriteTextFileRequest,
        v1.WriteTextFileResponse,
        "client",
    ),
    Method(
        "terminal/create",
        "create_terminal",
        v1.CreateTerminalRequest,
        v1.CreateTerminalResponse,
        "client",
    ),
    Method(
        "terminal/output",
        "terminal_output",
        v1.TerminalOutputRequest,
        v1.TerminalOutputResponse,
        "client",
    ),
    Method(
        "terminal/wait_for_exit",
        "wait_for_terminal_exit",
        v1.WaitForTerminalExitRequest,
        v1.WaitForTerminalExitResponse,
        "client",
    ),
    Method(
        "terminal/kill",
        "kill_terminal",
        v1.KillTerminalRequest,
        v1.KillTerminalResponse,
        "client",
    ),
    Method(
        "terminal/release",
        "release_terminal",
        v1.ReleaseTerminalRequest,
        v1.ReleaseTerminalResponse,
        "client",
    ),
)

BY_NAME: dict[str, Method] = {method.name: method for method in METHODS}


@cache
def decoder(of: type[Any], *, strict: bool = True) -> msgspec.json.Decoder[Any]:
    """The decoder of a wire type, built once.

    Args:
        of: A type of the schema.
        strict: Whether `"1"` is refused where `1` is asked for.
    """
    return msgspec.json.Decoder(of, strict=strict)
