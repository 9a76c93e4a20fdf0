"""Answers that need no model: what a slash command says in a turn of its own.

The turn is queued, told, kept and cancelled as any other; the model's history does not see it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeAlias

from punie.agent.errors import PunieError
from punie.agent.turns.emit import Emitter
from punie.agent.turns.outcome import Cancellation, TurnOutcome

Reply: TypeAlias = Callable[[Emitter, Cancellation], Awaitable[str]]
"""Gives the answer, as Markdown. May tell events meanwhile, and is cancelled with its turn."""


_replying: ContextVar[object] = ContextVar("replying", default=None)


def replying_in(session: object) -> bool:
    """Whether the caller is a reply of this session, and so in a turn of its own."""
    return _replying.get() is session


async def replied(
    session: object, reply: Reply, cancellation: Cancellation, emitter: Emitter
) -> TurnOutcome:
    """Give an answer, and say it.

    Args:
        session: Whose turn it is.
        reply: Makes the answer.
        cancellation: The turn's.
        emitter: The turn's.

    Returns:
        How the turn ended; a failure is said too, and is no error of the turn.
    """
    token = _replying.set(session)
    try:
        answering = asyncio.ensure_future(reply(emitter, cancellation))
    finally:
        _replying.reset(token)

    def stop() -> None:
        answering.cancel()

    cancellation.on_cancel(stop)
    try:
        text = await answering
    except asyncio.CancelledError:
        if not cancellation.requested:
            answering.cancel()
            raise
        return TurnOutcome(stop_reason="cancelled")
    except PunieError as error:
        text = str(error)
    await emitter.message(secrets.token_hex(8), text)
    return TurnOutcome(stop_reason="end_turn", text=text)
