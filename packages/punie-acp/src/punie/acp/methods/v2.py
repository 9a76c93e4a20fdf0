"""The methods of version 2."""

from __future__ import annotations

from typing import Any

from punie.acp.methods.method import Method, request

_DRAFT: dict[str, Any] = {"version": 2, "stability": "draft"}
_SESSION = "capabilities.session"
DRAFT: tuple[Method, ...] = (
    request("initialize", "initialize", "Initialize", **_DRAFT),
    request("auth/login", "login", "LoginAuth", **_DRAFT, needs="auth_methods"),
    request("auth/logout", "logout", "LogoutAuth", **_DRAFT, needs="auth_methods"),
    request("session/new", "new_session", "NewSession", **_DRAFT, needs=_SESSION),
    request("session/resume", "resume_session", "ResumeSession", **_DRAFT, needs=_SESSION),
    request("session/list", "list_sessions", "ListSessions", **_DRAFT, needs=_SESSION),
    request("session/close", "close_session", "CloseSession", **_DRAFT, needs=_SESSION),
    request(
        "session/delete", "delete_session", "DeleteSession", **_DRAFT, needs=f"{_SESSION}.delete"
    ),
    request("session/prompt", "prompt", "Prompt", **_DRAFT, needs=_SESSION),
    Method("session/cancel", "cancel", "CancelSessionNotification", None, "agent", **_DRAFT),
    request(
        "session/set_config_option",
        "set_session_config_option",
        "SetSessionConfigOption",
        **_DRAFT,
    ),
    request("tool_call/cancel", "cancel_tool_call", "CancelToolCall", **_DRAFT, needs=_SESSION),
    request("terminal/cancel", "cancel_terminal", "CancelTerminal", **_DRAFT, needs=_SESSION),
    Method(
        "$/cancel_request",
        "cancel_request",
        "CancelRequestNotification",
        None,
        "both",
        **_DRAFT,
    ),
    Method(
        "session/update",
        "session_update",
        "UpdateSessionNotification",
        None,
        "client",
        ordered=True,
        **_DRAFT,
    ),
    request(
        "session/request_permission",
        "request_permission",
        "RequestPermission",
        "client",
        **_DRAFT,
    ),
    request("elicitation/create", "create_elicitation", "CreateElicitation", "client", **_DRAFT),
    Method(
        "elicitation/complete",
        "complete_elicitation",
        "CompleteElicitationNotification",
        None,
        "client",
        ordered=True,
        **_DRAFT,
    ),
)
"""The methods of version 2, which is a draft."""

_MORE: dict[str, Any] = {"version": 2, "stability": "unstable"}
UNSTABLE_DRAFT: tuple[Method, ...] = (
    request("session/fork", "fork_session", "ForkSession", **_MORE, needs=f"{_SESSION}.fork"),
    request(
        "session/set_title",
        "set_session_title",
        "SetSessionTitle",
        **_MORE,
        needs=f"{_SESSION}.title",
    ),
    request(
        "session/archive", "archive_session", "ArchiveSession", **_MORE, needs=f"{_SESSION}.archive"
    ),
    request(
        "session/unarchive",
        "unarchive_session",
        "UnarchiveSession",
        **_MORE,
        needs=f"{_SESSION}.archive",
    ),
    request(
        "session/status", "session_status", "SessionStatus", **_MORE, needs=f"{_SESSION}.status"
    ),
)
"""What may be added to version 2; only what is served here is listed."""
