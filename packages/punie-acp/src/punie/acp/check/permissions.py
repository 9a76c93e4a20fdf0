"""Permissions: asked in order, and a no has no effect."""

from __future__ import annotations

import time
from typing import Any, cast

from punie.acp.check.bench import QUICK, WRITTEN, Bench
from punie.acp.check.peer import FILES, Peer
from punie.acp.check.turns import report_cancelled, stop_reason
from punie.acp.check.values import Message, at, objects

_ASK = "session/request_permission"
_ALL = ("permission.order", "permission.options", "permission.rejected", "permission.cancelled")


async def reject(bench: Bench) -> None:
    """Let the agent write a file and say no."""
    async with bench.greeted(FILES) as peer:
        session_id = await bench.open_session(peer)
        answer = await peer.ask("session/prompt", bench.turn(session_id, bench.prompts.write))
        asked = peer.requests(_ASK)
        if not asked:
            how = "wrote the file without asking" if _effects(bench, peer) else "never asked"
            bench.report.skip(_ALL, f"the agent {how}: {answer.describe()}")
            _forget(bench)
            return
        for place, question in asked:
            _judge_question(bench, peer, session_id, place, question)
        effects = _effects(bench, peer)
        bench.report.expect(
            "permission.rejected",
            not effects and answer.result is not None and stop_reason(answer) is not None,
            expected="a stop reason, and nothing written",
            seen=f"{answer.describe()}; written: {', '.join(effects) or 'nothing'}",
        )
        _forget(bench)


async def cancel_while_asking(bench: Bench) -> None:
    """Cancel the turn while the agent waits for permission."""
    async with bench.greeted(FILES) as peer:
        peer.permission = "hold"
        session_id = await bench.open_session(peer)
        turn = peer.begin("session/prompt", bench.turn(session_id, bench.prompts.write))

        def asked_or_over() -> Any:
            return next(iter(peer.requests(_ASK)), peer.response(turn))

        found = await peer.wait_for(asked_or_over, timeout=peer.timeout)
        if not isinstance(found, tuple):
            bench.report.skip(["permission.cancelled"], "the agent never asked")
            _forget(bench)
            return
        began = time.monotonic()
        peer.notify("session/cancel", {"sessionId": session_id})
        peer.decide(cast("tuple[int, Message]", found)[1], "cancel")
        answer = await peer.answer(turn, timeout=QUICK)
        report_cancelled(bench, "permission.cancelled", answer, took=time.monotonic() - began)
        effects = _effects(bench, peer)
        seen = f"written: {', '.join(effects) or 'nothing'}"
        expected = "nothing written"
        bench.report.expect("permission.cancelled", not effects, expected=expected, seen=seen)
        _forget(bench)


async def offer_nothing(bench: Bench) -> None:
    """Let the agent write a file for a client that serves no files."""
    async with bench.greeted() as peer:
        peer.permission = "allow"
        session_id = await bench.open_session(peer)
        await peer.ask("session/prompt", bench.turn(session_id, bench.prompts.write))
        _forget(bench)


def _judge_question(
    bench: Bench, peer: Peer, session_id: str, place: int, question: Message
) -> None:
    """Hold one permission request to the requirements."""
    call = at(question, "params", "toolCall", "toolCallId")
    told = [
        update.get("toolCallId")
        for at, update in peer.updates(session_id)
        if at < place and update.get("sessionUpdate") in {"tool_call", "tool_call_update"}
    ]
    bench.report.expect(
        "permission.order",
        call is not None and call in told,
        expected="a tool_call update with the same toolCallId, before the request",
        seen=f"toolCallId {call!r}; told of before: {told}",
    )
    options = objects(at(question, "params", "options"))
    ids: list[object] = [option.get("optionId") for option in options]
    bench.report.expect(
        "permission.options",
        bool(ids) and None not in ids and len(set(ids)) == len(ids),
        expected="at least one option, each with an id of its own",
        seen=f"options {ids}",
    )


def _effects(bench: Bench, peer: Peer) -> list[str]:
    """What was written, through the client or past it."""
    past = [WRITTEN] if (bench.project / WRITTEN).exists() else []
    return [f"{path} through the client" for path in peer.written] + past


def _forget(bench: Bench) -> None:
    (bench.project / WRITTEN).unlink(missing_ok=True)
