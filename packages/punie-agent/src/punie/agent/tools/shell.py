"""Running what the model wrote: `run_command`."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, kind, missing
from punie.agent.tools.results import Result
from punie.agent.workspaces.base import Workspace

TIMEOUT = 120.0
"""Seconds."""
_HEAD, _TAIL = 2_000, 4_000
"""Characters of a long output that `details` shows: the end tells more than the start."""


class RunCommand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `run_command`."""

    command: str
    cwd: str = "."


class CommandOutcome(Result, frozen=True, kw_only=True, omit_defaults=True):
    """How a command ended and what it printed."""

    exit_code: int | None = None
    """Negative for a signal; `None` when it was stopped."""
    output: str = ""
    """Both streams."""
    seconds: float = 0.0
    truncated: bool = False
    """Output beyond the workspace's limit was dropped."""

    def headline(self) -> str:
        """Such as `exit code 0 in 0.2 s`."""
        if self.error:
            return self.error
        if self.exit_code is not None and self.exit_code < 0:
            return f"ended by {signal_name(-self.exit_code)} after {seconds(self.seconds)}"
        return f"exit code {self.exit_code} in {seconds(self.seconds)}"

    def details(self) -> str:
        """The output; the middle of a long one is left out."""
        text = self.output.rstrip("\n")
        if self.truncated:
            text += "\n[more output was dropped]"
        left_out = len(text) - _HEAD - _TAIL
        if left_out <= 0:
            return text
        return f"{text[:_HEAD]}\n[{left_out} characters left out]\n{text[-_TAIL:]}"


async def run_command(call: Call, args: RunCommand, *, timeout: float = TIMEOUT) -> CommandOutcome:
    """Run a shell command and wait for its end; what it leaves in the background ends with it."""
    if not args.command.strip():
        return CommandOutcome(ok=False, error="the command is empty")
    cwd = call.workspace.resolve(args.cwd)
    if error := await asyncio.to_thread(_no_folder, call.workspace, cwd):
        return CommandOutcome(ok=False, error=error)
    start = time.monotonic()
    result = await call.workspace.run_command(
        args.command, cwd=cwd, timeout=timeout, on_output=call.on_output
    )
    error = ""
    if result.timed_out:
        error = f"the command did not end within {timeout:g} s and was stopped"
    return CommandOutcome(
        ok=result.exit_code == 0 and not error,
        error=error,
        exit_code=result.exit_code,
        output=result.output,
        seconds=round(time.monotonic() - start, 2),
        truncated=result.truncated,
    )


def _no_folder(workspace: Workspace, path: Path) -> str:
    what = kind(path)
    if what == "missing":
        return missing(workspace, path)
    return "" if what == "folder" else f"{display(workspace, path)} is not a folder"


def seconds(value: float) -> str:
    """Write a duration with the digits that matter: `0.04 s`, `0.8 s`, `12.3 s`."""
    return f"{value:.2f} s" if value < 0.1 else f"{value:.1f} s"


def signal_name(number: int) -> str:
    """Name a signal, such as `signal 9 (SIGKILL)`."""
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
