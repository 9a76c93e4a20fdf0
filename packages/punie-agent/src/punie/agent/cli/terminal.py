"""What a person sees on stderr: tool calls as short lines, progress in one line, questions with diffs.

Without a terminal there is no progress and nobody to ask; the tool lines remain. What a model wrote
cannot move the cursor or rewrite a question: control characters are spelled out.
"""

from __future__ import annotations

import asyncio
import difflib
import re
import shutil
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from msgspec import UNSET, UnsetType

from punie.agent.events import (
    AnyEvent,
    CompactionUpdate,
    DiffContent,
    FilesChanged,
    Notice,
    Progress,
    TextContent,
    ToolCallUpdate,
    ToolContent,
    UsageUpdate,
)
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey, or show in another order than it runs."""
MARKS = {"completed": "✓", "failed": "✗", "cancelled": "-"}


class Terminal:
    """Writes lines for a person."""

    def __init__(self, stream: TextIO, *, before: Callable[[], None] | None = None) -> None:
        """Set up.

        Args:
            stream: Where it writes.
            before: Called before anything is written, to end a line that another stream began.
        """
        self._stream = stream
        self._before = before
        self._live = stream.isatty()
        self._shown = False
        self._titles: dict[str, str] = {}
        self._diffs: dict[str, tuple[DiffContent, ...]] = {}

    def see(self, event: AnyEvent) -> None:
        """Show an event, when it is one that a person wants to see."""
        match event:
            case ToolCallUpdate():
                self._tool(event)
            case Progress():
                self._progress(event)
            case FilesChanged():
                self.line(event.headline())
            case Notice(title=title, description=description):
                self.line(f"{title}. {description}" if description else title)
            case UsageUpdate(input_tokens=read) if read:
                new = read - event.cached_tokens
                self.line(
                    f"{new} new and {event.cached_tokens} cached tokens in, {event.output_tokens} out"
                )
            case CompactionUpdate(status="completed"):
                self.line("the conversation was shortened to make room")
            case _:
                pass

    def line(self, text: str) -> None:
        """Write a line."""
        self.clear()
        self._write(plain(text) + "\n")

    def clear(self) -> None:
        """Take away the progress line."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    def prompt(self, text: str) -> None:
        """Write a question without ending its line."""
        self.clear()
        self._write(plain(text))

    def changes(self, tool_call_id: str) -> None:
        """Show what a call would change, file by file."""
        for diff in self._diffs.get(tool_call_id, ()):
            old = (diff.old_text or "").splitlines()
            new = diff.new_text.splitlines()
            before = "/dev/null" if diff.old_text is None else diff.path
            for line in difflib.unified_diff(old, new, before, diff.path, lineterm=""):
                self.line(line)

    def _tool(self, event: ToolCallUpdate) -> None:
        if not isinstance(event.title, UnsetType):
            self._titles[event.tool_call_id] = event.title
        title = self._titles.get(event.tool_call_id, event.tool_call_id)
        if not isinstance(event.content, UnsetType):
            diffs = tuple(item for item in event.content if isinstance(item, DiffContent))
            self._diffs[event.tool_call_id] = diffs
        if event.status is UNSET or event.status == "pending":
            return
        if event.status == "in_progress":
            self._temporary(f"… {title}")
            return
        head = _first_line(event.content)
        self.line(f"{MARKS[event.status]} {title}" + (f": {head}" if head else ""))

    def _progress(self, event: Progress) -> None:
        if event.total:
            share = f"{100 * event.done // event.total} %"
        else:
            share = f"{event.done} {event.unit}".rstrip()
        self._temporary(f"{event.what} {share}")

    def _temporary(self, text: str) -> None:
        if not self._live:
            return
        width = shutil.get_terminal_size().columns - 1
        self._write("\r\x1b[K" + plain(text)[:width])
        self._shown = True

    def _write(self, text: str) -> None:
        if self._before is not None:
            self._before()
        self._stream.write(text)
        self._stream.flush()


def plain(text: str) -> str:
    """Spell out what a terminal would obey; line breaks and tabs stay."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def _first_line(content: tuple[ToolContent, ...] | UnsetType) -> str:
    if isinstance(content, UnsetType):
        return ""
    for item in content:
        if isinstance(item, TextContent):
            return item.text.partition("\n")[0][:200]
    return ""


async def ask_person(permission: PermissionAsk, terminal: Terminal) -> PermissionAnswer:
    """Ask the person at the terminal, as long as it takes.

    Args:
        permission: The question and its options.
        terminal: Where it is asked; the answer comes from stdin.

    Returns:
        The chosen option; end of input answers nothing.
    """
    options = list(permission.options)
    terminal.changes(permission.tool_call_id)
    choices = ", ".join(f"{number} {option.name}" for number, option in enumerate(options, 1))
    while True:
        terminal.prompt(f"? {permission.title} ({permission.reason})\n  {choices}: ")
        line = await _read_line()
        if not line:
            return PermissionAnswer(outcome="unanswerable")
        answer = line.strip()
        if answer.isdigit() and 1 <= int(answer) <= len(options):
            option = options[int(answer) - 1]
            allowed = option.kind in {"allow_once", "allow_always"}
            return PermissionAnswer(
                outcome="allowed" if allowed else "rejected", option_id=option.option_id
            )


async def ask_in_words(question: PermissionAsk, terminal: Terminal) -> PermissionAnswer:
    """Ask the person what the model wants to know; an empty line answers nothing.

    Args:
        question: The question, with the answers to choose from if there are some.
        terminal: Where it is asked; the answer comes from stdin.

    Returns:
        What was written, or the option whose number was.
    """
    terminal.line(f"? {question.title}")
    for number, option in enumerate(question.options, 1):
        terminal.line(f"  {number} {option.name}")
    terminal.prompt("  a number, or other words: " if question.options else "  ")
    line = await _read_line()
    if not line:
        return PermissionAnswer(outcome="unanswerable")
    words = line.strip()
    if words.isdigit() and 1 <= int(words) <= len(question.options):
        option = question.options[int(words) - 1]
        return PermissionAnswer(outcome="allowed", option_id=option.option_id)
    return PermissionAnswer(outcome="answered" if words else "rejected", text=words)


async def _read_line() -> str:
    """Read a line from stdin in a thread that may be left waiting."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        line = sys.stdin.readline()
        loop.call_soon_threadsafe(lambda: answer.done() or answer.set_result(line))

    threading.Thread(target=read, daemon=True).start()
    return await answer
