"""Runs the scenarios one after the other and reports."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from punie.acp.check import ending, handshake, lines, permissions, sessions, turns
from punie.acp.check.bench import Bench, CannotGoOnError, Prompts
from punie.acp.check.report import Finding, as_json, as_text
from punie.acp.check.requirements import BY_ID
from punie.acp.check.v2 import handshake as v2_handshake
from punie.acp.check.v2 import sessions as v2_sessions
from punie.acp.check.v2 import turns as v2_turns


class Scenario(NamedTuple):
    """A story with the agent, and the requirements that it decides."""

    play: Callable[[Bench], Awaitable[None]]
    decides: tuple[str, ...]


_ALWAYS = ("wire.stdout", "wire.schema")
_SESSION = ("session.order", "capabilities.respected", *_ALWAYS)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        handshake.shake_hands,
        (
            "initialize.answer",
            "initialize.version-1",
            "initialize.version-newer",
            "initialize.repeated",
            "initialize.terminal-auth",
            *_ALWAYS,
        ),
    ),
    Scenario(
        lines.send_bad_lines,
        (
            "wire.parse-error",
            "wire.array",
            "wire.scalar",
            "wire.not-a-message",
            "wire.survives",
        ),
    ),
    Scenario(
        lines.send_odd_requests,
        ("wire.unknown-method", "wire.unknown-notification", "wire.wrong-params", "wire.ids"),
    ),
    Scenario(
        sessions.open_sessions,
        ("session.new", "session.parallel", "session.cwd", "session.unknown", *_SESSION),
    ),
    Scenario(sessions.set_options, ("session.config",)),
    Scenario(sessions.call_advertised, ("capabilities.answered",)),
    Scenario(turns.run_a_turn, ("prompt.answer", "prompt.order", *_SESSION)),
    Scenario(turns.cancel_a_turn, ("prompt.cancel", "prompt.cancel-request")),
    Scenario(turns.run_turns_at_once, ("prompt.second", "prompt.parallel")),
    Scenario(
        permissions.reject,
        ("permission.order", "permission.options", "permission.rejected"),
    ),
    Scenario(permissions.cancel_while_asking, ("permission.cancelled",)),
    Scenario(permissions.offer_nothing, ("capabilities.respected",)),
    Scenario(ending.end_stdin, ("end.eof", "end.children")),
    Scenario(ending.terminate, ("end.sigterm", "end.children")),
    Scenario(
        v2_handshake.shake_hands,
        ("v2.initialize", "v2.initialize-first", "v2.older-client", "v2.methods", *_ALWAYS),
    ),
    Scenario(
        v2_sessions.open_and_resume,
        (
            "v2.session-new",
            "v2.session-unknown",
            "v2.baseline",
            "v2.resume-state",
            "v2.resume-cursor",
            *_SESSION,
        ),
    ),
    Scenario(v2_sessions.replay, ("v2.replay",)),
    Scenario(v2_sessions.set_options, ("v2.config",)),
    Scenario(
        v2_turns.run_a_turn,
        ("v2.prompt-message", "v2.state-order", "v2.stop-reason", *_SESSION),
    ),
    Scenario(v2_turns.cancel_a_turn, ("v2.prompt-answer", "v2.cancel")),
    Scenario(
        v2_turns.reject,
        ("v2.permission", "v2.requires-action", "v2.rejected", "v2.tool-calls", *_ALWAYS),
    ),
)


async def examine(
    command: Sequence[str],
    *,
    prompts: Prompts = Prompts(),  # noqa: B008  # frozen
    timeout: float = 30.0,
    only: Sequence[str] = (),
) -> list[Finding]:
    """Hold an agent to the requirements.

    Args:
        command: Starts the agent; it is started many times.
        prompts: What is said to it.
        timeout: Seconds to wait for an answer.
        only: Ids of requirements, to play only the scenarios that decide them.

    Returns:
        One finding for each requirement that was asked for.

    Raises:
        AgentStartError: The program cannot be started.
        ValueError: An id in `only` is none.
    """
    unknown = [one for one in only if one not in BY_ID]
    if unknown:
        raise ValueError(f"there is no requirement {unknown[0]!r}")
    with tempfile.TemporaryDirectory(prefix="punie-acp-check-") as folder:
        bench = Bench(command, folder=Path(folder), prompts=prompts, timeout=timeout)
        for scenario in SCENARIOS:
            if only and not set(only) & set(scenario.decides):
                continue
            try:
                await scenario.play(bench)
            except CannotGoOnError as reason:
                bench.report.skip(scenario.decides, str(reason))
        return bench.report.verdicts(only)


def check(
    command: Sequence[str],
    *,
    prompts: Path | None = None,
    timeout: float = 30.0,
    only: Sequence[str] | None = None,
    as_json: bool = False,
) -> int:
    """Check an agent and print the report on stdout.

    Args:
        command: Starts the agent.
        prompts: A TOML file with other `Prompts`.
        timeout: Seconds to wait for an answer.
        only: Ids of requirements, in place of all.
        as_json: Print one JSON object in place of text.

    Returns:
        0 when nothing is violated, else 1.

    Raises:
        AgentStartError: The program cannot be started.
        OSError: The prompts cannot be read.
        ValueError: The prompts, or an id, are wrong.
    """
    said = Prompts() if prompts is None else read_prompts(prompts)
    verdicts = asyncio.run(examine(command, prompts=said, timeout=timeout, only=only or ()))
    show = _AS[as_json]
    sys.stdout.write(show(verdicts))
    return int(any(verdict.outcome == "violated" for verdict in verdicts))


_AS: dict[bool, Callable[[Sequence[Finding]], str]] = {True: as_json, False: as_text}


def read_prompts(path: Path) -> Prompts:
    """Read what is said to the agent.

    Raises:
        OSError: The file cannot be read.
        ValueError: It has other keys, or is no TOML.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Prompts)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}") from error
