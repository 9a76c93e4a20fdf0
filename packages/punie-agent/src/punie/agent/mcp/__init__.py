"""Servers of the Model Context Protocol that a client passes to a session."""

from punie.agent.mcp.server import McpServer

__all__ = ["McpServer"]
