"""Agents of version 1 for clients of version 2: `initialize`, and what sessions begin with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from punie.acp.errors import CapabilityError
from punie.acp.schema import v1, v2
from punie.acp.versions.content import recast

NAMELESS = v2.Implementation(name="unknown", version="unknown")
"""What an agent of version 1 is called that did not tell."""

_TERMINALS = (
    "create_terminal",
    "terminal_output",
    "wait_for_terminal_exit",
    "kill_terminal",
    "release_terminal",
)


def capabilities_to_v1(
    capabilities: v2.ClientCapabilities, client: object
) -> v1.ClientCapabilities:
    """What a client of version 2 offers to an agent of version 1.

    Args:
        capabilities: The client's.
        client: Files and terminals are offered when it has their methods, as those are no
            capabilities of version 2. What version 2 takes for granted (switches among the config
            options, notices, compactions) is offered, too.
    """
    session = v1.ClientSessionCapabilities(
        config_options=v1.SessionConfigOptionsCapabilities(
            boolean=v1.BooleanConfigOptionCapabilities()
        ),
        notices=v1.NoticeCapabilities(),
        compaction=v1.CompactionCapabilities(),
    )
    auth, elicitation = capabilities.auth, capabilities.elicitation
    return v1.ClientCapabilities(
        fs=v1.FileSystemCapabilities(
            read_text_file=hasattr(client, "read_text_file"),
            write_text_file=hasattr(client, "write_text_file"),
        ),
        terminal=all(hasattr(client, name) for name in _TERMINALS),
        session=session,
        auth=v1.AuthCapabilities(terminal=auth is not None and auth.terminal is not None),
        elicitation=None
        if elicitation is None
        else recast(elicitation, v1.ElicitationCapabilities),
        meta=capabilities.meta,
    )


def initialized_to_v2(answer: v1.InitializeResponse) -> v2.InitializeResponse:
    """What an agent of version 1 is, in the words of version 2.

    Version 2 has no words for an agent that cannot list, resume or close sessions: whoever drives
    the agent looks at version 1's own capabilities for that.
    """
    known = answer.agent_capabilities
    info = answer.agent_info
    return v2.InitializeResponse(
        protocol_version=answer.protocol_version,
        info=NAMELESS if info is None else recast(info, v2.Implementation),
        capabilities=v2.AgentCapabilities(session=_session(known), meta=known.meta),
        auth_methods=[_auth_method(method) for method in answer.auth_methods],
        meta=answer.meta,
    )


def _session(known: v1.AgentCapabilities) -> v2.SessionCapabilities:
    prompt, sessions = known.prompt_capabilities, known.session_capabilities
    extra = sessions.additional_directories
    return v2.SessionCapabilities(
        prompt=v2.PromptCapabilities(
            image=v2.PromptImageCapabilities() if prompt.image else None,
            audio=v2.PromptAudioCapabilities() if prompt.audio else None,
            embedded_context=v2.PromptEmbeddedContextCapabilities()
            if prompt.embedded_context
            else None,
        ),
        mcp=v2.McpCapabilities(
            stdio=v2.McpStdioCapabilities(),
            http=v2.McpHttpCapabilities() if known.mcp_capabilities.http else None,
        ),
        delete=None if sessions.delete is None else v2.SessionDeleteCapabilities(),
        additional_directories=None
        if extra is None
        else v2.SessionAdditionalDirectoriesCapabilities(),
        meta=sessions.meta,
    )


def _auth_method(method: v1.AuthMethod) -> v2.AuthMethod:
    common: dict[str, Any] = {
        "method_id": method.id,
        "name": method.name,
        "description": method.description,
        "meta": method.meta,
    }
    match method.type:
        case None | "agent":
            return v2.AuthMethodAgent(**common)
        case "terminal":
            env = [
                v2.EnvVariable(name=name, value=value) for name, value in (method.env or {}).items()
            ]
            return v2.AuthMethodTerminal(args=method.args or [], env=env, **common)
        case kind:
            body = {"type": kind, "methodId": method.id, "name": method.name}
            return v2.UnknownVariant(kind=kind, body=body)


def servers_to_v1(servers: Iterable[v2.McpServer]) -> list[v1.McpServer]:
    """Say with version 1 which MCP servers a session has.

    Raises:
        CapabilityError: One is of a kind that version 1 does not have.
    """
    return [_server_to_v1(server) for server in servers]


def _server_to_v1(server: v2.McpServer) -> v1.McpServer:
    match server:
        case v2.McpServerStdio():
            env = [v1.EnvVariable(name=one.name, value=one.value) for one in server.env]
            return v1.McpServerStdio(
                name=server.name, command=server.command, args=server.args, env=env
            )
        case v2.McpServerHttp():
            headers = [v1.HttpHeader(name=one.name, value=one.value) for one in server.headers]
            return v1.McpServerHttp(name=server.name, url=server.url, headers=headers)
        case _:
            raise CapabilityError(f"MCP servers of type {server.kind!r}")
