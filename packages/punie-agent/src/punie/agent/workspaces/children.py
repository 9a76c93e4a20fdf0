"""Programs that stay: started once, spoken to over their pipes, gone with their whole group.

For language servers and servers of tools. What they write to their error stream is read, so that
they never block, and only its end is kept. Nothing here knows what is spoken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from punie.agent.workspaces.processes import GRACE, OnPid, begun, kill_group

KEPT = 2_000
"""Characters kept of the error stream: the last ones say why it ended."""
LONGEST_TALK = 8 * 1024 * 1024
"""Bytes kept of what it answers to one input."""
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes that one line of its output may have."""


class Child:
    """A running program with its pipes."""

    def __init__(self, process: asyncio.subprocess.Process, ended: OnPid) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a child needs all three pipes")
        self.stdin: asyncio.StreamWriter = process.stdin
        self.stdout: asyncio.StreamReader = process.stdout
        self.pid: int = process.pid
        """Also the id of its process group."""
        self._process = process
        self._ended = ended
        self._complaints = ""
        self._listening = asyncio.ensure_future(self._listen(process.stderr))

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def last_words(self) -> str:
        """The last line of its error stream that is not blank."""
        lines = [line.strip() for line in self._complaints.splitlines()]
        return next((line for line in reversed(lines) if line), "")[:300]

    async def talk(self, data: bytes, *, timeout: float) -> bytes:
        """Give it all of its input and take its output until it ends that.

        Args:
            data: The input.
            timeout: Seconds that this may take.

        Returns:
            The output; what is beyond `LONGEST_TALK` is dropped.

        Raises:
            TimeoutError: It took longer.
            OSError: It does not listen.
        """
        output = bytearray()
        try:
            async with asyncio.timeout(timeout):
                self.stdin.write(data)
                self.stdin.close()
                while piece := await self.stdout.read(65_536):
                    if len(output) < LONGEST_TALK:
                        output += piece
        except TimeoutError:
            self.kill()  # Who took too long gets no time to say goodbye.
            raise
        return bytes(output)

    def kill(self) -> None:
        """Kill the whole group at once."""
        kill_group(self.pid)

    async def aclose(self, *, patience: float = 0.0) -> int | None:
        """End it: no more input, time to leave by itself, then force.

        Args:
            patience: Seconds it has to leave by itself.

        Returns:
            Its exit code, negative for a signal.
        """
        try:
            self.stdin.close()
            if patience and self.running:
                async with asyncio.timeout(patience):
                    await self._process.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()
            await self._gone()
        return self._process.returncode

    async def _gone(self) -> None:
        """Wait until it is gone: it was killed, so this takes no time worth a limit of its own."""
        ending = asyncio.ensure_future(self._process.wait())
        await asyncio.wait([ending, self._listening], timeout=GRACE)
        self._listening.cancel()
        await asyncio.wait([self._listening])
        self._ended(self.pid)

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while piece := await stderr.read(65_536):
            self._complaints = (self._complaints + piece.decode("utf-8", "replace"))[-KEPT:]


async def start_child(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    started: Callable[[int], None],
    ended: OnPid,
) -> Child:
    """Start a program in a process group of its own.

    Args:
        argv: Program and arguments.
        cwd: Where it runs.
        env: Its whole environment.
        started: Called with the group's id.
        ended: Called with the same id when it was closed.

    Raises:
        OSError: It cannot be started.
    """
    pipe = asyncio.subprocess.PIPE
    starting = asyncio.create_subprocess_exec(
        *argv,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=cwd,
        env=env,
        limit=LONGEST_LINE,
        start_new_session=True,
    )
    process = await begun(starting, _killed)
    started(process.pid)
    return Child(process, ended)


async def _killed(process: asyncio.subprocess.Process) -> None:
    kill_group(process.pid)
    await process.wait()
