"""Permission requests that a person is deciding on, and how `session/cancel` ends them.

https://agentclientprotocol.com/protocol/v2/prompt-lifecycle#cancellation
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from punie.acp.schema import v2

Ask = Callable[[v2.RequestPermissionRequest], Awaitable[v2.RequestPermissionResponse]]

CANCELLED = v2.RequestPermissionResponse(outcome=v2.CancelledPermissionOutcome())
"""Nobody chose an option."""


class Questions:
    """The open ones.

    Args:
        ask: Puts a question to the person.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._open: dict[asyncio.Future[v2.RequestPermissionResponse], str] = {}

    async def ask(self, params: v2.RequestPermissionRequest) -> v2.RequestPermissionResponse:
        """Ask, until there is an answer or `withdraw` gives one."""
        answer = asyncio.ensure_future(self._ask(params))
        self._open[answer] = params.session_id
        try:
            await asyncio.wait({answer})
        finally:
            withdrawn = self._open.pop(answer, None) is None
            answer.cancel()
        return CANCELLED if withdrawn else answer.result()

    def withdraw(self, session_id: str) -> None:
        """Answer all of a session's with `cancelled`."""
        for answer, asked_by in list(self._open.items()):
            if asked_by == session_id:
                del self._open[answer]
                answer.cancel()
