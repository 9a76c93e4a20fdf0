"""Programs in a process group of their own: captured, capped, and gone when their time is over.

A group ends as a whole: by itself, on a time-out, on cancellation, or through `kill_group`. What a
command leaves running in the background ends with it. A process that starts a session of its own
(a daemon) escapes; nothing portable holds it. Nothing here knows about workspaces or permissions.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

from punie.agent.workspaces.base import OnOutput

T = TypeVar("T")

GRACE = 0.5
"""Seconds between the polite signal and the one that cannot be refused."""

OnPid: TypeAlias = Callable[[int], None]


class Output(NamedTuple):
    """What a group printed and how its leader ended."""

    exit_code: int | None
    stdout: str
    stderr: str
    timed_out: bool
    truncated: bool


class _Capture(asyncio.SubprocessProtocol):
    """Collects both streams up to a limit each and drops the rest."""

    def __init__(self, limit: int, on_output: OnOutput | None) -> None:
        self.exited = asyncio.Event()
        self.finished = asyncio.Event()
        self.truncated = False
        self._limit = limit
        self._kept: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self._on_output = on_output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        kept = self._kept[fd]
        data = self._cut(data, self._limit - len(kept))
        kept += data
        if data and self._on_output is not None:
            text = self._decoder.decode(data)
            if text:
                self._on_output(text)

    def _cut(self, data: bytes, room: int) -> bytes:
        if len(data) > room:
            self.truncated = True
        return data[: max(0, room)]

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.finished.set()

    def text(self, fd: int) -> str:
        return self._kept[fd].decode("utf-8", "replace")


async def run_group(
    argv: Sequence[str] | str,
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    limit: int,
    merge: bool = False,
    on_output: OnOutput | None = None,
    started: OnPid,
    ended: OnPid,
) -> Output:
    """Run a program, or a shell line, and wait for the end of its whole group.

    Args:
        argv: Program and arguments, or one line for the shell.
        cwd: Where it runs.
        env: Its whole environment.
        timeout: Seconds until the group is killed.
        limit: Bytes kept of each stream; the rest is read and dropped.
        merge: Both streams as one, in `stdout`.
        on_output: Called with decoded output as it arrives.
        started: Called with the group's id once it exists.
        ended: Called with the same id when nothing of the group is left.

    Returns:
        The output. `exit_code` is negative for a signal, `None` after a time-out.

    Raises:
        OSError: The program cannot be started.
        ValueError: An argument holds a null byte.
    """
    capture = _Capture(limit, on_output)
    starting = _start(argv, capture, cwd=cwd, env=env, merge=merge)
    transport = await begun(starting, lambda unwanted: _end(unwanted, capture))
    group = transport.get_pid()
    timed_out = False
    try:
        started(group)
        async with asyncio.timeout(timeout):
            await capture.exited.wait()
    except TimeoutError:
        timed_out = True
    finally:
        await _end(transport, capture)
        ended(group)
    code = None if timed_out else transport.get_returncode()
    return Output(code, capture.text(1), capture.text(2), timed_out, capture.truncated)


async def begun(
    starting: Coroutine[Any, Any, T], undo: Callable[[T], Coroutine[Any, Any, object]]
) -> T:
    """Wait until a program has started, and let no cancellation into the start itself.

    asyncio of Python 3.11 never returns from a start that is cancelled while it connects the pipes: it
    waits for the end of pipes that were never there.

    Args:
        starting: The start.
        undo: Ends what was started for nobody.
    """
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        ending = asyncio.ensure_future(_undone(task, undo))
        while not ending.done():  # also when who waits is cancelled a second time
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([ending])
        raise


async def _undone(
    task: asyncio.Future[T], undo: Callable[[T], Coroutine[Any, Any, object]]
) -> None:
    try:
        started = await task
    except (OSError, ValueError):
        return
    await undo(started)


async def _start(
    argv: Sequence[str] | str,
    capture: _Capture,
    *,
    cwd: Path,
    env: Mapping[str, str],
    merge: bool,
) -> asyncio.SubprocessTransport:
    loop = asyncio.get_running_loop()
    stderr = asyncio.subprocess.STDOUT if merge else asyncio.subprocess.PIPE
    if isinstance(argv, str):
        transport, _ = await loop.subprocess_shell(
            lambda: capture,
            argv,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    else:
        transport, _ = await loop.subprocess_exec(
            lambda: capture,
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    return transport


async def _end(transport: asyncio.SubprocessTransport, capture: _Capture) -> None:
    """Leave nothing of the group: ask, wait for the last output, then force."""
    group = transport.get_pid()
    try:
        _signal_group(group, signal.SIGTERM)
        await _wait(capture.finished)
    finally:
        kill_group(group)
        try:
            if not capture.exited.is_set():
                await _wait(capture.exited)
        finally:  # Also when who waits is cancelled a second time.
            transport.close()


async def _wait(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(GRACE):
            await event.wait()
    except TimeoutError:
        return


def kill_group(group: int) -> None:
    """Kill every process of a group at once."""
    _signal_group(group, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal_group(group: int, number: int) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(group, number)
        else:
            os.kill(group, number)
    except (ProcessLookupError, PermissionError):
        # Nothing is left, or (macOS) only a zombie that its parent has still to collect.
        return
