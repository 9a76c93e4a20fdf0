"""A command that runs on this machine, as a terminal that a client shows live.

Version 2 has terminals of the agent. In version 1 some clients understand the same in `_meta`: a tool
call shows a terminal, and its updates say what was printed. Where a client has terminals of its own,
commands run in those; any other client gets the end of the output as text, as the events have it.

Source:
    The keys are those of Zed (`terminal_output`) and JetBrains Air (`terminal_output_delta`), as
    claude-agent-acp writes them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from msgspec import UNSET
from msgspec.structs import replace

from punie.acp.agent_side import DualClientProxy
from punie.acp.schema import v2
from punie.agent.events import TextContent, ToolCallUpdate

Style: TypeAlias = Literal["none", "terminal", "terminal_output", "terminal_output_delta"]
"""`terminal` is that of version 2, the others are keys of `_meta`."""
_ENDED = {"completed", "failed", "cancelled"}


def style_of(client: DualClientProxy) -> Style:
    """Find out what a client understands.

    Args:
        client: It has said what it can do.
    """
    if client.v1 is None:
        return "terminal"
    meta = client.v1.capabilities.meta or {}
    if client.v1.capabilities.terminal:
        return "none"
    if meta.get("terminal_output_delta") is True:
        return "terminal_output_delta"
    return "terminal_output" if meta.get("terminal_output") is True else "none"


_Said: TypeAlias = dict[str, dict[str, Any]]
"""By key of `_meta`."""


class _Command(NamedTuple):
    line: str
    cwd: str


class Terminals:
    """The commands of one session, for one client."""

    def __init__(self, style: Style, client: DualClientProxy | None = None) -> None:
        """Begin.

        Args:
            style: From `style_of`.
            client: Told which terminals are its to show.
        """
        self._style = style
        self._client = client
        self._commands: dict[str, _Command] = {}
        self._running: set[str] = set()

    def put_into(self, update: v2.ToolCallUpdate, event: ToolCallUpdate) -> list[v2.SessionUpdate]:
        """Write an event of a call with its terminal, if it has one.

        Args:
            update: As it is written without a terminal.
            event: What happened.

        Returns:
            What is told, in order.
        """
        call_id = event.tool_call_id
        if self._style == "none":
            return [update]
        if event.status in _ENDED:
            began = call_id in self._running
            self._running.discard(call_id)
            self._commands.pop(call_id, None)
            return self._ended(update, event) if began else [update]
        if (begun := _command(event)) is not None:
            self._commands[call_id] = begun
        command = self._commands.get(call_id)
        if command is None:
            return [update]
        if call_id not in self._running:
            return self._begun(update, event, command)
        return [update if event.printed is UNSET else self._printed(update, event.printed)]

    def _begun(
        self, update: v2.ToolCallUpdate, event: ToolCallUpdate, command: _Command
    ) -> list[v2.SessionUpdate]:
        """Begin a terminal: with the call in version 1, with the command in version 2."""
        so_far = "".join(one.text for one in _texts(event))  # for whoever comes in the middle
        if self._style != "terminal":
            self._running.add(update.tool_call_id)
            said: _Said = {"terminal_info": {"cwd": command.cwd}}
            return [self._shown(update, said | ({self._style: {"data": so_far}} if so_far else {}))]
        if event.status != "in_progress":
            return [update]
        terminal_id = update.tool_call_id
        self._running.add(terminal_id)
        begun = v2.TerminalUpdate(
            terminal_id=terminal_id,
            command=command.line,
            cwd=command.cwd,
            output=v2.TerminalOutput(data=_base64(so_far)) if so_far else UNSET,
        )
        return [begun, replace(update, content=_terminal(terminal_id))]

    def _printed(self, update: v2.ToolCallUpdate, text: str) -> v2.SessionUpdate:
        if self._style == "terminal":
            return v2.TerminalOutputChunk(terminal_id=update.tool_call_id, data=_base64(text))
        return self._shown(update, {self._style: {"data": text}})

    def _ended(self, update: v2.ToolCallUpdate, event: ToolCallUpdate) -> list[v2.SessionUpdate]:
        result = cast("dict[str, Any]", event.raw_output) if event.raw_output else {}
        code = result.get("exit_code")
        code = code if isinstance(code, int) and code >= 0 else None
        head = _headline(event)
        if self._style != "terminal":
            said: _Said = {"terminal_exit": {"exit_code": code, "signal": None}}
            return [self._shown(update, said, head)]
        ended = v2.TerminalUpdate(
            terminal_id=update.tool_call_id, exit_status=v2.TerminalExitStatus(exit_code=code)
        )
        return [ended, replace(update, content=[*_terminal(update.tool_call_id), *head])]

    def _shown(
        self,
        update: v2.ToolCallUpdate,
        said: _Said,
        head: Sequence[v2.ToolCallContent] = (),
    ) -> v2.ToolCallUpdate:
        terminal_id = update.tool_call_id
        if self._client is not None and self._client.v1 is not None:
            self._client.v1.terminals.add(terminal_id)
        meta = {key: {"terminal_id": terminal_id} | more for key, more in said.items()}
        return replace(update, content=[*_terminal(terminal_id), *head], meta=meta)


def _command(event: ToolCallUpdate) -> _Command | None:
    """Read what a call runs; `None` for an event that does not tell, or a call that runs nothing."""
    given: Any = event.raw_input
    if event.kind != "execute" or not isinstance(given, dict):
        return None
    line = cast("dict[str, Any]", given).get("command")
    places = () if event.locations is UNSET else event.locations
    return _Command(line, places[0].path if places else "") if isinstance(line, str) else None


def _terminal(terminal_id: str) -> list[v2.ToolCallContent]:
    return [v2.Terminal(terminal_id=terminal_id)]


def _headline(event: ToolCallUpdate) -> list[v2.ToolCallContent]:
    """Give the first line of the result: what follows it, the terminal shows."""
    heads = [one.text.partition("\n")[0] for one in _texts(event)]
    return [v2.Content(content=v2.TextContent(text=head)) for head in heads[:1]]


def _texts(event: ToolCallUpdate) -> list[TextContent]:
    content = () if event.content is UNSET else event.content
    return [one for one in content if isinstance(one, TextContent)]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()
