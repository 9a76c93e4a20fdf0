"""For tests of agents and clients: a client that records, and both sides in one event loop.

    async with linked(MyAgent, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)

Nothing here is imported by the rest of the package.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from punie.acp.agent_side import Agent, ClientProxy, serve
from punie.acp.client_side import AgentProxy, Client, connect
from punie.acp.errors import RequestError
from punie.acp.schema import v1
from punie.acp.transports.base import Transport
from punie.acp.transports.memory import pair

P = TypeVar("P")

EVERYTHING = v1.ClientCapabilities(
    fs=v1.FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=True
)
"""What a client such as Zed advertises."""

INITIALIZE = v1.InitializeRequest(protocol_version=1, client_capabilities=EVERYTHING)
"""A handshake of such a client."""


class RecordingClient:
    """Records what an agent says, and answers permission requests with the first fitting option.

    Args:
        allow: Whether to choose an option that allows, or one that rejects.
        files: Texts by absolute path, read and written by `fs/*`.
    """

    def __init__(self, *, allow: bool = True, files: dict[str, str] | None = None) -> None:
        self.allow: bool = allow
        self.files: dict[str, str] = {} if files is None else files
        self.updates: list[v1.SessionNotification] = []
        self.permissions: list[v1.RequestPermissionRequest] = []

    @property
    def text(self) -> str:
        """The answer so far: all text of agent message chunks."""
        return "".join(
            notification.update.content.text
            for notification in self.updates
            if isinstance(notification.update, v1.AgentMessageChunk)
            and isinstance(notification.update.content, v1.TextContent)
        )

    async def session_update(self, params: v1.SessionNotification) -> None:
        """Record an update."""
        self.updates.append(params)

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        """Record the question and answer it."""
        self.permissions.append(params)
        wanted = "allow" if self.allow else "reject"
        for option in params.options:
            if option.kind.startswith(wanted):
                outcome = v1.SelectedPermissionOutcome(option_id=option.option_id)
                return v1.RequestPermissionResponse(outcome=outcome)
        return v1.RequestPermissionResponse(outcome=v1.CancelledPermissionOutcome())

    async def read_text_file(self, params: v1.ReadTextFileRequest) -> v1.ReadTextFileResponse:
        """Read one of `files`."""
        if params.path not in self.files:
            raise RequestError(-32002, "Resource not found", {"uri": params.path})
        lines = self.files[params.path].splitlines(keepends=True)
        first = max((params.line or 1) - 1, 0)
        last = None if params.limit is None else first + params.limit
        return v1.ReadTextFileResponse(content="".join(lines[first:last]))

    async def write_text_file(self, params: v1.WriteTextFileRequest) -> v1.WriteTextFileResponse:
        """Write one of `files`."""
        self.files[params.path] = params.content
        return v1.WriteTextFileResponse()


def linked(
    make_agent: Callable[[ClientProxy], Agent], client: Client
) -> AbstractAsyncContextManager[AgentProxy]:
    """Serve an agent of version 1 to a client over linked in-memory transports.

    Args:
        make_agent: Builds the agent.
        client: Serves what it asks.
    """
    return served(lambda transport: serve(make_agent, transport), client)


def served(
    serve_on: Callable[[Transport], Coroutine[Any, Any, None]], client: Client
) -> AbstractAsyncContextManager[AgentProxy]:
    """Connect a client to an agent over linked in-memory transports.

    Args:
        serve_on: Serves the agent, such as with `punie.acp.agent_side.serve_dual`.
        client: Serves what it asks.
    """
    return both_sides(serve_on, lambda transport: connect(client, transport))


@asynccontextmanager
async def both_sides(
    serve_on: Callable[[Transport], Coroutine[Any, Any, None]],
    connect_on: Callable[[Transport], AbstractAsyncContextManager[P]],
) -> AsyncGenerator[P, None]:
    """Run both sides in one event loop, over linked in-memory transports.

    Args:
        serve_on: Serves the agent.
        connect_on: Connects the client.

    Returns:
        The agent, as the client sees it.
    """
    agent_end, client_end = pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_on(agent_end))
        async with connect_on(client_end) as agent:
            yield agent
