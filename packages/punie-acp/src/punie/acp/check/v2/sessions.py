"""Sessions of version 2: opened, resumed, replayed, closed, configured, refused."""

from __future__ import annotations

from typing import Any

from punie.acp.check.bench import Bench, CannotGoOnError
from punie.acp.check.peer import Peer
from punie.acp.check.v2.turns import begin_turn, until_idle
from punie.acp.check.values import Answer, Message, at, objects

_UNKNOWN = "punie-check-no-such-session"


async def open_and_resume(bench: Bench) -> None:
    """Open a session, resume it without a replay, close it; ask for one that there is not."""
    async with bench.greeted_v2() as peer:
        answer = await peer.ask("session/new", {"cwd": str(bench.project)})
        if answer.code == -32000:
            raise CannotGoOnError("the agent asks for a login first")
        session_id = at(answer.result, "sessionId")
        held = isinstance(session_id, str) and "modes" not in (answer.result or {})
        expected = "a sessionId, and no modes: they are a config option"
        seen = answer.describe()
        bench.report.expect("v2.session-new", held, expected=expected, seen=seen)
        if not isinstance(session_id, str):
            raise CannotGoOnError(f"session/new: {answer.describe()}")

        unknown = {"sessionId": _UNKNOWN, "prompt": [{"type": "text", "text": "Hello"}]}
        answer = await peer.ask("session/prompt", unknown)
        held = answer.code == -32002 and _named(answer) == _UNKNOWN
        expected = "error -32002 with the sessionId in its data"
        seen = answer.describe()
        bench.report.expect("v2.session-unknown", held, expected=expected, seen=seen)

        await _resume(bench, peer, session_id)
        for method, params in (
            ("session/list", {}),
            ("session/close", {"sessionId": session_id}),
        ):
            answer = await peer.ask(method, params)
            _judge_baseline(bench, method, answer)


async def replay(bench: Bench) -> None:
    """Run a turn and resume its session from the start."""
    async with bench.greeted_v2() as peer:
        session_id = await bench.open_session(peer)
        message_id = await begin_turn(bench, peer, session_id, bench.prompts.short)
        if message_id is None or await until_idle(peer, session_id) is None:
            raise CannotGoOnError("no turn could be run to its end")
        before = len(peer.messages)
        request = peer.begin("session/resume", _place(bench, session_id) | {"replayFrom": _START})
        answer = await peer.answer(request)
        end = len(peer.messages) if answer.message is None else peer.position(answer.message)
        told = [
            update.get("messageId")
            for place, update in peer.updates(session_id)
            if before <= place < end and str(update.get("sessionUpdate")).startswith("user_message")
        ]
        if answer.result is not None and not told:
            bench.report.skip(["v2.replay"], "the agent keeps no history that it could replay")
            return
        bench.report.expect(
            "v2.replay",
            answer.result is not None and told == [message_id],
            expected=f"the user's message {message_id!r}, before the answer",
            seen=f"messages {told}; {answer.describe()}",
        )


async def set_options(bench: Bench) -> None:
    """Set a config option to the value that it has, and one that there is not."""
    async with bench.greeted_v2() as peer:
        answer = await peer.ask("session/new", {"cwd": str(bench.project)})
        rows = objects(at(answer.result, "configOptions"))
        if not rows:
            bench.report.skip(["v2.config"], "the agent has no config options")
            return
        params = {
            "sessionId": at(answer.result, "sessionId"),
            "configId": rows[0].get("configId"),
            "type": "boolean" if rows[0].get("type") == "boolean" else "id",
            "value": rows[0].get("currentValue"),
        }
        answer = await peer.ask("session/set_config_option", params)
        ids = [row.get("configId") for row in objects(at(answer.result, "configOptions"))]
        held = ids == [row.get("configId") for row in rows]
        expected = "the complete list of options"
        bench.report.expect("v2.config", held, expected=expected, seen=answer.describe())
        answer = await peer.ask("session/set_config_option", params | {"configId": "punie/no_such"})
        held = answer.code == -32602
        expected = "error -32602 for an unknown option"
        bench.report.expect("v2.config", held, expected=expected, seen=answer.describe())


async def _resume(bench: Bench, peer: Peer, session_id: str) -> None:
    before = len(peer.messages)
    answer = await peer.ask("session/resume", _place(bench, session_id))
    _judge_baseline(bench, "session/resume", answer)
    end = len(peer.messages) if answer.message is None else peer.position(answer.message)
    kinds = [
        str(update.get("sessionUpdate"))
        for place, update in peer.updates(session_id)
        if before <= place < end
    ]
    bench.report.expect(
        "v2.resume-state",
        "state_update" in kinds,
        expected="a state_update before the answer",
        seen=f"{', '.join(kinds) or 'nothing'} before {answer.describe()}",
    )
    cursor = {"replayFrom": {"type": "_punie_check"}}
    answer = await peer.ask("session/resume", _place(bench, session_id) | cursor)
    held = answer.code == -32602
    seen = answer.describe()
    bench.report.expect("v2.resume-cursor", held, expected="error -32602", seen=seen)


_START: Message = {"type": "start"}


def _place(bench: Bench, session_id: str) -> dict[str, Any]:
    return {"sessionId": session_id, "cwd": str(bench.project)}


def _named(answer: Answer) -> object:
    return at(answer.message, "error", "data", "sessionId")


def _judge_baseline(bench: Bench, method: str, answer: Answer) -> None:
    held = answer.result is not None
    seen = f"{method}: {answer.describe()}"
    bench.report.expect("v2.baseline", held, expected=f"{method} is served", seen=seen)
