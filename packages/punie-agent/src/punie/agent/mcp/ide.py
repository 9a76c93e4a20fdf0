"""The IDE's own tools, where it passes them: they know its index and its unsaved text.

JetBrains IDEs pass a server called `idea`; since 2026.2 it may offer one tool, `execute_tool`, which
takes the name of another and its arguments as a command line. What the IDE does not offer, or
refuses, is done here. Tried against a server that answers as the IDE's documentation says, not
against an IDE.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from punie.agent.mcp.client import Client, RemoteTool
from punie.agent.mcp.servers import McpServers
from punie.agent.mcp.tools import McpResult, call_remote
from punie.agent.tools.services import Services

NAMES = frozenset({"idea", "pycharm", "jetbrains"})
"""Servers that are an IDE's."""
ROUTER = "execute_tool"

KNOWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "get_file_problems": {"path": ("filePath", "pathInProject", "path")},
    "rename_refactoring": {
        "path": ("pathInProject", "filePath", "path"),
        "symbol": ("symbolName", "symbol", "oldName"),
        "new_name": ("newName", "newSymbolName", "name"),
    },
    "search_symbol": {"query": ("q", "query")},
}
"""The tools that are used from here, and what IDEs have called their arguments.

Source:
    The IDE's own server, `plugins/mcp-server` of JetBrains/intellij-community.
"""


class Ide:
    """The tools of one IDE."""

    def __init__(self, client: Client, root: Path) -> None:
        self._client = client
        self._root = root
        self._tools = {tool.name: tool for tool in client.tools}

    def offers(self, name: str) -> bool:
        """Tell whether a tool of `KNOWN` can be called."""
        if name in self._tools:
            return self._named(self._tools[name], dict.fromkeys(KNOWN[name], "")) is not None
        return ROUTER in self._tools

    async def call(self, name: str, **arguments: str) -> McpResult | None:
        """Call a tool of `KNOWN`.

        Args:
            name: The tool.
            arguments: By the names of `KNOWN`.

        Returns:
            Its answer; `None` when the IDE does not offer it or reports an error.
        """
        if name in self._tools:
            values = self._named(self._tools[name], arguments)
            if values is None:
                return None
            answer = await call_remote(self._client, name, values)
        elif ROUTER in self._tools:
            words = [name]
            for key, value in arguments.items():
                words += [f"--{KNOWN[name][key][0]}", value]
            values = {"command": shlex.join(words), "projectPath": str(self._root)}
            answer = await call_remote(self._client, ROUTER, values)
        else:
            return None
        return answer if answer.ok else None

    def _named(self, tool: RemoteTool, arguments: Mapping[str, str]) -> dict[str, Any] | None:
        """Call arguments as this version of the IDE does; `None` when that is not known."""
        schema: Any = tool.input_schema
        properties: Any = schema.get("properties") or {}
        values: dict[str, Any] = {}
        for key, value in arguments.items():
            name = next((one for one in KNOWN[tool.name][key] if one in properties), None)
            if name is None:
                return None
            values[name] = value
        if "projectPath" in properties:
            values["projectPath"] = str(self._root)
        missing = set(schema.get("required") or ()) - values.keys()
        return None if missing else values


def ide_of(services: Services, root: Path) -> Ide | None:
    """Find the IDE among a session's servers.

    Args:
        services: The session's.
        root: Its folder, which the IDE calls the project.
    """
    servers = services.find(McpServers)
    if servers is None:
        return None
    for client in servers.clients:
        if client.server.name.lower() in NAMES:
            return Ide(client, root)
    return None
