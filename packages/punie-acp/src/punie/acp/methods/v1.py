"""The methods of version 1."""

from __future__ import annotations

from typing import Any

from punie.acp.methods.method import Method, request

INITIALIZE = request("initialize", "initialize", "Initialize")
NEW_SESSION = request("session/new", "new_session", "NewSession")
PROMPT = request("session/prompt", "prompt", "Prompt")
CANCEL = Method("session/cancel", "cancel", "CancelNotification", None, "agent")
CANCEL_REQUEST = Method(
    "$/cancel_request", "cancel_request", "CancelRequestNotification", None, "both"
)
SESSION_UPDATE = Method(
    "session/update", "session_update", "SessionNotification", None, "client", ordered=True
)

METHODS: tuple[Method, ...] = (
    INITIALIZE,
    request("authenticate", "authenticate", "Authenticate"),
    request("logout", "logout", "Logout", needs="agent_capabilities.auth.logout"),
    NEW_SESSION,
    request("session/load", "load_session", "LoadSession", needs="agent_capabilities.load_session"),
    request(
        "session/resume",
        "resume_session",
        "ResumeSession",
        needs="agent_capabilities.session_capabilities.resume",
    ),
    request(
        "session/list",
        "list_sessions",
        "ListSessions",
        needs="agent_capabilities.session_capabilities.list",
    ),
    request(
        "session/close",
        "close_session",
        "CloseSession",
        needs="agent_capabilities.session_capabilities.close",
    ),
    request(
        "session/delete",
        "delete_session",
        "DeleteSession",
        needs="agent_capabilities.session_capabilities.delete",
    ),
    request("session/set_mode", "set_session_mode", "SetSessionMode"),
    request("session/set_config_option", "set_session_config_option", "SetSessionConfigOption"),
    PROMPT,
    CANCEL,
    CANCEL_REQUEST,
    SESSION_UPDATE,
    request("session/request_permission", "request_permission", "RequestPermission", "client"),
    request(
        "fs/read_text_file",
        "read_text_file",
        "ReadTextFile",
        "client",
        needs="client_capabilities.fs.read_text_file",
    ),
    request(
        "fs/write_text_file",
        "write_text_file",
        "WriteTextFile",
        "client",
        needs="client_capabilities.fs.write_text_file",
    ),
    request(
        "terminal/create",
        "create_terminal",
        "CreateTerminal",
        "client",
        needs="client_capabilities.terminal",
    ),
    request(
        "terminal/output",
        "terminal_output",
        "TerminalOutput",
        "client",
        needs="client_capabilities.terminal",
    ),
    request(
        "terminal/wait_for_exit",
        "wait_for_terminal_exit",
        "WaitForTerminalExit",
        "client",
        needs="client_capabilities.terminal",
    ),
    request(
        "terminal/kill",
        "kill_terminal",
        "KillTerminal",
        "client",
        needs="client_capabilities.terminal",
    ),
    request(
        "terminal/release",
        "release_terminal",
        "ReleaseTerminal",
        "client",
        needs="client_capabilities.terminal",
    ),
    request("elicitation/create", "create_elicitation", "CreateElicitation", "client"),
    Method(
        "elicitation/complete",
        "complete_elicitation",
        "CompleteElicitationNotification",
        None,
        "client",
        ordered=True,
    ),
)
"""The stable methods of version 1: what connections route."""

BY_NAME: dict[str, Method] = {method.name: method for method in METHODS}

_UNSTABLE: dict[str, Any] = {"stability": "unstable"}
UNSTABLE: tuple[Method, ...] = (
    request(
        "session/fork",
        "fork_session",
        "ForkSession",
        **_UNSTABLE,
        needs="agent_capabilities.session_capabilities.fork",
    ),
    request(
        "session/set_title",
        "set_session_title",
        "SetSessionTitle",
        **_UNSTABLE,
        needs="agent_capabilities.session_capabilities.title",
    ),
    request(
        "session/archive",
        "archive_session",
        "ArchiveSession",
        **_UNSTABLE,
        needs="agent_capabilities.session_capabilities.archive",
    ),
    request(
        "session/unarchive",
        "unarchive_session",
        "UnarchiveSession",
        **_UNSTABLE,
        needs="agent_capabilities.session_capabilities.archive",
    ),
    request(
        "session/status",
        "session_status",
        "SessionStatus",
        **_UNSTABLE,
        needs="agent_capabilities.session_capabilities.status",
    ),
    request(
        "providers/list",
        "list_providers",
        "ListProviders",
        **_UNSTABLE,
        needs="agent_capabilities.providers",
    ),
    request(
        "providers/set",
        "set_provider",
        "SetProvider",
        **_UNSTABLE,
        needs="agent_capabilities.providers",
    ),
    request(
        "providers/disable",
        "disable_provider",
        "DisableProvider",
        **_UNSTABLE,
        needs="agent_capabilities.providers",
    ),
    request(
        "auth/status",
        "auth_status",
        "AuthStatus",
        **_UNSTABLE,
        needs="agent_capabilities.auth.status",
    ),
    Method(
        "auth/status_update",
        "auth_status_update",
        "AuthStatusUpdateNotification",
        None,
        "client",
        **_UNSTABLE,
    ),
    request("mcp/message", "message_mcp", "MessageMcp", "client", **_UNSTABLE),
    Method(
        "mcp/message",
        "mcp_message_received",
        "MessageMcpNotification",
        None,
        "agent",
        **_UNSTABLE,
    ),
)
"""Methods of version 1 that may still change; `nes/*`, `document/*` and `proxy/*` are left out."""

REMOVED: tuple[Method, ...] = (
    request("session/set_model", "set_session_model", "SetSessionModel", stability="removed"),
)
"""What was never stable, is gone, and is still asked for."""
