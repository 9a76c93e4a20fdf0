"""A client's prompts on their way into a session.

A prompt is answered when it is part of the conversation: the session, which runs one turn at a time,
tells of its message. That the client has the answer first keeps the two apart for clients that
compare ids. What comes of the turn is told by the session's events alone.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from punie.acp.errors import ErrorCode, RequestError
from punie.agent.acp.content import Asked
from punie.agent.commands import COMMANDS, Desk, prompt
from punie.agent.events import AnyEvent, UserMessage
from punie.agent.sessions.session import new_id


class _Waiting(NamedTuple):
    taken: asyncio.Event
    answered: asyncio.Event


class Prompts:
    """The prompts of one client that are not answered yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._turns: set[asyncio.Task[object]] = set()

    async def put(self, desk: Desk, asked: Asked) -> str:
        """Give a session a prompt; its turn goes on after this returns.

        Args:
            desk: The session, and what its commands need.
            asked: The prompt, which may begin with a command.

        Returns:
            The id of the message that it became.

        Raises:
            RequestError: It was cancelled before it was taken.
        """
        message_id = new_id()
        waiting = self._waiting[message_id] = _Waiting(asyncio.Event(), asyncio.Event())
        turn = asyncio.ensure_future(
            prompt(desk, asked.text, COMMANDS, images=asked.images, message_id=message_id)
        )
        self._turns.add(turn)
        turn.add_done_callback(self._turns.discard)
        turn.add_done_callback(lambda _: waiting.taken.set())
        try:
            await waiting.taken.wait()
        except asyncio.CancelledError:
            if not waiting.taken.is_set():
                turn.cancel()
            raise
        finally:
            waiting.answered.set()
            taken = self._waiting.pop(message_id, None) is None
        if not taken:
            raise RequestError(
                ErrorCode.REQUEST_CANCELLED, "the prompt was cancelled before its turn"
            )
        return message_id

    async def let_in(self, event: AnyEvent) -> None:
        """Hear of an event before the client does: its own prompts are answered first."""
        if not isinstance(event, UserMessage):
            return
        waiting = self._waiting.pop(event.message_id, None)
        if waiting is not None:
            waiting.taken.set()
            await waiting.answered.wait()
