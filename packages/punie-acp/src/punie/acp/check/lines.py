"""The wire: lines that are no message, unknown methods, wrong parameters, ids."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from punie.acp.check.bench import Bench
from punie.acp.check.peer import Peer
from punie.acp.check.values import Message, at

_PATIENCE = 0.3
"""Seconds for an answer that an agent with tasks may send after the one to the next message."""
_PROBE = "_punie_check/ping"


class _BadLine(NamedTuple):
    requirement: str
    name: str
    data: bytes
    code: int


_BAD_LINES = (
    _BadLine("wire.parse-error", "`{nope`", b"{nope", -32700),
    _BadLine("wire.parse-error", "invalid UTF-8", b'{"jsonrpc":"2.0","id":1,"\xff', -32700),
    _BadLine("wire.scalar", "`42`", b"42", -32600),
    _BadLine("wire.array", "an array", b'[{"jsonrpc":"2.0","id":1,"method":"a"}]', -32600),
    _BadLine("wire.not-a-message", '`{"foo":1}`', b'{"foo":1}', -32600),
)


async def send_bad_lines(bench: Bench) -> None:
    """Send one line of each bad kind, each followed by a good one."""
    lines = list(_BAD_LINES)
    while lines:
        async with bench.greeted() as peer:
            while lines and await _send_bad_line(bench, peer, lines.pop(0)):
                pass


async def _send_bad_line(bench: Bench, peer: Peer, line: _BadLine) -> bool:
    """Returns whether the agent lives on."""
    before = len(peer.orphans())
    peer.send(line.data)
    alive = await peer.ask(_PROBE, {})

    def answered() -> Message | None:
        return next(iter(peer.orphans()[before:]), None)

    patience = _PATIENCE if alive.message is not None else 0.0
    answer = await peer.wait_for(answered, timeout=patience)
    code = at(answer, "error", "code")
    seen = "no answer" if answer is None else msgspec.json.encode(answer).decode()
    if alive.message is None:
        seen = f"{seen}; then {alive.describe()}"
    expected = f"error {line.code} with id null"
    held = code == line.code
    bench.report.expect(line.requirement, held, expected=expected, seen=f"{line.name}: {seen}")
    bench.report.expect(
        "wire.survives",
        alive.message is not None,
        expected="an answer to the next request",
        seen=f"after {line.name}: {alive.describe()}",
    )
    return alive.message is not None


async def send_odd_requests(bench: Bench) -> None:
    """Send requests that are messages, but not ones that can be served."""
    async with bench.greeted() as peer:
        answer = await peer.ask("punie/no_such_method", {})
        expected = "error -32601"
        held = answer.code == -32601
        bench.report.expect("wire.unknown-method", held, expected=expected, seen=answer.describe())

        before = len(peer.messages)
        peer.notify("punie/no_such_notification", {})
        probe = await peer.ask(_PROBE, {})
        others = [one for one in peer.messages[before:] if one is not probe.message]
        bench.report.expect(
            "wire.unknown-notification",
            probe.message is not None and not others,
            expected="no answer to it, and service as before",
            seen="no answer to it" if not others else msgspec.json.encode(others[0]).decode(),
        )

        answer = await peer.ask("session/new", {"cwd": 1, "mcpServers": "none"})
        expected = "error -32602"
        held = answer.code == -32602
        bench.report.expect("wire.wrong-params", held, expected=expected, seen=answer.describe())
        await _try_ids(bench, peer)


async def _try_ids(bench: Bench, peer: Peer) -> None:
    ids: tuple[int | str, ...] = ("a string", "7", 1_000_007, 0)
    for request_id in ids:
        answer = await peer.answer(peer.begin(_PROBE, {}, request_id=request_id))
        bench.report.expect(
            "wire.ids",
            answer.message is not None,
            expected=f"an answer with the id {request_id!r}",
            seen=answer.missing or f"{request_id!r} came back",
        )
