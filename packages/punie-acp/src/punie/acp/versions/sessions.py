"""What a client of version 1 asks about sessions, for an agent of version 2, and its answers back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from punie.acp.schema import v1, v2
from punie.acp.versions.config import modes_to_v1, options_to_v1
from punie.acp.versions.content import content_to_v2


def new_session_to_v2(params: v1.NewSessionRequest) -> v2.NewSessionRequest:
    """Write `session/new` for version 2."""
    return v2.NewSessionRequest(
        cwd=params.cwd,
        additional_directories=params.additional_directories,
        mcp_servers=mcp_servers_to_v2(params.mcp_servers),
        meta=params.meta,
    )


def resume_session_to_v2(
    params: v1.LoadSessionRequest | v1.ResumeSessionRequest,
) -> v2.ResumeSessionRequest:
    """Write `session/load`, which is a resume with replay, or `session/resume` for version 2."""
    replays = isinstance(params, v1.LoadSessionRequest)
    return v2.ResumeSessionRequest(
        session_id=params.session_id,
        cwd=params.cwd,
        additional_directories=params.additional_directories,
        mcp_servers=mcp_servers_to_v2(params.mcp_servers),
        replay_from=v2.ReplayFromStart() if replays else None,
        meta=params.meta,
    )


def prompt_to_v2(params: v1.PromptRequest) -> v2.PromptRequest:
    """Write `session/prompt` for version 2."""
    return v2.PromptRequest(
        session_id=params.session_id,
        prompt=[content_to_v2(block) for block in params.prompt],
        meta=params.meta,
    )


def mcp_servers_to_v2(servers: Sequence[v1.McpServer]) -> list[v2.McpServer]:
    """Write MCP servers for version 2; a transport that it does not have stays as it came."""
    return [_mcp_server(server) for server in servers]


def choices_to_v1(options: Sequence[v2.SessionConfigOption], *, booleans: bool) -> dict[str, Any]:
    """Write what the answers of `session/new` and its kin say about config options and modes.

    Args:
        options: The complete list.
        booleans: Whether the client shows switches.

    Returns:
        The fields `modes` and `config_options`.
    """
    written = options_to_v1(options, booleans=booleans)
    return {"modes": modes_to_v1(options), "config_options": written or None}


def _mcp_server(server: v1.McpServer) -> v2.McpServer:
    if server.type is None and server.command is not None:
        return v2.McpServerStdio(
            name=server.name,
            command=server.command,
            args=server.args or [],
            env=[v2.EnvVariable(name=one.name, value=one.value) for one in server.env or ()],
            meta=server.meta,
        )
    if server.type == "http" and server.url is not None:
        return v2.McpServerHttp(
            name=server.name,
            url=server.url,
            headers=[v2.HttpHeader(name=one.name, value=one.value) for one in server.headers or ()],
            meta=server.meta,
        )
    return v2.UnknownVariant(kind=server.type or "", body=to_builtins(server))
