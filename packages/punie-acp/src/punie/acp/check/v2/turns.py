"""Turns of version 2: the prompt is taken, states tell how it goes on, permission is asked."""

from __future__ import annotations

import asyncio
import time

from punie.acp.check.bench import QUICK, WRITTEN, Bench, wait_text
from punie.acp.check.peer import Peer
from punie.acp.check.values import Message, at, objects

_ASK = "session/request_permission"
_OUTPUT = ("agent_", "tool_call", "terminal_", "plan_")
_REASONS = {"end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled", "error"}
_ASKING = ("v2.permission", "v2.requires-action", "v2.rejected")
_PATIENCE = 0.5
"""Seconds for a state that an agent may tell just after it asked."""
_LATE = 0.2
"""Seconds to look for output after the end of a turn."""
_OPEN = {None, "pending", "in_progress", "paused"}


async def begin_turn(bench: Bench, peer: Peer, session_id: str, text: str) -> str | None:
    """Send a prompt and wait until it is taken.

    Returns:
        The id of its message; `None` when none was given.
    """
    prompt = {"sessionId": session_id, "prompt": [{"type": "text", "text": text}]}
    answer = await peer.ask("session/prompt", prompt)
    message_id = at(answer.result, "messageId")
    return message_id if isinstance(message_id, str) else None


def states(peer: Peer, session_id: str) -> list[tuple[int, Message]]:
    """The states that a session told, with their places in the order of arrival."""
    return [
        (place, update)
        for place, update in peer.updates(session_id)
        if update.get("sessionUpdate") == "state_update"
    ]


async def until_idle(
    peer: Peer, session_id: str, *, timeout: float | None = None
) -> tuple[int, Message] | None:
    """Wait until a session that was busy is idle; `None` when that does not come."""

    def idle() -> tuple[int, Message] | None:
        busy = False
        for place, update in states(peer, session_id):
            if update.get("state") == "idle" and busy:
                return place, update
            busy = update.get("state") != "idle"
        return None

    return await peer.wait_for(idle, timeout=peer.timeout if timeout is None else timeout)


async def run_a_turn(bench: Bench) -> None:
    """Run a short turn to its end."""
    async with bench.greeted_v2() as peer:
        session_id = await bench.open_session(peer)
        message_id = await begin_turn(bench, peer, session_id, bench.prompts.short)
        end = await until_idle(peer, session_id)
        await asyncio.sleep(_LATE)
        updates = peer.updates(session_id)
        told = [update.get("messageId") for _, update in updates if _kind(update, "user_message")]
        bench.report.expect(
            "v2.prompt-message",
            message_id is not None and message_id in told,
            expected=f"a user_message with the id {message_id!r}",
            seen=f"messages of the user: {told}",
        )
        _judge_states(bench, updates, end)
        reason = None if end is None else end[1].get("stopReason")
        held = reason in _REASONS or str(reason).startswith("_")
        expected = f"one of {', '.join(sorted(_REASONS))}"
        seen = f"stopReason {reason!r}"
        bench.report.expect("v2.stop-reason", held, expected=expected, seen=seen)


def _judge_states(
    bench: Bench, updates: list[tuple[int, Message]], end: tuple[int, Message] | None
) -> None:
    output = [place for place, update in updates if _kind(update, *_OUTPUT)]
    busy = [
        place
        for place, update in updates
        if update.get("sessionUpdate") == "state_update" and update.get("state") != "idle"
    ]
    ends = -1 if end is None else end[0]
    begins = min(busy, default=ends)
    outside = [place for place in output if not begins < place < ends]
    bench.report.expect(
        "v2.state-order",
        begins < ends and not outside,
        expected="running, then all output, then idle",
        seen=f"{'running' if busy else 'no running'}, {'idle' if end else 'no idle'}, "
        f"{len(outside)} of {len(output)} updates outside of the two",
    )


async def cancel_a_turn(bench: Bench) -> None:
    """Send a long prompt, which must be answered at once, and cancel its turn."""
    async with bench.greeted_v2() as peer:
        session_id = await bench.open_session(peer)
        message_id = await begin_turn(bench, peer, session_id, bench.prompts.long)
        over = await until_idle(peer, session_id, timeout=0.2)
        bench.report.expect(
            "v2.prompt-answer",
            message_id is not None and over is None,
            expected="a messageId, before the turn is over",
            seen=f"messageId {message_id!r}, the turn was {'over' if over else 'going on'}",
        )
        if over is not None or message_id is None:
            bench.report.skip(["v2.cancel"], "the long prompt ended before it could be cancelled")
            return
        began = time.monotonic()
        peer.notify("session/cancel", {"sessionId": session_id})
        end = await until_idle(peer, session_id, timeout=QUICK)
        reason = None if end is None else end[1].get("stopReason")
        bench.report.expect(
            "v2.cancel",
            reason == "cancelled",
            expected=f"idle with stopReason cancelled within {QUICK:g} s",
            seen="no idle"
            if end is None
            else f"stopReason {reason!r} after {wait_text(time.monotonic() - began)}",
        )


async def reject(bench: Bench) -> None:
    """Let the agent write a file and say no."""
    async with bench.greeted_v2() as peer:
        peer.permission = "hold"
        session_id = await bench.open_session(peer)
        await begin_turn(bench, peer, session_id, bench.prompts.write)
        asked = 0
        while await _another_question(peer, session_id, asked):
            place, question = peer.requests(_ASK)[asked]
            asked += 1
            _judge_question(bench, peer, session_id, place, question)
            await _judge_waiting(bench, peer, session_id)
            peer.decide(question, "reject")
        end = await until_idle(peer, session_id)
        _judge_calls(bench, peer, session_id)
        written = (bench.project / WRITTEN).exists()
        (bench.project / WRITTEN).unlink(missing_ok=True)
        if not asked:
            how = "wrote the file without asking" if written else "never asked"
            bench.report.skip(_ASKING, f"the agent {how}")
            return
        reason = None if end is None else end[1].get("stopReason")
        bench.report.expect(
            "v2.rejected",
            not written and end is not None and reason != "error",
            expected="idle without an error, and nothing written",
            seen=f"stopReason {reason!r}, {'written' if written else 'nothing written'}",
        )


async def _another_question(peer: Peer, session_id: str, asked: int) -> bool:
    """Wait for a question beyond those asked before; false when the turn is over without one."""

    def asks_or_is_over() -> bool | None:
        if len(peer.requests(_ASK)) > asked:
            return True
        return False if _last_idle(peer, session_id) else None

    return bool(await peer.wait_for(asks_or_is_over, timeout=peer.timeout))


def _judge_question(
    bench: Bench, peer: Peer, session_id: str, place: int, question: Message
) -> None:
    """Hold one permission request to the requirements."""
    params = question.get("params")
    call = at(params, "subject", "toolCall", "toolCallId")
    told = {
        update.get("toolCallId")
        for at_, update in peer.updates(session_id)
        if at_ < place and _kind(update, "tool_call_update")
    }
    ids: list[object] = [option.get("optionId") for option in objects(at(params, "options"))]
    title = at(params, "title")
    bench.report.expect(
        "v2.permission",
        bool(title)
        and bool(ids)
        and None not in ids
        and len(set(ids)) == len(ids)
        and (call is None or call in told),
        expected="a title, options with an id each, and a tool call that was told of before",
        seen=f"title {title!r}, options {ids}, toolCallId {call!r}; told of {sorted(map(str, told))}",
    )


async def _judge_waiting(bench: Bench, peer: Peer, session_id: str) -> None:
    def waits() -> bool | None:
        told = states(peer, session_id)
        return True if told and told[-1][1].get("state") == "requires_action" else None

    held = await peer.wait_for(waits, timeout=_PATIENCE)
    told = [str(update.get("state")) for _, update in states(peer, session_id)]
    expected = "requires_action as the last state while the question is open"
    seen = f"states {', '.join(told) or 'none'}"
    bench.report.expect("v2.requires-action", bool(held), expected=expected, seen=seen)


def _judge_calls(bench: Bench, peer: Peer, session_id: str) -> None:
    """Look at the calls once the turn is over; those that go on in the background may be open."""
    status: dict[str, object] = {}
    for _, update in peer.updates(session_id):
        if _kind(update, "tool_call_update"):
            call = str(update.get("toolCallId"))
            status[call] = update.get("status", status.get(call))
    told = states(peer, session_id)
    background = objects(at(told[-1][1], "background")) if told else []
    beside = {str(one.get("toolCallId")) for one in background}
    left = [call for call, one in status.items() if one in _OPEN and call not in beside]
    seen = f"{len(status)} calls, still open: {', '.join(left) or 'none'}"
    bench.report.expect("v2.tool-calls", not left, expected="no open call", seen=seen)


def _last_idle(peer: Peer, session_id: str) -> bool:
    told = [str(update.get("state")) for _, update in states(peer, session_id)]
    return len(told) > 1 and told[-1] == "idle"


def _kind(update: Message, *beginnings: str) -> bool:
    return str(update.get("sessionUpdate")).startswith(beginnings)
