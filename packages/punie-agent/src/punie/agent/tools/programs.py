"""What the tools that run a program of the project have in common: targets and clear failures."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, kind, missing
from punie.agent.tools.shell import signal_name
from punie.agent.workspaces.base import ProcessResult


class Target(NamedTuple):
    """The file or folder that a program is pointed at."""

    path: Path
    shown: str
    error: str = ""


async def locate(call: Call, path: str) -> Target:
    """Resolve what the model named; the error says what is there instead when it is missing."""
    found = call.workspace.resolve(path)
    shown = display(call.workspace, found)
    if await asyncio.to_thread(kind, found) != "missing":
        return Target(found, shown)
    return Target(found, shown, await asyncio.to_thread(missing, call.workspace, found))


def not_installed(program: str) -> str:
    """Say that a development tool is missing and how to add it."""
    return f"{program} is not installed in the project's environment: uv add --dev {program}"


def stopped(program: str, result: ProcessResult, timeout: float) -> str:
    """Say why a program's output is no use; empty when it ended by itself and is whole."""
    if result.timed_out:
        return f"{program} did not end within {timeout:g} s and was stopped: name a smaller path"
    if result.truncated:
        return f"{program} printed too much to read: name a smaller path"
    if result.exit_code is not None and result.exit_code < 0:
        return f"{program} was ended by {signal_name(-result.exit_code)}"
    return ""


def unexplained(program: str, result: ProcessResult) -> str:
    """Say that a program failed, in its own words where it has some."""
    lines = [line.strip() for line in (result.stderr or result.stdout).splitlines()]
    words = next((line for line in lines if line), "")
    return f"{program} failed with exit code {result.exit_code}" + (
        f": {words[:300]}" if words else ""
    )
