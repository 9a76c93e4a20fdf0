"""From session events to the updates of protocol version 1.

Events are shaped like version 2; this writer is where the two differ: the first event of a tool
call becomes a `tool_call`, a cancelled call counts as failed, and state lives in the answer to
`session/prompt` instead of an update.
"""

from __future__ import annotations

from typing import Any, assert_never

from msgspec import UNSET, UnsetType

from punie.acp.schema import v1
from punie.agent.events import (
    AgentMessageChunk,
    AgentThoughtChunk,
    AnyEvent,
    CompactionUpdate,
    DiffContent,
    FilesChanged,
    Location,
    Notice,
    PermissionRequested,
    PermissionResolved,
    PlanUpdate,
    Progress,
    SessionInfoUpdate,
    StateUpdate,
    TerminalContent,
    TextContent,
    ToolCallUpdate,
    ToolContent,
    ToolStatus,
    UsageUpdate,
    UserMessage,
)

STEPS = 4
"""Messages about a long step: at its beginning, at each quarter."""


class Updates:
    """Writes one session for one client."""

    def __init__(self, capabilities: v1.ClientCapabilities) -> None:
        """Begin.

        Args:
            capabilities: What the client shows.
        """
        session = capabilities.session
        self._notices = session is not None and session.notices is not None
        self._compactions = session is not None and session.compaction is not None
        self._calls: dict[str, v1.ToolCall] = {}
        self._progress = ("", -1)
        self._steps = 0

    def of(self, event: AnyEvent) -> v1.SessionUpdate | None:
        """Write one event; `None` when version 1 has no update for it."""
        match event:
            case AgentMessageChunk(message_id=message_id, text=text):
                return v1.AgentMessageChunk(message_id=message_id, content=_text(text))
            case AgentThoughtChunk(message_id=message_id, text=text):
                return v1.AgentThoughtChunk(message_id=message_id, content=_text(text))
            case ToolCallUpdate():
                return self._tool_call(event)
            case PlanUpdate(entries=entries):
                return v1.Plan(
                    entries=[
                        v1.PlanEntry(content=e.content, priority=e.priority, status=e.status)
                        for e in entries
                    ]
                )
            case UsageUpdate() | CompactionUpdate() | SessionInfoUpdate():
                return self._aside(event)
            case Notice() | FilesChanged() | Progress():
                return self._aside(event)
            case UserMessage() | PermissionRequested() | PermissionResolved() | StateUpdate():
                return None
            case _ as never:
                assert_never(never)

    def _aside(
        self,
        event: UsageUpdate
        | CompactionUpdate
        | SessionInfoUpdate
        | Notice
        | FilesChanged
        | Progress,
    ) -> v1.SessionUpdate | None:
        match event:
            case UsageUpdate(used=used, size=size):
                return v1.UsageUpdate(used=used, size=size) if size else None
            case CompactionUpdate():
                return self._compaction(event)
            case SessionInfoUpdate(title=title):
                return v1.SessionInfoUpdate(title=title)
            case Notice():
                return self._notice(event)
            case FilesChanged():
                undo = "/undo takes it back, /undo FILE a single file."
                title = event.headline()
                return self._notice(Notice(severity="info", title=title, description=undo))
            case Progress():
                return self._step(event)
            case _ as never:
                assert_never(never)

    def patch(self, tool_call_id: str) -> v1.ToolCallPatch:
        """Repeat what a permission request should show about a call."""
        call = self._calls.get(tool_call_id)
        if call is None:
            return v1.ToolCallPatch(tool_call_id=tool_call_id)
        return v1.ToolCallPatch(
            tool_call_id=tool_call_id,
            title=call.title,
            kind=call.kind,
            status=call.status,
            content=call.content,
            locations=call.locations,
            raw_input=call.raw_input,
        )

    def _tool_call(self, event: ToolCallUpdate) -> v1.ToolCall | v1.ToolCallUpdate:
        fields: dict[str, Any] = {
            "tool_call_id": event.tool_call_id,
            "title": _or_none(event.title),
            "name": _or_none(event.name),
            "kind": _or_none(event.kind),
            "status": _status(event.status),
            "content": None if event.content is UNSET else [_content(c) for c in event.content],
            "locations": None
            if event.locations is UNSET
            else [_location(location) for location in event.locations],
            "raw_input": _or_none(event.raw_input),
            "raw_output": _or_none(event.raw_output),
        }
        if event.tool_call_id in self._calls:
            return v1.ToolCallUpdate(**fields)
        fields["title"] = fields["title"] or event.tool_call_id
        call = v1.ToolCall(**fields)
        self._calls[event.tool_call_id] = call
        return call

    def _notice(self, event: Notice) -> v1.SessionUpdate | None:
        if self._notices:
            return v1.Notice(
                severity=event.severity,
                title=event.title,
                description=event.description or None,
            )
        return v1.AgentThoughtChunk(content=_text(f"{event.title}\n"))

    def _compaction(self, event: CompactionUpdate) -> v1.SessionUpdate | None:
        if not self._compactions:
            told = Notice(severity="info", title="The conversation was shortened to make room")
            return self._notice(told) if event.status == "completed" else None
        return v1.CompactionUpdate(
            compaction_id=event.compaction_id,
            status=event.status,
            summary=None if event.summary is UNSET else [_text(event.summary)],
            error=None if event.error is UNSET else event.error,
        )

    def _step(self, event: Progress) -> v1.SessionUpdate | None:
        """Tell of a download or a load as reasoning: version 1 has no progress."""
        quarter = STEPS * event.done // event.total if event.total else 0
        if (event.what, quarter) == self._progress:
            return None
        if event.what != self._progress[0]:
            self._steps += 1
        self._progress = (event.what, quarter)
        share = f" {100 * quarter // STEPS} %" if event.total else ""
        return v1.AgentThoughtChunk(
            message_id=f"progress-{self._steps}", content=_text(f"{event.what}{share}\n")
        )


def _text(text: str) -> v1.TextContent:
    return v1.TextContent(text=text)


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


def _status(status: ToolStatus | UnsetType) -> v1.ToolCallStatus | None:
    if isinstance(status, UnsetType):
        return None
    return "failed" if status == "cancelled" else status


def _content(content: ToolContent) -> v1.ToolCallContent:
    match content:
        case TextContent(text=text):
            return v1.Content(content=_text(text))
        case DiffContent(path=path, old_text=old_text, new_text=new_text):
            return v1.Diff(path=path, old_text=old_text, new_text=new_text)
        case TerminalContent(terminal_id=terminal_id):
            return v1.Terminal(terminal_id=terminal_id)
        case _ as never:
            assert_never(never)


def _location(location: Location) -> v1.ToolCallLocation:
    return v1.ToolCallLocation(path=location.path, line=location.line)
