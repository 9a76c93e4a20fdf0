"""What an agent is held to: the manifest of requirements, each with the page that asks for it.

Ids are stable: tests, reports and continuous integration of other projects name them.
"""

from __future__ import annotations

from msgspec import Struct

_ACP = "https://agentclientprotocol.com/protocol/"
_JSON_RPC = "https://www.jsonrpc.org/specification"


class Requirement(Struct, frozen=True):
    """One thing that an agent must do."""

    id: str
    title: str
    """What must hold, as a sentence."""
    source: str
    """The page that asks for it; for what no page asks, the nearest one."""


REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        "initialize.answer",
        "initialize is answered with the schema's shape",
        f"{_ACP}initialization",
    ),
    Requirement(
        "initialize.version-1",
        "a client of version 1 is answered in version 1",
        f"{_ACP}initialization#version-negotiation",
    ),
    Requirement(
        "initialize.version-newer",
        "a newer version than the agent's is answered with the agent's latest, never echoed",
        f"{_ACP}initialization#version-negotiation",
    ),
    Requirement(
        "initialize.repeated",
        "initialize may come again: JetBrains IDEs send it twice",
        f"{_ACP}initialization",
    ),
    Requirement(
        "initialize.terminal-auth",
        "a login in the terminal is offered only to a client that advertises it",
        f"{_ACP}authentication",
    ),
    Requirement(
        "wire.stdout",
        "stdout carries protocol messages, one a line, and nothing else",
        f"{_ACP}transports#stdio",
    ),
    Requirement("wire.schema", "everything the agent sends fits the schema", f"{_ACP}schema"),
    Requirement(
        "wire.parse-error",
        "a line that is no JSON is answered with -32700 and a null id",
        f"{_JSON_RPC}#error_object",
    ),
    Requirement(
        "wire.array",
        "an array is answered with one -32600 and a null id",
        f"{_JSON_RPC}#error_object",
    ),
    Requirement(
        "wire.scalar",
        "a scalar is answered with -32600 and a null id",
        f"{_JSON_RPC}#error_object",
    ),
    Requirement(
        "wire.not-a-message",
        "an object that is no message is answered with -32600 and a null id",
        f"{_JSON_RPC}#error_object",
    ),
    Requirement(
        "wire.survives",
        "the agent serves on after each kind of bad line",
        f"{_JSON_RPC}#error_object",
    ),
    Requirement(
        "wire.unknown-method",
        "an unknown method is answered with -32601",
        f"{_JSON_RPC}#error_object",
    ),
    Requirement(
        "wire.unknown-notification",
        "an unknown notification is ignored",
        f"{_ACP}extensibility#custom-notifications",
    ),
    Requirement(
        "wire.wrong-params",
        "parameters of the wrong type are answered with -32602",
        f"{_JSON_RPC}#error_object",
    ),
    Requirement("wire.ids", "ids are echoed as they came, numbers and strings", f"{_JSON_RPC}#id1"),
    Requirement(
        "session.new", "session/new gives a session id", f"{_ACP}session-setup#creating-a-session"
    ),
    Requirement(
        "session.order",
        "nothing about a session comes before the answer of session/new",
        f"{_ACP}session-setup#creating-a-session",
    ),
    Requirement(
        "session.parallel",
        "two session/new at once give two sessions",
        f"{_ACP}session-setup#creating-a-session",
    ),
    Requirement(
        "session.cwd",
        "a relative working directory is refused",
        f"{_ACP}session-setup#working-directory",
    ),
    Requirement(
        "session.unknown",
        "a prompt for an unknown session is answered with -32002",
        f"{_ACP}overview#error-handling",
    ),
    Requirement(
        "session.config",
        "config options have a current value, and setting one gives the complete list",
        f"{_ACP}session-config-options",
    ),
    Requirement(
        "capabilities.answered",
        "every method that was advertised is served",
        f"{_ACP}initialization#agent-capabilities",
    ),
    Requirement(
        "capabilities.respected",
        "the agent asks for nothing that the client did not advertise",
        f"{_ACP}initialization#client-capabilities",
    ),
    Requirement(
        "prompt.answer", "a turn ends with a stop reason of the schema", f"{_ACP}prompt-turn"
    ),
    Requirement(
        "prompt.order",
        "a turn streams updates, all of them before its answer",
        f"{_ACP}prompt-turn",
    ),
    Requirement(
        "prompt.cancel",
        "session/cancel ends a turn with `cancelled`, quickly",
        f"{_ACP}prompt-turn#cancellation",
    ),
    Requirement(
        "prompt.cancel-request",
        "$/cancel_request of a prompt is answered with -32800 or `cancelled`, quickly",
        f"{_ACP}cancellation",
    ),
    Requirement(
        "prompt.second",
        "a second prompt while one runs is no error",
        f"{_ACP}prompt-turn",
    ),
    Requirement(
        "prompt.parallel", "a turn runs while another session's turn runs", f"{_ACP}prompt-turn"
    ),
    Requirement(
        "permission.order",
        "permission is asked for a tool call that the client was told of",
        f"{_ACP}tool-calls#requesting-permission",
    ),
    Requirement(
        "permission.options",
        "a permission request has options, with an id each",
        f"{_ACP}tool-calls#requesting-permission",
    ),
    Requirement(
        "permission.rejected",
        "what was rejected has no effect, and the turn ends without an error",
        f"{_ACP}tool-calls#requesting-permission",
    ),
    Requirement(
        "permission.cancelled",
        "a turn that is cancelled while permission is asked ends with `cancelled`, without effect",
        f"{_ACP}prompt-turn#cancellation",
    ),
    Requirement("end.eof", "the end of stdin ends the agent", f"{_ACP}transports#stdio"),
    Requirement(
        "end.sigterm",
        "SIGTERM ends the agent, in the middle of a turn too",
        f"{_ACP}transports#stdio",
    ),
    Requirement("end.children", "no child process outlives the agent", f"{_ACP}transports#stdio"),
)

BY_ID: dict[str, Requirement] = {requirement.id: requirement for requirement in REQUIREMENTS}
