"""The end: stdin ends or SIGTERM comes, and the agent goes with everything it started."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from punie.acp.check.bench import QUICK, Bench, wait_text
from punie.acp.check.peer import Peer
from punie.acp.check.turns import begin_long

_AIM = 0.5
"""Seconds in which a good agent is gone."""
_LINGER = 0.5
"""Seconds that a child may take to follow."""
_LOOKS = 20


async def end_stdin(bench: Bench) -> None:
    """Close the agent's stdin after a turn."""
    async with bench.greeted() as peer:
        session_id = await bench.open_session(peer)
        await peer.ask("session/prompt", bench.turn(session_id, bench.prompts.short))
        await _end(bench, peer, "end.eof", peer.close_stdin)


async def terminate(bench: Bench) -> None:
    """Send SIGTERM in the middle of a turn."""
    async with bench.greeted() as peer:
        session_id = await bench.open_session(peer)
        await begin_long(bench, peer, session_id)
        await _end(bench, peer, "end.sigterm", peer.process.terminate)


async def _end(bench: Bench, peer: Peer, requirement: str, tell: Callable[[], None]) -> None:
    pid = peer.process.pid
    children = _descendants(pid)
    began = time.monotonic()
    tell()
    expected = f"the process is gone within {_AIM:g} s, at most {QUICK:g} s"
    try:
        code = await asyncio.wait_for(peer.process.wait(), QUICK)
    except TimeoutError:
        seen = f"it still ran after {QUICK:g} s"
        bench.report.expect(requirement, False, expected=expected, seen=seen)
        return
    seen = f"gone after {wait_text(time.monotonic() - began)}, exit code {code}"
    bench.report.expect(requirement, True, expected=expected, seen=seen)

    left = _left(pid, children)
    for _ in range(_LOOKS):
        if not left:
            break
        await asyncio.sleep(_LINGER / _LOOKS)
        left = _left(pid, children)
    seen = f"{len(children)} before, {len(left)} after"
    expected = f"no child {_LINGER:g} s after the agent"
    bench.report.expect("end.children", not left, expected=expected, seen=seen)


class _Process:
    """A line of /proc/PID/stat."""

    def __init__(self, stat: str) -> None:
        head, _, tail = stat.rpartition(")")
        fields = tail.split()
        self.pid = int(head.split()[0])
        self.running = fields[0] not in "ZX"
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.started = fields[19]


def _processes() -> list[_Process]:
    """All that run; none where there is no /proc."""
    found: list[_Process] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            process = _Process(stat.read_text("utf-8", errors="replace"))
        except (FileNotFoundError, ProcessLookupError):  # pragma: no cover - it ended just now
            continue
        if process.running:  # pragma: no branch - whether some process has just ended is chance
            found.append(process)
    return found


def _descendants(pid: int) -> dict[int, str]:
    """Pid and start of everything below a process, whatever group it moved to."""
    processes = _processes()
    known = {pid}
    below: dict[int, str] = {}
    grew = True
    while grew:
        more = [one for one in processes if one.parent in known and one.pid not in known]
        known |= {one.pid for one in more}
        below |= {one.pid: one.started for one in more}
        grew = bool(more)
    return below


def _left(group: int, children: dict[int, str]) -> list[int]:
    """Who of the children, or of the agent's process group, still runs."""
    if not sys.platform.startswith("linux"):
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [group]
    return [
        one.pid
        for one in _processes()
        if one.group == group or children.get(one.pid) == one.started
    ]
