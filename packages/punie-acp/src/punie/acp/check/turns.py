"""Turns: updates and their order, cancelling, several at once."""

from __future__ import annotations

import asyncio
import time
from typing import get_args

from punie.acp.check.bench import QUICK, Bench, wait_text
from punie.acp.check.peer import Peer
from punie.acp.check.values import Answer, Message, at
from punie.acp.schema.v1 import StopReason

_STOP_REASONS: tuple[str, ...] = get_args(StopReason)
_OF_A_TURN = ("chunk", "tool_call", "plan")
"""Updates with one of these in their kind belong to a turn."""
_UNDER_WAY = 0.2
"""Seconds that a long turn must last after its first update: else it ends by itself."""
_LATE = 0.2
"""Seconds to look for updates after the answer of a turn."""


async def run_a_turn(bench: Bench) -> None:
    """Run a short turn to its end."""
    async with bench.greeted() as peer:
        session_id = await bench.open_session(peer)
        answer = await peer.ask("session/prompt", bench.turn(session_id, bench.prompts.short))
        expected = f"a stopReason, one of {', '.join(_STOP_REASONS)}"
        held = stop_reason(answer) in _STOP_REASONS
        bench.report.expect("prompt.answer", held, expected=expected, seen=answer.describe())
        if answer.message is None:
            return
        await asyncio.sleep(_LATE)
        end = peer.position(answer.message)
        kinds = [(place, _kind(update)) for place, update in peer.updates(session_id)]
        late = [kind for place, kind in kinds if place > end and _of_a_turn(kind)]
        early = [kind for place, kind in kinds if place < end and _of_a_turn(kind)]
        seen = f"{len(early)} before the answer, {len(late)} after it"
        expected = "some updates before the answer, none after it"
        held = bool(early) and not late
        bench.report.expect("prompt.order", held, expected=expected, seen=seen)


async def cancel_a_turn(bench: Bench) -> None:
    """Cancel a long turn with `session/cancel`, and another with `$/cancel_request`."""
    async with bench.greeted() as peer:
        session_id = await bench.open_session(peer)
        request_id = await begin_long(bench, peer, session_id)
        if request_id is None:
            _skip_ended(bench, "prompt.cancel", "prompt.cancel-request")
            return
        began = time.monotonic()
        peer.notify("session/cancel", {"sessionId": session_id})
        answer = await peer.answer(request_id, timeout=QUICK)
        report_cancelled(bench, "prompt.cancel", answer, took=time.monotonic() - began)

        session_id = await bench.open_session(peer)
        request_id = await begin_long(bench, peer, session_id)
        if request_id is None:
            _skip_ended(bench, "prompt.cancel-request")
            return
        began = time.monotonic()
        peer.notify("$/cancel_request", {"requestId": request_id})
        answer = await peer.answer(request_id, timeout=QUICK)
        took = time.monotonic() - began
        held = answer.code == -32800 or stop_reason(answer) == "cancelled"
        bench.report.expect(
            "prompt.cancel-request",
            held,
            expected=f"error -32800 or stopReason cancelled within {QUICK:g} s",
            seen=answer.missing or f"{answer.describe()} after {wait_text(took)}",
        )


async def run_turns_at_once(bench: Bench) -> None:
    """Prompt again while a turn runs, in the same session and in another."""
    async with bench.greeted() as peer:
        session_id = await bench.open_session(peer)
        other_id = await bench.open_session(peer)
        first = await begin_long(bench, peer, session_id)
        if first is None:
            _skip_ended(bench, "prompt.second", "prompt.parallel")
            return
        answer = await peer.ask("session/prompt", bench.turn(other_id, bench.prompts.short))
        held = stop_reason(answer) in _STOP_REASONS and bool(peer.updates(other_id))
        still = "while" if peer.response(first) is None else "after"
        seen = f"{answer.describe()}, {still} the other turn ran"
        expected = "updates and an answer of its own"
        bench.report.expect("prompt.parallel", held, expected=expected, seen=seen)

        second = peer.begin("session/prompt", bench.turn(session_id, bench.prompts.short))
        peer.notify("session/cancel", {"sessionId": session_id})
        answers = [await peer.answer(request_id) for request_id in (first, second)]
        held = all(stop_reason(answer) in _STOP_REASONS for answer in answers)
        seen = " and ".join(answer.describe() for answer in answers)
        expected = "a stop reason for both"
        bench.report.expect("prompt.second", held, expected=expected, seen=seen)


async def begin_long(bench: Bench, peer: Peer, session_id: str) -> int | str | None:
    """Begin a long turn and wait until it is under way; `None` when it is over by then."""
    request_id = peer.begin("session/prompt", bench.turn(session_id, bench.prompts.long))

    def spoke() -> bool | None:
        kinds = [_kind(update) for _, update in peer.updates(session_id)]
        if peer.response(request_id) is not None:
            return False
        return True if any(_of_a_turn(kind) for kind in kinds) else None

    if not await peer.wait_for(spoke, timeout=peer.timeout):
        return None
    over = await peer.wait_for(lambda: peer.response(request_id), timeout=_UNDER_WAY)
    return request_id if over is None else None


def report_cancelled(bench: Bench, requirement: str, answer: Answer, *, took: float) -> None:
    """Report how a turn that was cancelled ended."""
    bench.report.expect(
        requirement,
        stop_reason(answer) == "cancelled",
        expected=f"stopReason cancelled within {QUICK:g} s",
        seen=answer.missing or f"{answer.describe()} after {wait_text(took)}",
    )


def stop_reason(answer: Answer) -> object:
    """The stop reason of a turn."""
    return at(answer.result, "stopReason")


def _kind(update: Message) -> str:
    return str(update.get("sessionUpdate"))


def _of_a_turn(kind: str) -> bool:
    return any(word in kind for word in _OF_A_TURN)


def _skip_ended(bench: Bench, *requirements: str) -> None:
    reason = "the long prompt ended, or said nothing, before it could be cancelled"
    bench.report.skip(requirements, reason)
