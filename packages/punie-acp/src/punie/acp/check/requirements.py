"""What an agent is held to: the manifest of requirements, each with the page that asks for it.

Ids are stable: tests, reports and continuous integration of other projects name them.
"""

from __future__ import annotations

from msgspec import Struct

_ACP = "https://agentclientprotocol.com/protocol/"
_V2 = f"{_ACP}v2/"
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
    Requirement(
        "v2.initialize",
        "a client that asks for version 2 is answered in the shape of version 2",
        f"{_V2}initialization",
    ),
    Requirement(
        "v2.initialize-first",
        "a request before initialize is answered with -32600",
        f"{_V2}initialization",
    ),
    Requirement(
        "v2.older-client",
        "a client of version 1 is answered in version 1, or with -32022 and what is supported",
        f"{_V2}initialization#version-negotiation",
    ),
    Requirement(
        "v2.methods", "methods that version 2 dropped are answered with -32601", f"{_V2}migration"
    ),
    Requirement(
        "v2.session-new",
        "session/new needs no MCP servers and gives a session id",
        f"{_V2}session-setup#creating-a-session",
    ),
    Requirement(
        "v2.session-unknown",
        "a prompt for an unknown session is answered with -32002 and its sessionId",
        f"{_V2}error#unknown-sessions",
    ),
    Requirement(
        "v2.baseline",
        "an agent with sessions lists, resumes and closes them",
        f"{_V2}initialization#session-capabilities",
    ),
    Requirement(
        "v2.resume-state",
        "a resumed session tells its state before the answer",
        f"{_V2}session-setup#current-state-synchronization",
    ),
    Requirement(
        "v2.resume-cursor",
        "an unknown replayFrom is answered with -32602",
        f"{_V2}session-setup#resuming-a-session",
    ),
    Requirement(
        "v2.replay",
        "a replayed message keeps its id, and comes before the answer",
        f"{_V2}session-setup#resuming-a-session",
    ),
    Requirement(
        "v2.config",
        "setting a config option gives the complete list, an unknown one -32602",
        f"{_V2}session-config-options#setting-a-config-option",
    ),
    Requirement(
        "v2.prompt-answer",
        "a prompt is answered with its messageId while its turn goes on",
        f"{_V2}prompt-lifecycle#2-prompt-accepted",
    ),
    Requirement(
        "v2.prompt-message",
        "the user_message of a prompt is told under the id of the answer",
        f"{_V2}prompt-lifecycle#1-user-message",
    ),
    Requirement(
        "v2.state-order",
        "a turn begins with `running`, ends with `idle`, and its output is in between",
        f"{_V2}prompt-lifecycle#session-states",
    ),
    Requirement(
        "v2.stop-reason",
        "the idle that ends a turn has a stop reason",
        f"{_V2}prompt-lifecycle#stop-reasons",
    ),
    Requirement(
        "v2.cancel",
        "session/cancel ends a turn with an idle that is `cancelled`, quickly",
        f"{_V2}prompt-lifecycle#cancellation",
    ),
    Requirement(
        "v2.permission",
        "permission is asked with a title, options, and a tool call that was told of",
        f"{_V2}tool-calls#requesting-permission",
    ),
    Requirement(
        "v2.requires-action",
        "the state is `requires_action` while permission is asked",
        f"{_V2}prompt-lifecycle#session-states",
    ),
    Requirement(
        "v2.rejected",
        "what was rejected has no effect, and the turn ends without an error",
        f"{_V2}tool-calls#requesting-permission",
    ),
    Requirement(
        "v2.tool-calls",
        "no tool call is left open when its turn is over",
        f"{_V2}tool-calls",
    ),
)

BY_ID: dict[str, Requirement] = {requirement.id: requirement for requirement in REQUIREMENTS}
