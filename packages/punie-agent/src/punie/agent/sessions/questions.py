"""Questions put to everybody who can answer: the first real answer decides, and the log knows both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from punie.agent.events import PermissionRequested, PermissionResolved, StateUpdate
from punie.agent.permissions.gate import Ask, PermissionAnswer, PermissionAsk
from punie.agent.turns.emit import Emitter

log = logging.getLogger(__name__)


class Questions:
    """What one turn asks."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._open: set[str] = set()

    async def put(
        self, ask: PermissionAsk, askers: list[Ask], emitter: Emitter
    ) -> PermissionAnswer:
        """Tell that something is asked, ask it, and tell what became of it.

        Args:
            ask: The question.
            askers: Those who can answer, at least one.
            emitter: Where it is told.
        """
        request_id = self._new_id()
        self._open.add(request_id)
        await emitter.emit(
            PermissionRequested(
                request_id=request_id,
                tool_call_id=ask.tool_call_id,
                title=ask.title,
                options=tuple(ask.options),
            )
        )
        await emitter.emit(StateUpdate(state="requires_action"))
        answer = await first_answer(askers, ask)
        self._open.discard(request_id)
        await emitter.emit(
            PermissionResolved(
                request_id=request_id, outcome=answer.outcome, option_id=answer.option_id
            )
        )
        if not self._open:
            await emitter.emit(StateUpdate(state="running"))
        return answer

    async def withdraw(self, emitter: Emitter) -> None:
        """Close what is still being asked when the turn ends."""
        while self._open:
            await emitter.emit(PermissionResolved(request_id=self._open.pop(), outcome="cancelled"))


async def first_answer(askers: list[Ask], ask: PermissionAsk) -> PermissionAnswer:
    """Ask everybody at once; the first who allows or rejects decides, the others are cancelled.

    Args:
        askers: At least one.
        ask: The question.

    Returns:
        The first real answer; when nobody gave one, the last thing that was said instead.
    """
    waiting = {asyncio.ensure_future(_answer_of(asker, ask)) for asker in askers}
    answer = PermissionAnswer(outcome="unanswerable")
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                answer = task.result()
                if answer.outcome in {"allowed", "rejected"}:
                    return answer
        return answer
    finally:
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)


async def _answer_of(asker: Ask, ask: PermissionAsk) -> PermissionAnswer:
    try:
        return await asker(ask)
    except Exception:
        log.exception("asker failed")
        return PermissionAnswer(outcome="unanswerable")
