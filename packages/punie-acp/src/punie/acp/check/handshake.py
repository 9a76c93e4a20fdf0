"""The handshake: shape, versions, again."""

from __future__ import annotations

import asyncio

import msgspec

from punie.acp.check.bench import Bench
from punie.acp.check.values import Answer, at, has, objects
from punie.acp.schema import v1

LATEST_KNOWN = 2
"""The newest version of the protocol that there is."""


async def shake_hands(bench: Bench) -> None:
    """Ask for versions 1, 2 and the highest there can be, each in a process of its own."""
    await _version_1(bench)
    async with asyncio.TaskGroup() as tasks:
        newer = [tasks.create_task(_newer(bench, version)) for version in (2, 65535)]
    _judge_newer(bench, [task.result() for task in newer])


async def _version_1(bench: Bench) -> None:
    async with bench.peer() as peer:
        answer = await bench.initialize(peer)
        result = answer.result or {}
        expected = "a result with protocolVersion, and the schema's shape"
        held = answer.result is not None and _fits(result)
        bench.report.expect("initialize.answer", held, expected=expected, seen=answer.describe())
        seen = f"protocolVersion {result.get('protocolVersion')!r}"
        held = result.get("protocolVersion") == 1
        expected = "protocolVersion 1"
        bench.report.expect("initialize.version-1", held, expected=expected, seen=seen)
        _judge_logins(bench, answer)
        again = await bench.initialize(peer)
        held = again.result is not None and again.result.get("protocolVersion") == 1
        expected = "a second answer in version 1"
        bench.report.expect("initialize.repeated", held, expected=expected, seen=again.describe())


def _fits(result: object) -> bool:
    try:
        msgspec.convert(result, v1.InitializeResponse)
    except msgspec.ValidationError:
        return False
    return True


def _judge_logins(bench: Bench, answer: Answer) -> None:
    methods = objects(at(answer.result, "authMethods"))
    types = [str(one.get("type") or "agent") for one in methods]
    bench.report.expect(
        "initialize.terminal-auth",
        "terminal" not in types,
        expected="no method of type terminal",
        seen=", ".join(types) or "no method",
    )


async def _newer(bench: Bench, version: int) -> Answer:
    async with bench.peer() as peer:
        return await bench.initialize(peer, version)


def _judge_newer(bench: Bench, answers: list[Answer]) -> None:
    versions = [(answer.result or {}).get("protocolVersion") for answer in answers]
    first, last = versions
    known = isinstance(first, int) and first == last and 1 <= first <= LATEST_KNOWN
    shape = first != 2 or all(
        has(at(answer.result, "info"), "name", "version") for answer in answers
    )
    seen = f"2 gives {first!r}, 65535 gives {last!r}"
    if known and not shape:
        seen += ", without the `info` that version 2 requires"
    expected = f"the same version twice, at most {LATEST_KNOWN}, with the shape of that version"
    bench.report.expect("initialize.version-newer", known and shape, expected=expected, seen=seen)
