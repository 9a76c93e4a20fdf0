"""The one method table: what each method takes and gives, who serves it, how it is delivered.

Routing, proxies, documentation and tests read it. A row names its types; they are imported, and
their readers built, when the method is first used, since doing so for all would cost every start.
What is routed are the stable methods of version 1. Unstable ones and those of version 2 are listed
for whoever handles them by hand: no connection serves them yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeAlias

from punie.acp.schema.reading import Reader

Side: TypeAlias = Literal["agent", "client", "both"]
Kind: TypeAlias = Literal["request", "notification"]
Stability: TypeAlias = Literal["stable", "unstable", "draft"]
"""`draft` is a stable definition of a protocol version that is not final itself."""

_HOMES: dict[tuple[int, Stability], str] = {
    (1, "stable"): "punie.acp.schema.v1",
    (1, "unstable"): "punie.acp.schema.v1.unstable",
    (2, "draft"): "punie.acp.schema.v2",
}


class Method(NamedTuple):
    """One method of the protocol."""

    name: str
    """As on the wire."""
    attribute: str
    """The Python method that serves it."""
    params_type: str
    """The name of its parameters' type."""
    result_type: str | None
    """The name of its result's type; `None` for a notification."""
    served_by: Side
    ordered: bool = False
    """A notification that is handled alone and before whatever came after it."""
    version: int = 1
    stability: Stability = "stable"

    @property
    def kind(self) -> Kind:
        """Whether an answer is due."""
        return "notification" if self.result_type is None else "request"

    @property
    def params(self) -> Any:
        """The type of its parameters."""
        return _wire_type(self.version, self.stability, self.params_type)

    @property
    def result(self) -> Any:
        """The type of its result; `None` for a notification."""
        if self.result_type is None:
            return None
        return _wire_type(self.version, self.stability, self.result_type)


@cache
def _wire_type(version: int, stability: Stability, name: str) -> Any:
    return Any if name == "Any" else getattr(import_module(_HOMES[version, stability]), name)


def extension(name: str, kind: Kind) -> Method:
    """The row of an extension's method: an object in, any JSON out.

    Args:
        name: As on the wire, with its leading `_`.
        kind: Whether an answer is due.

    Raises:
        ValueError: The name does not begin with `_`, which the protocol keeps for extensions.

    Source:
        https://agentclientprotocol.com/protocol/extensibility#extension-methods
    """
    if not is_extension(name):
        raise ValueError(f"the method of an extension begins with _, unlike {name!r}")
    if kind == "request":
        return Method(name, "ext_method", "Any", "Any", "both")
    return Method(name, "ext_notification", "Any", None, "both", ordered=True)


def is_extension(name: str) -> bool:
    """Whether a method is one that the protocol leaves to extensions."""
    return name.startswith("_")


def _request(name: str, attribute: str, stem: str, side: Side = "agent", **more: Any) -> Method:
    return Method(name, attribute, f"{stem}Request", f"{stem}Response", side, **more)


INITIALIZE = _request("initialize", "initialize", "Initialize")
NEW_SESSION = _request("session/new", "new_session", "NewSession")
PROMPT = _request("session/prompt", "prompt", "Prompt")
CANCEL = Method("session/cancel", "cancel", "CancelNotification", None, "agent")
CANCEL_REQUEST = Method(
    "$/cancel_request", "cancel_request", "CancelRequestNotification", None, "both"
)
SESSION_UPDATE = Method(
    "session/update", "session_update", "SessionNotification", None, "client", ordered=True
)

METHODS: tuple[Method, ...] = (
    INITIALIZE,
    _request("authenticate", "authenticate", "Authenticate"),
    _request("logout", "logout", "Logout"),
    NEW_SESSION,
    _request("session/load", "load_session", "LoadSession"),
    _request("session/resume", "resume_session", "ResumeSession"),
    _request("session/list", "list_sessions", "ListSessions"),
    _request("session/close", "close_session", "CloseSession"),
    _request("session/delete", "delete_session", "DeleteSession"),
    _request("session/set_mode", "set_session_mode", "SetSessionMode"),
    _request("session/set_config_option", "set_session_config_option", "SetSessionConfigOption"),
    PROMPT,
    CANCEL,
    CANCEL_REQUEST,
    SESSION_UPDATE,
    _request("session/request_permission", "request_permission", "RequestPermission", "client"),
    _request("fs/read_text_file", "read_text_file", "ReadTextFile", "client"),
    _request("fs/write_text_file", "write_text_file", "WriteTextFile", "client"),
    _request("terminal/create", "create_terminal", "CreateTerminal", "client"),
    _request("terminal/output", "terminal_output", "TerminalOutput", "client"),
    _request("terminal/wait_for_exit", "wait_for_terminal_exit", "WaitForTerminalExit", "client"),
    _request("terminal/kill", "kill_terminal", "KillTerminal", "client"),
    _request("terminal/release", "release_terminal", "ReleaseTerminal", "client"),
    _request("elicitation/create", "create_elicitation", "CreateElicitation", "client"),
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
    _request("session/fork", "fork_session", "ForkSession", **_UNSTABLE),
    _request("session/set_title", "set_session_title", "SetSessionTitle", **_UNSTABLE),
    _request("session/archive", "archive_session", "ArchiveSession", **_UNSTABLE),
    _request("session/unarchive", "unarchive_session", "UnarchiveSession", **_UNSTABLE),
    _request("session/status", "session_status", "SessionStatus", **_UNSTABLE),
    _request("providers/list", "list_providers", "ListProviders", **_UNSTABLE),
    _request("providers/set", "set_provider", "SetProvider", **_UNSTABLE),
    _request("providers/disable", "disable_provider", "DisableProvider", **_UNSTABLE),
    _request("auth/status", "auth_status", "AuthStatus", **_UNSTABLE),
    Method(
        "auth/status_update",
        "auth_status_update",
        "AuthStatusUpdateNotification",
        None,
        "client",
        **_UNSTABLE,
    ),
    _request("mcp/message", "message_mcp", "MessageMcp", "client", **_UNSTABLE),
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

_DRAFT: dict[str, Any] = {"version": 2, "stability": "draft"}
DRAFT: tuple[Method, ...] = (
    _request("initialize", "initialize", "Initialize", **_DRAFT),
    _request("auth/login", "login", "LoginAuth", **_DRAFT),
    _request("auth/logout", "logout", "LogoutAuth", **_DRAFT),
    _request("session/new", "new_session", "NewSession", **_DRAFT),
    _request("session/resume", "resume_session", "ResumeSession", **_DRAFT),
    _request("session/list", "list_sessions", "ListSessions", **_DRAFT),
    _request("session/close", "close_session", "CloseSession", **_DRAFT),
    _request("session/delete", "delete_session", "DeleteSession", **_DRAFT),
    _request("session/prompt", "prompt", "Prompt", **_DRAFT),
    Method("session/cancel", "cancel", "CancelSessionNotification", None, "agent", **_DRAFT),
    _request(
        "session/set_config_option",
        "set_session_config_option",
        "SetSessionConfigOption",
        **_DRAFT,
    ),
    _request("tool_call/cancel", "cancel_tool_call", "CancelToolCall", **_DRAFT),
    _request("terminal/cancel", "cancel_terminal", "CancelTerminal", **_DRAFT),
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
    _request(
        "session/request_permission",
        "request_permission",
        "RequestPermission",
        "client",
        **_DRAFT,
    ),
    _request("elicitation/create", "create_elicitation", "CreateElicitation", "client", **_DRAFT),
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

TABLE: dict[tuple[int, str, Kind], Method] = {
    (method.version, method.name, method.kind): method for method in (*METHODS, *UNSTABLE, *DRAFT)
}
"""Every method there is, by version, name and kind; `mcp/message` is both kinds."""


def of_version(version: int, *, unstable: bool = False) -> Iterator[Method]:
    """The methods of one protocol version.

    Args:
        version: 1 or 2.
        unstable: Whether to list those that may still change, too.
    """
    for method in TABLE.values():
        if method.version == version and (unstable or method.stability != "unstable"):
            yield method


@cache
def decoder(of: Any, *, strict: bool = True) -> Reader:
    """The reader of a wire type, built once.

    Args:
        of: A type of the schema.
        strict: Whether `"1"` is refused where `1` is asked for.
    """
    return Reader(of, strict=strict)
