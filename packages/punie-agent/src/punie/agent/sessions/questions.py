"""Questions put to everybody who can answer: the first real answer decides, and the log knows both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from punie.agent.events import PermissionRequested, PermissionResolved, StateUpdate
from punie.agent.permissions.gate import Ask, PermissionAnswer, PermissionAsk
from punie.agent.turns.emit import Emitter

log = logging.getLogger(__name__)

_REAL = frozenset({"allowed", "rejected", "answered", "later"})
"""Outcomes that somebody gave; the others only say that there was none."""


class Questions:
    """What one session asks."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._open: dict[str, _Question] = {}

    @property
    def open(self) -> bool:
        """Whether somebody is being asked."""
        return bool(self._open)

    async def put(
        self, ask: PermissionAsk, askers: list[Ask], emitter: Emitter
    ) -> PermissionAnswer:
        """Tell that something is asked, ask it, and tell what became of it.

        Args:
            ask: The question.
            askers: Those who can answer, at least one.
            emitter: Where it is told.

        Returns:
            The first real answer; when nobody gave one, the last thing that was said instead.
        """
        request_id = self._new_id()
        question = self._open[request_id] = _Question(ask)
        await emitter.emit(
            PermissionRequested(
                request_id=request_id,
                tool_call_id=ask.tool_call_id,
                title=ask.title,
                options=tuple(ask.options),
                about=ask.about,
            )
        )
        await emitter.emit(StateUpdate(state="requires_action"))
        for asker in askers:
            question.ask(asker)
        answer = await question.answer()
        self._open.pop(request_id, None)
        await emitter.emit(
            PermissionResolved(
                request_id=request_id, outcome=answer.outcome, option_id=answer.option_id
            )
        )
        if not self._open:
            await emitter.emit(StateUpdate(state="running"))
        return answer

    def ask_too(self, asker: Ask) -> None:
        """Put what is being asked to one more, who came later."""
        for question in self._open.values():
            question.ask(asker)

    async def withdraw(self, emitter: Emitter) -> None:
        """Close what is still being asked when the turn ends."""
        while self._open:
            request_id, _ = self._open.popitem()
            await emitter.emit(PermissionResolved(request_id=request_id, outcome="cancelled"))


class _Question:
    """One question, and all who were asked."""

    def __init__(self, ask: PermissionAsk) -> None:
        self._ask = ask
        self._waiting: set[asyncio.Future[PermissionAnswer]] = set()
        self._asked_more = asyncio.Event()

    def ask(self, asker: Ask) -> None:
        """Ask one."""
        self._waiting.add(asyncio.ensure_future(_answer_of(asker, self._ask)))
        self._asked_more.set()

    async def answer(self) -> PermissionAnswer:
        """Wait for the first who decides or answers; the others are cancelled."""
        answer = PermissionAnswer(outcome="unanswerable")
        more = asyncio.ensure_future(self._asked_more.wait())
        try:
            while self._waiting:
                self._asked_more.clear()
                more.cancel()
                more = asyncio.ensure_future(self._asked_more.wait())
                await asyncio.wait({*self._waiting, more}, return_when=asyncio.FIRST_COMPLETED)
                done = {task for task in self._waiting if task.done()}
                self._waiting -= done
                # Of those who answered in the same moment, one who refuses is the first.
                for task in sorted(done, key=lambda task: task.result().outcome != "rejected"):
                    answer = task.result()
                    if answer.outcome in _REAL:
                        return answer
            return answer
        finally:
            more.cancel()
            for task in self._waiting:
                task.cancel()
            if self._waiting:
                await asyncio.wait(self._waiting)


async def _answer_of(asker: Ask, ask: PermissionAsk) -> PermissionAnswer:
    try:
        return await asker(ask)
    except Exception:
        log.exception("asker failed")
        return PermissionAnswer(outcome="unanswerable")
