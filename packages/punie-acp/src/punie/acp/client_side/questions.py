"""Permission requests that a person is deciding on, and how `session/cancel` ends them.

https://agentclientprotocol.com/protocol/prompt-turn#cancellation
https://agentclientprotocol.com/protocol/v2/prompt-lifecycle#cancellation
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, Protocol, TypeVar

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


class Asked(Protocol[A_co]):
    """A client of either version, as far as it is asked for permission."""

    def request_permission(self, params: Any, /) -> Coroutine[Any, Any, A_co]:
        """Let a person decide."""
        ...


class Questions(Generic[A]):
    """A client whose open permission requests can be withdrawn; all else is its own.

    Args:
        client: Is asked.
        cancelled: What a request is answered with when it is withdrawn.
    """

    def __init__(self, client: Asked[A], cancelled: A) -> None:
        self._client = client
        self._cancelled = cancelled
        self._open: dict[asyncio.Future[None], str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def request_permission(self, params: Any) -> A:
        """Ask, until there is an answer or `withdraw` gives one."""
        loop = asyncio.get_running_loop()
        answer = loop.create_task(self._client.request_permission(params))
        withdrawn: asyncio.Future[None] = loop.create_future()
        self._open[withdrawn] = params.session_id
        try:
            await asyncio.wait({answer, withdrawn}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._open[withdrawn]
            answer.cancel()
        return self._cancelled if withdrawn.done() else answer.result()

    def withdraw(self, session_id: str) -> None:
        """Answer all of a session's; the client's own work on them is cancelled."""
        for withdrawn, asked_by in self._open.items():
            if asked_by == session_id and not withdrawn.done():
                withdrawn.set_result(None)
