"""What `punie ask` does: one session, one prompt, a person at the terminal or nobody.

The first Ctrl-C ends it in every phase: a turn is cancelled, what it started is killed, and the
process leaves even when some library's thread would rather finish its download.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
from msgspec import Struct

from punie.agent.cli.terminal import Terminal, ask_in_words, ask_person, plain
from punie.agent.commands import COMMANDS, Desk, prompt
from punie.agent.errors import PunieError
from punie.agent.events import AgentMessageChunk, AnyEvent
from punie.agent.permissions.gate import Ask, PermissionAnswer, PermissionAsk
from punie.agent.permissions.policy import Mode
from punie.agent.runtime import Runtime
from punie.agent.turns.outcome import TurnOutcome

CANCELLED = 130


class Question(Struct, frozen=True, kw_only=True):
    """What the command line asked."""

    prompt: str
    model: str | None
    cwd: Path
    mode: str | None
    yes: bool
    as_json: bool


class _ReaderGoneError(Exception):
    """Nobody reads stdout any more."""


def run(question: Question) -> int:
    """Answer a question.

    Returns:
        The exit code.

    Raises:
        PunieError: The settings cannot be used, or there is no answer; it knows its exit code.
    """
    try:
        outcome = asyncio.run(_answer(question))
    except _ReaderGoneError:
        _silence_stdout()
        return 0
    if outcome.stop_reason == "error":
        raise _failure(outcome)
    return outcome.exit_code


async def _answer(question: Question) -> TurnOutcome:
    runtime = Runtime(model=question.model)
    try:
        session = runtime.open_session(question.cwd, mode=cast("Mode | None", question.mode))
        writer = _Writer(question.as_json)
        terminal = writer.terminal

        async def listen(event: AnyEvent) -> None:
            try:
                writer.see(event)
            except BrokenPipeError:
                writer.broken = True
                session.cancel()

        session.attach(listen, asker=_asker(question, terminal))
        _on_interrupt(session.cancel)
        outcome = await prompt(Desk(session, runtime), question.prompt, COMMANDS)
        terminal.clear()
        if writer.broken:
            raise _ReaderGoneError
        writer.finish(outcome)
        if outcome.stop_reason == "cancelled":
            terminal.line("cancelled")
        if outcome.denied and not _can_answer(question):
            terminal.line("nobody can answer here: --yes allows what is asked, --mode edit edits")
    except BrokenPipeError:
        raise _ReaderGoneError from None
    finally:
        await runtime.aclose()
    if outcome.stop_reason == "cancelled":
        _leave(CANCELLED)
    return outcome


def _on_interrupt(cancel: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":  # no loop of Windows takes signal handlers
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(cancel))
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, cancel)


def _asker(question: Question, terminal: Terminal) -> Ask | None:
    if not _can_answer(question):
        return None

    async def ask(permission: PermissionAsk) -> PermissionAnswer:
        if permission.about == "question":  # which --yes does not answer
            if _somebody_reads():
                return await ask_in_words(permission, terminal)
            return PermissionAnswer(outcome="unanswerable")
        if question.yes:
            return await _allow_once(permission)
        return await ask_person(permission, terminal)

    return ask


def _can_answer(question: Question) -> bool:
    return question.yes or _somebody_reads()


def _somebody_reads() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


async def _allow_once(permission: PermissionAsk) -> PermissionAnswer:
    if permission.about == "loop":  # --yes allows calls, not circles without an end
        return PermissionAnswer(outcome="unanswerable")
    for option in permission.options:
        if option.kind == "allow_once":
            return PermissionAnswer(outcome="allowed", option_id=option.option_id)
    return PermissionAnswer(outcome="unanswerable")


class _Writer:
    """Writes events: text to stdout as it comes, the rest to the terminal's stderr."""

    def __init__(self, as_json: bool) -> None:
        self.broken = False
        self.terminal = Terminal(sys.stderr, before=self._make_room)
        self._as_json = as_json
        self._message_id = ""
        self._newline = True

    def see(self, event: AnyEvent) -> None:
        self.terminal.see(event)
        if self._as_json:
            _write_line(event)
        elif isinstance(event, AgentMessageChunk):
            self._write_text(event)

    def finish(self, outcome: TurnOutcome) -> None:
        if self._as_json:
            _write_line(
                {
                    "type": "result",
                    "stop_reason": outcome.stop_reason,
                    "text": outcome.text,
                    "tool_calls": outcome.tool_calls,
                    "usage": outcome.usage,
                }
                | ({"error": outcome.error} if outcome.error else {})
            )
        elif not self._newline:
            sys.stdout.write("\n")
            sys.stdout.flush()
        if outcome.stop_reason in {"max_tokens", "max_turn_requests", "refusal"}:
            self.terminal.line(f"stopped: {outcome.stop_reason}")

    def _make_room(self) -> None:
        """End the line of the answer: what stderr writes would stand in it, or take it away."""
        if not self._newline and sys.stdout.isatty():
            self._newline = True
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _write_text(self, event: AgentMessageChunk) -> None:
        self.terminal.clear()
        if self._message_id != event.message_id and not self._newline:
            sys.stdout.write("\n")
        self._message_id = event.message_id
        # A file takes the answer as it is; a terminal must not obey it.
        sys.stdout.write(plain(event.text) if sys.stdout.isatty() else event.text)
        sys.stdout.flush()
        self._newline = event.text.endswith("\n")


def _write_line(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def _failure(outcome: TurnOutcome) -> PunieError:
    error = PunieError(outcome.error)
    error.exit_code = outcome.error_code
    return error


def _silence_stdout() -> None:
    # Python would complain when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(code: int) -> None:
    """End the process now: threads that load a model cannot be asked to stop."""
    import threading

    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
