"""The servers of one session: opened side by side, offered as tools, closed together.

A server that cannot be used is a notice, never a failure of the session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from punie.agent.mcp.channel import ServerLostError
from punie.agent.mcp.client import Client, RefusedError
from punie.agent.mcp.server import McpServer
from punie.agent.mcp.tools import McpTool, tools_of
from punie.agent.workspaces.base import Workspace

SHARE = 0.2
"""Of the context window, what all tools of servers may take."""
CHARACTERS_PER_TOKEN = 3
UNKNOWN_WINDOW = 32_768
"""Tokens; taken where the model's window is not known."""


class McpServers:
    """A service of a session: see `tools.services`."""

    def __init__(self, servers: Sequence[McpServer], workspace: Workspace) -> None:
        """Set up; nothing is opened yet.

        Args:
            servers: As the client passed them.
            workspace: Where programs are started.
        """
        self.notices: list[tuple[str, str]] = []
        """Titles and reasons that nobody was told yet."""
        self._servers = servers
        self._workspace = workspace
        self._clients: list[Client] = []
        self._opening: asyncio.Future[None] | None = None
        self._told_left_out = False

    def begin(self) -> asyncio.Future[None]:
        """Open them, if that has not begun; the result tells when all are ready or given up."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open_all())
        return self._opening

    async def tools(self, *, window: int = 0) -> list[McpTool]:
        """Give the tools of all servers, opened by the first call.

        Args:
            window: The model's context window, tokens; 0 when unknown. Tools beyond a fifth of it
                are left out, with a notice.
        """
        await asyncio.shield(self.begin())
        for client in self._clients:
            if client.stale:
                await self._list_again(client)
        tools: list[McpTool] = []
        for client in self._clients:
            tools += tools_of(client, [tool.name for tool in tools])
        return self._fitting(tools, window or UNKNOWN_WINDOW)

    def client(self, name: str) -> Client | None:
        """Give the open client of a server."""
        return next((one for one in self._clients if one.server.name == name), None)

    @property
    def clients(self) -> tuple[Client, ...]:
        """The open ones, in the order in which they were passed."""
        return tuple(self._clients)

    def take_notices(self) -> list[tuple[str, str]]:
        """Give what is to be told, once."""
        notices, self.notices = self.notices, []
        return notices

    async def aclose(self) -> None:
        """Hang up on all of them."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        clients, self._clients = self._clients, []
        await asyncio.gather(*(client.aclose() for client in clients))

    async def _open_all(self) -> None:
        clients = await asyncio.gather(*(self._open(server) for server in self._servers))
        self._clients = [client for client in clients if client is not None]

    async def _open(self, server: McpServer) -> Client | None:
        if server.withheld:
            title = f"The MCP server {server.name} is left out"
            why = "its variables or headers are not kept with a session, and the client named none now"
            self.notices.append((title, why))
            return None
        client = Client(server, self._workspace)
        try:
            await client.open()
        except ServerLostError as error:
            self.notices.append((f"The MCP server {server.name} is left out", str(error)))
            await client.aclose()
            return None
        except BaseException:
            await client.aclose()
            raise
        return client

    async def _list_again(self, client: Client) -> None:
        try:
            await client.list_tools()
        except (ServerLostError, RefusedError) as error:
            title = f"The MCP server {client.server.name} does not list its tools"
            self.notices.append((title, str(error)))

    def _fitting(self, tools: list[McpTool], window: int) -> list[McpTool]:
        left = int(window * SHARE) * CHARACTERS_PER_TOKEN
        fitting: list[McpTool] = []
        too_much: list[str] = []
        for tool in tools:
            size = len(tool.description) + len(json.dumps(tool.schema)) + len(tool.name)
            if size <= left:
                left -= size
                fitting.append(tool)
            else:
                too_much.append(tool.name)
        if too_much and not self._told_left_out:
            self._told_left_out = True
            title = "Tools of MCP servers are left out: they do not fit the model's context"
            self.notices.append((title, ", ".join(too_much)))
        return fitting
