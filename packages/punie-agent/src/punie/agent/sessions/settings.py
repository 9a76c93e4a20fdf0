"""What is kept of a session beside what happened in it: what was chosen, its folders, its MCP servers.

Values of variables and headers of a server, and whatever else looks like a secret, are never written: such
a server is kept by its name, and a person is told that it is not reached. The process that had it from
its client still knows all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from punie.agent.mcp.server import McpServer
from punie.agent.sessions.redact import REDACTED, Redactor

if TYPE_CHECKING:
    from punie.agent.sessions.session import Session

_SAYS = re.compile(
    r"(?:^|[\s_-])(?:key|pat|auth|pass|secret|token|credentials?)(?:[\s=:]|$)", re.IGNORECASE
)
"""An option or a variable whose name says that a secret follows."""
_TOKEN = re.compile(
    r"\b(?=[A-Za-z_]*\d)(?=[\d_]*[A-Za-z])\w{16,}|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-"
)
"""Letters and digits that nobody made up by hand, as services put them into a URL; or a UUID."""


def settings_of(session: Session) -> dict[str, Any]:
    """Give what a session should start with when it is loaded, as JSON values and structs.

    Args:
        session: As it is now.
    """
    return {
        "mode": session.gate.usual,
        "model": session.model,
        "thought": session.thought,
        "answers": session.gate.answers,
        "folders": [str(folder) for folder in session.workspace.roots[1:]],
        "servers": kept(session.servers),
    }


def kept(servers: Iterable[McpServer]) -> list[McpServer]:
    """Take the secrets out of servers.

    Args:
        servers: As the client named them.

    Returns:
        As they may be written: those with secrets are `withheld`.
    """
    redactor = Redactor()
    return [_withheld(one) if _has_secrets(one, redactor) else one for one in servers]


def read_servers(settings: Any) -> tuple[McpServer, ...]:
    """Read servers as they were written; what cannot be read was not there."""
    try:
        return tuple(msgspec.convert(settings, list[McpServer]))
    except msgspec.ValidationError:
        return ()


def _has_secrets(server: McpServer, redactor: Redactor) -> bool:
    if server.env or server.headers or any(mark in server.url for mark in "?@#"):
        return True
    if _TOKEN.search(urlsplit(server.url).path if server.url else ""):
        return True
    written = (server.command, *server.args)
    if any(_SAYS.search(one) or _TOKEN.search(one) for one in written):
        return True
    return REDACTED in redactor.text("=".join(written))


def _withheld(server: McpServer) -> McpServer:
    return replace(server, command="", args=(), env={}, url="", headers={}, withheld=True)
