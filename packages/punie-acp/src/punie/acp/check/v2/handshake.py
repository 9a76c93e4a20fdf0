"""The handshake of version 2: what comes first, its shape, older clients, methods that are gone."""

from __future__ import annotations

import msgspec

from punie.acp.check.bench import Bench
from punie.acp.check.values import Answer, at
from punie.acp.schema import v2

_DROPPED = ("authenticate", "session/load", "session/set_mode", "session/set_model")


async def shake_hands(bench: Bench) -> None:
    """Shake hands in version 2, too early, and in version 1."""
    async with bench.greeted_v2() as peer:
        for method in _DROPPED:
            answer = await peer.ask(method, {"sessionId": "none", "methodId": "none"})
            seen = f"{method}: {answer.describe()}"
            held = answer.code == -32601
            bench.report.expect("v2.methods", held, expected="error -32601", seen=seen)
    async with bench.peer() as peer:
        early = await peer.ask("session/new", {"cwd": str(bench.project)})
        held = early.code == -32600
        seen = early.describe()
        bench.report.expect("v2.initialize-first", held, expected="error -32600", seen=seen)
        answer = await bench.initialize(peer, 2)
        expected = "protocolVersion 2, info, and the schema's shape"
        seen = answer.describe()
        bench.report.expect("v2.initialize", _fits(answer), expected=expected, seen=seen)
    async with bench.peer() as peer:
        answer = await peer.ask("initialize", {"protocolVersion": 1})
        expected = "protocolVersion 1, or error -32022 with requested and supported"
        held = at(answer.result, "protocolVersion") == 1 or _is_refusal(answer)
        seen = answer.describe()
        bench.report.expect("v2.older-client", held, expected=expected, seen=seen)


def _fits(answer: Answer) -> bool:
    try:
        said = msgspec.convert(answer.result, v2.InitializeResponse)
    except msgspec.ValidationError:
        return False
    return said.protocol_version == 2


def _is_refusal(answer: Answer) -> bool:
    if answer.code != -32022:
        return False
    try:
        data = at(answer.message, "error", "data")
        said = msgspec.convert(data, v2.UnsupportedProtocolVersionErrorData)
    except msgspec.ValidationError:
        return False
    return said.requested == 1 and bool(said.supported) and 1 not in said.supported
