"""For tests of clients of either version: one that records, and a link to an agent of version 1.

What is recorded has the types of version 2, whichever version the agent speaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from punie.acp.agent_side import Agent, ClientProxy, serve
from punie.acp.client_side.dual import DualAgentProxy, DualClient, connect_dual
from punie.acp.schema import v2
from punie.acp.testing import both_sides
from punie.acp.transports.base import Transport

U = TypeVar("U")

HELLO = v2.InitializeRequest(protocol_version=2, info=v2.Implementation(name="tests", version="1"))
"""A handshake of a client that speaks both versions."""


class RecordingDualClient:
    """Records what an agent tells, and answers questions with the first fitting option.

    Args:
        allow: Whether to choose an option that allows, or one that rejects.
    """

    def __init__(self, *, allow: bool = True) -> None:
        self.allow: bool = allow
        self.updates: list[v2.SessionUpdate] = []
        self.permissions: list[v2.RequestPermissionRequest] = []
        self._news = asyncio.Condition()

    def of(self, kind: type[U]) -> list[U]:
        """The updates of one kind, so far."""
        return [update for update in self.updates if isinstance(update, kind)]

    @property
    def states(self) -> list[str]:
        """What the session did, so far."""
        return [update.state for update in self.of(v2.StateUpdate)]

    @property
    def text(self) -> str:
        """The answer so far: all text of agent message chunks."""
        return "".join(
            chunk.content.text
            for chunk in self.of(v2.AgentMessageChunk)
            if isinstance(chunk.content, v2.TextContent)
        )

    async def until(self, happened: Callable[[], Any]) -> None:
        """Wait until something is so, looking after each update and each question."""
        async with self._news:
            await self._news.wait_for(happened)

    async def until_idle(self, times: int = 1) -> v2.StateUpdate:
        """Wait until turns have ended.

        Args:
            times: How many `idle` there must have been since the beginning.

        Returns:
            The update that ended the last of them.
        """

        def ends() -> list[v2.StateUpdate]:
            return [one for one in self.of(v2.StateUpdate) if one.state == "idle"]

        await self.until(lambda: len(ends()) >= times)
        return ends()[times - 1]

    async def session_update(self, params: v2.UpdateSessionNotification) -> None:
        """Record an update."""
        self.updates.append(params.update)
        async with self._news:
            self._news.notify_all()

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """Record the question and answer it."""
        self.permissions.append(params)
        async with self._news:
            self._news.notify_all()
        wanted = "allow" if self.allow else "reject"
        for option in params.options:
            if option.kind.startswith(wanted):
                chosen = v2.SelectedPermissionOutcome(option_id=option.option_id)
                return v2.RequestPermissionResponse(outcome=chosen)
        return v2.RequestPermissionResponse(outcome=v2.CancelledPermissionOutcome())


def linked_dual(
    make_agent: Callable[[ClientProxy], Agent], client: DualClient
) -> AbstractAsyncContextManager[DualAgentProxy]:
    """Serve an agent of version 1 to a client of either, over linked in-memory transports.

    Args:
        make_agent: Builds the agent.
        client: Serves what it asks.
    """
    return served_dual(lambda transport: serve(make_agent, transport), client)


def served_dual(
    serve_on: Callable[[Transport], Coroutine[Any, Any, None]], client: DualClient
) -> AbstractAsyncContextManager[DualAgentProxy]:
    """Connect a client of either version to an agent over linked in-memory transports.

    Args:
        serve_on: Serves the agent, such as with `punie.acp.agent_side.serve_dual`.
        client: Serves what it asks.
    """
    return both_sides(serve_on, lambda transport: connect_dual(client, transport))
