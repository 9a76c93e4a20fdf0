"""A client's prompts on their way into a session.

A prompt is answered when it is part of the conversation: the session, which runs one turn at a time,
tells of its message. That the client has the answer first keeps the two apart for clients that
compare ids. What comes of the turn is told by the session's events alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import NamedTuple

from punie.acp.errors import ErrorCode, RequestError
from punie.acp.schema import v2
from punie.agent.acp.content import Asked, read_prompt
from punie.agent.commands import COMMANDS, Desk, prompt
from punie.agent.events import AnyEvent, UserMessage
from punie.agent.sessions.session import Session, new_id


class Arrived(NamedTuple):
    """A prompt that a session does not have yet."""

    asked: Asked
    cancelled: int
    """How often its session's prompts had been cancelled when it came."""


class _Waiting(NamedTuple):
    taken: asyncio.Event
    answered: asyncio.Event


class Prompts:
    """The prompts of one client that are not answered yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._turns: set[asyncio.Task[object]] = set()
        self._reading = defaultdict[str, asyncio.Lock](asyncio.Lock)
        self._cancelled = Counter[str]()

    def cancel(self, session_id: str) -> None:
        """Drop the prompts that the session does not have yet."""
        self._cancelled[session_id] += 1

    async def read(self, blocks: list[v2.ContentBlock], session: Session) -> Arrived:
        """Read a prompt, after those that came before it: it may have to be fetched from disk.

        Args:
            blocks: As the client sent them.
            session: Whose prompt it is.

        Raises:
            RequestError: The prompt is empty.
        """
        cancelled = self._cancelled[session.id]
        async with self._reading[session.id]:
            return Arrived(await read_prompt(blocks, session.workspace), cancelled)

    async def put(self, desk: Desk, arrived: Arrived) -> str:
        """Give a session a prompt; its turn goes on after this returns.

        Args:
            desk: The session, and what its commands need.
            arrived: The prompt, which may begin with a command.

        Returns:
            The id of the message that it became.

        Raises:
            RequestError: It was cancelled before it was taken.
        """
        message_id = new_id()
        waiting = self._waiting[message_id] = _Waiting(asyncio.Event(), asyncio.Event())
        turn = asyncio.ensure_future(self._turn(desk, arrived, message_id))
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

    async def _turn(self, desk: Desk, arrived: Arrived, message_id: str) -> None:
        if self._cancelled[desk.session.id] != arrived.cancelled:
            return
        text, images = arrived.asked
        await prompt(desk, text, COMMANDS, images=images, message_id=message_id)

    async def let_in(self, event: AnyEvent) -> None:
        """Hear of an event before the client does: its own prompts are answered first."""
        if not isinstance(event, UserMessage):
            return
        waiting = self._waiting.pop(event.message_id, None)
        if waiting is not None:
            waiting.taken.set()
            await waiting.answered.wait()
