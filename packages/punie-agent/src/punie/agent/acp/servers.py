"""MCP servers as a client names them, for the session that is to reach them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from punie.acp.schema import v1, v2
from punie.agent.mcp.server import McpServer

if TYPE_CHECKING:
    from punie.agent.sessions.session import Session

log = logging.getLogger(__name__)


def connect(session: Session, named: Iterable[v2.McpServer]) -> None:
    """Let a session reach the servers that its client passed, or those that it had when it passed none.

    Args:
        session: The session.
        named: From `session/new` or `session/resume`; one that cannot be read is left out.
    """
    servers = [server for server in map(_read, named) if server is not None]
    if servers or session.servers:
        from punie.agent.sessions.additions import reach

        reach(session, servers)


def _read(server: v2.McpServer) -> McpServer | None:
    match server:
        case v2.McpServerStdio():
            return McpServer(
                name=server.name,
                command=server.command,
                args=tuple(server.args),
                env={one.name: one.value for one in server.env},
            )
        case v2.McpServerHttp():
            headers = {one.name: one.value for one in server.headers}
            return McpServer(name=server.name, transport="http", url=server.url, headers=headers)
        case v2.UnknownVariant(kind="sse"):
            return _read_sse(server)
        case v2.UnknownVariant():
            log.warning("an MCP server is reached in a way that is not known: %s", server.kind)
            return None


def _read_sse(server: v2.UnknownVariant) -> McpServer | None:
    """Read the older way, which version 2 of the protocol no longer has."""
    try:
        old = msgspec.convert(server.body, v1.McpServer)
    except msgspec.ValidationError:
        log.warning("an MCP server is left out: its description cannot be read")
        return None
    headers = {one.name: one.value for one in old.headers or ()}
    return McpServer(name=old.name, transport="sse", url=old.url or "", headers=headers)
