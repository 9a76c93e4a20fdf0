"""The process in the middle: copies lines both ways and shows each just before it passes.

A thread reads each direction and blocks where its receiver is slow, so neither side notices that
somebody listens. The end of stdin, SIGTERM and the exit code are passed on too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, cast

from punie.acp.errors import AgentStartError
from punie.acp.inspect.lines import Describer
from punie.acp.recording import Recorder, Sender

_LAST_WORDS = 1.0
"""Seconds for what an agent said last, when a child of it still holds its stdout."""


class _Witness:
    """Shows frames on stderr, and writes them down when there is a file for it."""

    def __init__(self, record: IO[bytes] | None) -> None:
        self._began = time.monotonic()
        self._describer = Describer()
        self._recorder = Recorder(record) if record is not None else None
        self._lock = threading.Lock()

    def saw(self, sender: Sender, frame: bytes) -> None:
        if not frame.strip():
            return
        with self._lock:
            at = time.monotonic() - self._began
            sys.stderr.write(self._describer.line(sender, frame, at) + "\n")
            sys.stderr.flush()
            if self._recorder is not None:
                self._recorder(sender, frame)


def _copy(source: IO[bytes], target: IO[bytes], sender: Sender, witness: _Witness) -> None:
    """Pass lines on until either end is gone, then close the target."""
    try:
        while line := source.readline():
            witness.saw(sender, line.removesuffix(b"\n"))
            target.write(line)
            target.flush()
    except (BrokenPipeError, ValueError):  # the receiver, or the recording, is gone
        pass
    finally:
        with suppress(BrokenPipeError):
            target.close()


def inspect(command: Sequence[str], *, record: Path | None = None) -> int:
    """Run an agent on this process's stdin and stdout and show what passes on stderr.

    Args:
        command: Program and arguments of the agent.
        record: A file for a recording of everything that passes.

    Returns:
        The agent's exit code; 128 and the number of a signal that ended it.

    Raises:
        AgentStartError: The program cannot be started.
        OSError: The recording cannot be written.
    """
    with record.open("wb") if record is not None else nullcontext() as file:
        try:
            agent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise AgentStartError(command[0], error.strerror or str(error)) from error
        signal.signal(signal.SIGTERM, lambda _number, _frame: agent.terminate())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the agent as well
        code = _pass_on(agent, _Witness(file))
    return code if code >= 0 else 128 - code


def _pass_on(agent: subprocess.Popen[bytes], witness: _Witness) -> int:
    """Copy both ways until the agent has ended."""
    to_agent, from_agent = cast("IO[bytes]", agent.stdin), cast("IO[bytes]", agent.stdout)
    # Objects of its own: a thread that still reads sys.stdin makes Python abort when it exits.
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    down = threading.Thread(target=_copy, args=(stdin, to_agent, "client", witness), daemon=True)
    up = threading.Thread(target=_copy, args=(from_agent, stdout, "agent", witness), daemon=True)
    down.start()
    up.start()
    code = agent.wait()
    up.join(_LAST_WORDS)
    return code
