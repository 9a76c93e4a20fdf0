"""Agents of any make, started as commands: `--agent NAME=COMMAND` and `[tool.punie.agents]`.

A project that was only cloned starts nothing: its commands count where the person trusts its folder.
An agent's stderr goes to a file of its own next to the hub's database.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from punie.acp.process import start_child
from punie.acp.transports.base import Transport
from punie.http.config import AgentCommand, person_path
from punie.http.errors import SettingError

log = structlog.get_logger()

LOG_LIMIT = 1024 * 1024
"""Bytes of an agent's old log above which it is begun anew."""


class _Permissions(Struct, frozen=True):
    trust: tuple[str, ...] = ()


class _Person(Struct, frozen=True):
    """What counts here of the person's own settings."""

    permissions: _Permissions = _Permissions()


def parse(text: str) -> AgentCommand:
    """Read `NAME=COMMAND`.

    Raises:
        SettingError: It is not of that form.

    Example:
        >>> parse("gemini=gemini --acp").command
        ('gemini', '--acp')
    """
    name, found, command = text.partition("=")
    if not found or not name.strip() or not command.strip():
        raise SettingError(f"--agent takes NAME=COMMAND, such as gemini='gemini --acp', not {text}")
    return AgentCommand(name=name.strip(), command=tuple(_split(command, name.strip())))


def configured(folder: Path) -> list[AgentCommand]:
    """The agents of a project: the table `[tool.punie.agents]` of its pyproject.toml.

    Args:
        folder: The project's.

    Returns:
        None of them, with a warning in the log, where the person does not trust the folder.

    Raises:
        SettingError: The table is not one of texts.
    """
    path = folder / "pyproject.toml"
    agents: Any = _read(path).get("tool", {}).get("punie", {}).get("agents", {})
    if not isinstance(agents, dict):
        raise SettingError(f'{path}: [tool.punie.agents] is a table of NAME = "COMMAND"')
    commands: list[AgentCommand] = []
    for name, command in agents.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(command, str):
            raise SettingError(f'{path}: [tool.punie.agents] has no text for {name}: "COMMAND"')
        commands.append(AgentCommand(name=str(name), command=tuple(_split(command, str(name)))))  # pyright: ignore[reportUnknownArgumentType]
    if commands and not _trusted(folder):
        hint = f"put {str(folder)!r} into permissions.trust of {person_path()}, or use --agent"
        log.warning("a project's agents are not started: it is not trusted", hint=hint)
        return []
    return commands


def _trusted(folder: Path) -> bool:
    path = person_path()
    try:
        trust = msgspec.convert(_read(path), _Person).permissions.trust
    except msgspec.ValidationError as error:
        raise SettingError(f"{path}: {error}") from error
    named = [Path.home() / one.removeprefix("~/") for one in trust if one]
    return any(folder.resolve().is_relative_to(one.resolve()) for one in named)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {error}") from error


def _split(command: str, name: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise SettingError(f"the command of the agent {name} cannot be read: {error}") from error


@asynccontextmanager
async def open_command(command: AgentCommand, *, logs: Path) -> AsyncGenerator[Transport, None]:
    """Start an agent and connect to it; leaving ends it and all that it started.

    Args:
        command: What to start.
        logs: The folder for its stderr.

    Raises:
        AgentStartError: It cannot be started.
    """
    handle = await asyncio.to_thread(_open_log, logs, command.name)
    try:
        async with start_child(command.command, cwd=command.cwd, stderr=handle) as transport:
            yield transport
    finally:
        os.close(handle)


def _open_log(folder: Path, name: str) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"agent-{''.join(c if c.isalnum() else '-' for c in name)}.log"
    fresh = path.exists() and path.stat().st_size > LOG_LIMIT
    kept = os.O_TRUNC if fresh else os.O_APPEND
    return os.open(path, os.O_WRONLY | os.O_CREAT | kept, 0o600)
