"""Sessions: opened, configured, refused; and every method that was advertised."""

from __future__ import annotations

from typing import Any, cast

from punie.acp.check.bench import Bench
from punie.acp.check.peer import Peer
from punie.acp.check.values import Answer, Message, at, objects

_UNKNOWN = "punie-check-no-such-session"


async def open_sessions(bench: Bench) -> None:
    """Open sessions, two at once, and some that cannot be."""
    async with bench.greeted() as peer:
        session_id = await bench.open_session(peer)
        seen = f"sessionId {session_id!r}"
        expected = "a session id"
        bench.report.expect("session.new", bool(session_id), expected=expected, seen=seen)

        pair = [peer.begin("session/new", bench.new_session()) for _ in range(2)]
        answers = [await peer.answer(request_id) for request_id in pair]
        ids = [(answer.result or {}).get("sessionId") for answer in answers]
        held = None not in ids and len({*ids, session_id}) == 3
        seen = " and ".join(answer.describe() for answer in answers)
        expected = "two answers, with other session ids"
        bench.report.expect("session.parallel", held, expected=expected, seen=seen)

        answer = await peer.ask("session/new", {"cwd": "relative/folder", "mcpServers": []})
        held = answer.code is not None
        bench.report.expect("session.cwd", held, expected="an error", seen=answer.describe())

        answer = await peer.ask("session/prompt", bench.turn(_UNKNOWN, bench.prompts.short))
        expected = "error -32002"
        held = answer.code == -32002
        bench.report.expect("session.unknown", held, expected=expected, seen=answer.describe())


async def set_options(bench: Bench) -> None:
    """Read the config options and set one to the value that it has."""
    async with bench.greeted() as peer:
        answer = await peer.ask("session/new", bench.new_session())
        rows = objects(at(answer.result, "configOptions"))
        if not rows:
            bench.report.skip(["session.config"], "the agent has no config options")
            return
        expected = "a current value that is one of the options"
        bad = [row for row in rows if not _is_current_offered(row)]
        seen = f"{len(rows)} options" if not bad else f"{bad[0].get('id')!r} has none"
        bench.report.expect("session.config", not bad, expected=expected, seen=seen)
        await _set_option(bench, peer, str(at(answer.result, "sessionId")), rows)


async def _set_option(bench: Bench, peer: Peer, session_id: str, rows: list[Message]) -> None:
    params = {
        "sessionId": session_id,
        "configId": rows[0].get("id"),
        "value": rows[0].get("currentValue"),
    }
    if rows[0].get("type") == "boolean":
        params["type"] = "boolean"
    answer = await peer.ask("session/set_config_option", params)
    ids = {row.get("id") for row in objects(at(answer.result, "configOptions"))}
    bench.report.expect(
        "session.config",
        ids == {row.get("id") for row in rows},
        expected="the complete list of options",
        seen=answer.describe(),
    )
    answer = await peer.ask("session/set_config_option", params | {"configId": "punie/no_such"})
    expected = "error -32602 for an unknown option"
    held = answer.code == -32602
    bench.report.expect("session.config", held, expected=expected, seen=answer.describe())


def _is_current_offered(row: Message) -> bool:
    if row.get("type") == "boolean":
        return isinstance(row.get("currentValue"), bool)
    offered: list[Message] = []
    for one in objects(row.get("options")):
        offered += objects(one["options"]) if "options" in one else [one]
    return row.get("currentValue") in [one.get("value") for one in offered]


async def call_advertised(bench: Bench) -> None:
    """Call each method that was advertised; `logout` is left out, it would log the user out."""
    async with bench.peer() as peer:
        hello = await bench.initialize(peer)
        session_id = await bench.open_session(peer)
        place = bench.new_session() | {"sessionId": _UNKNOWN}
        session = _capabilities(hello, "sessionCapabilities")
        calls: list[tuple[str, bool, Any]] = [
            ("session/load", bool(_capabilities(hello).get("loadSession")), place),
            ("session/resume", session.get("resume") is not None, place),
            ("session/list", session.get("list") is not None, {}),
            ("session/delete", session.get("delete") is not None, {"sessionId": _UNKNOWN}),
            ("session/close", session.get("close") is not None, {"sessionId": session_id}),
        ]
        called = [(method, params) for method, advertised, params in calls if advertised]
        for method, params in called:
            await _call(bench, peer, method, params)
        if not called:
            bench.report.skip(["capabilities.answered"], "the agent advertises no more methods")


def _capabilities(hello: Answer, *path: str) -> Message:
    value = at(hello.result, "agentCapabilities", *path)
    return cast("Message", value) if isinstance(value, dict) else {}


async def _call(bench: Bench, peer: Peer, method: str, params: Any) -> None:
    answer = await peer.ask(method, params)
    held = answer.message is not None and answer.code not in {-32601, -32603}
    if method in {"session/list", "session/close"}:
        held = answer.result is not None
    bench.report.expect(
        "capabilities.answered",
        held,
        expected=f"{method} is served",
        seen=f"{method}: {answer.describe()}",
    )
