"""One question put to everybody who can answer: the first real answer decides."""

from __future__ import annotations

import asyncio
import logging

from punie.agent.permissions.gate import Ask, PermissionAnswer, PermissionAsk

log = logging.getLogger(__name__)


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
