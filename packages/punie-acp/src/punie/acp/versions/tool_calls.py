"""The tool calls and terminals of one session of version 2, written for a client of version 1.

Version 1 tells a call's first appearance from its changes, appends nothing, and has no terminals of
the agent: a call's content is sent whole after each change, and what an agent's terminal printed is
part of it as text. A terminal that the client made for the agent stays a terminal.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container
from typing import Any, Final, assert_never

from msgspec import UNSET, Struct, UnsetType

from punie.acp.schema import v1, v2
from punie.acp.versions.content import content_to_v1
from punie.acp.versions.diffs import diff_to_v1, fenced

_KINDS: Final = frozenset({
    "read",
    "edit",
    "delete",
    "move",
    "search",
    "execute",
    "think",
    "fetch",
    "switch_mode",
    "other",
})
_STATUSES: Final[dict[str, v1.ToolCallStatus]] = {
    "pending": "pending",
    "in_progress": "in_progress",
    "paused": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}


class _Call(Struct):
    """What the client knows of a call."""

    title: str
    kind: Any = None
    status: Any = None
    content: list[v2.ToolCallContent] = []
    locations: list[v1.ToolCallLocation] | None = None
    raw_input: Any = None


class _Terminal(Struct):
    command: str = ""
    output: bytes = b""
    ended: str = ""

    def text(self) -> str:
        command = f"$ {self.command}\n" if self.command else ""
        return f"{command}{self.output.decode(errors='replace')}{self.ended}"


class ToolCalls:
    """Writes the calls of one session.

    Args:
        client_terminals: The ids of those that the client made.
    """

    def __init__(self, client_terminals: Container[str]) -> None:
        self._client_terminals = client_terminals
        self._calls: dict[str, _Call] = {}
        self._terminals: dict[str, _Terminal] = {}

    def update(self, patch: v2.ToolCallPatch) -> v1.ToolCall | v1.ToolCallUpdate | None:
        """Write an upsert; `None` when version 1 cannot show what changed."""
        call = self._calls.get(patch.tool_call_id)
        known = call is not None
        if call is None:
            call = self._calls[patch.tool_call_id] = _Call(title=patch.tool_call_id)
        fields = self._apply(call, patch)
        if known and not fields:
            return None
        fields["meta"] = patch.meta or None
        if not known:
            fields.setdefault("title", call.title)
            return v1.ToolCall(tool_call_id=patch.tool_call_id, **fields)
        return v1.ToolCallUpdate(tool_call_id=patch.tool_call_id, **fields)

    def chunk(self, chunk: v2.ToolCallContentChunk) -> v1.ToolCall | v1.ToolCallUpdate | None:
        """Write more content of a call: the whole of it, since version 1 appends nothing."""
        call = self._calls.get(chunk.tool_call_id)
        content = [*(call.content if call else ()), chunk.content]
        return self.update(
            v2.ToolCallUpdate(tool_call_id=chunk.tool_call_id, content=content, meta=chunk.meta)
        )

    def terminal(
        self, update: v2.TerminalUpdate | v2.TerminalOutputChunk
    ) -> list[v1.ToolCallUpdate]:
        """Write what happened in a terminal of the agent: an update of each call that shows it."""
        terminal = self._terminals.setdefault(update.terminal_id, _Terminal())
        before = terminal.text()
        if isinstance(update, v2.TerminalOutputChunk):
            terminal.output += _bytes(update.data)
        else:
            _apply_to_terminal(terminal, update)
        if terminal.text() == before:
            return []
        return [
            v1.ToolCallUpdate(tool_call_id=tool_call_id, content=self._content(call.content))
            for tool_call_id, call in self._calls.items()
            if any(_shows(content, update.terminal_id) for content in call.content)
        ]

    def knows(self, tool_call_id: str) -> bool:
        """Whether the client has been told of a call."""
        return tool_call_id in self._calls

    def whole(self, tool_call_id: str) -> v1.ToolCallPatch:
        """Repeat what the client knows of a call, for a question about it."""
        call = self._calls[tool_call_id]
        return v1.ToolCallPatch(
            tool_call_id=tool_call_id,
            title=call.title,
            kind=call.kind,
            status=call.status,
            content=self._content(call.content) or None,
            locations=call.locations,
            raw_input=call.raw_input,
        )

    def _apply(self, call: _Call, patch: v2.ToolCallPatch) -> dict[str, Any]:
        """Change a call and tell which fields of version 1 that changes."""
        fields: dict[str, Any] = {}
        if patch.title is not UNSET:
            fields["title"] = call.title = patch.title or patch.tool_call_id
        if isinstance(patch.name, str):
            fields["name"] = patch.name
        if patch.kind is not UNSET:
            fields["kind"] = call.kind = patch.kind if patch.kind in _KINDS else "other"
        if (status := _status(patch.status)) is not None:
            fields["status"] = call.status = status
        if not isinstance(patch.content, UnsetType):
            call.content = patch.content or []
            fields["content"] = self._content(call.content)
        if not isinstance(patch.locations, UnsetType):
            call.locations = [
                v1.ToolCallLocation(path=one.path, line=one.line, meta=one.meta)
                for one in patch.locations or ()
            ]
            fields["locations"] = call.locations
        if patch.raw_input is not UNSET and patch.raw_input is not None:
            fields["raw_input"] = call.raw_input = patch.raw_input
        if patch.raw_output is not UNSET and patch.raw_output is not None:
            fields["raw_output"] = patch.raw_output
        return fields

    def _content(self, content: list[v2.ToolCallContent]) -> list[v1.ToolCallContent]:
        written: list[v1.ToolCallContent] = []
        for one in content:
            match one:
                case v2.Content(content=block):
                    written.append(v1.Content(content=content_to_v1(block), meta=one.meta))
                case v2.Diff():
                    written.append(diff_to_v1(one))
                case v2.Terminal(terminal_id=terminal_id):
                    written.extend(self._terminal_content(terminal_id))
                case v2.UnknownVariant(kind=kind):
                    written.append(v1.Content(content=v1.TextContent(text=f"[{kind}]")))
                case _ as never:
                    assert_never(never)
        return written

    def _terminal_content(self, terminal_id: str) -> list[v1.ToolCallContent]:
        if terminal_id in self._client_terminals:
            return [v1.Terminal(terminal_id=terminal_id)]
        terminal = self._terminals.get(terminal_id)
        text = "" if terminal is None else terminal.text()
        return [v1.Content(content=v1.TextContent(text=fenced(text, "console")))] if text else []


def _status(status: v2.ToolCallStatus | UnsetType | None) -> v1.ToolCallStatus | None:
    if isinstance(status, UnsetType):
        return None
    return "pending" if status is None else _STATUSES.get(status)


def _shows(content: v2.ToolCallContent, terminal_id: str) -> bool:
    return isinstance(content, v2.Terminal) and content.terminal_id == terminal_id


def _apply_to_terminal(terminal: _Terminal, update: v2.TerminalUpdate) -> None:
    if not isinstance(update.command, UnsetType):
        terminal.command = update.command or ""
    if not isinstance(update.output, UnsetType):
        terminal.output = b"" if update.output is None else _bytes(update.output.data)
    if not isinstance(update.exit_status, UnsetType):
        terminal.ended = "" if update.exit_status is None else _ended(update.exit_status)


def _bytes(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return b""  # not what the protocol asks for: nothing that could be shown


def _ended(status: v2.TerminalExitStatus) -> str:
    if status.signal is not None:
        return f"\nended by {status.signal}\n"
    return "" if status.exit_code in {0, None} else f"\nexit code {status.exit_code}\n"
