"""From session events to the updates of protocol version 2, after which they are shaped.

Clients of version 1 get what `punie.acp.versions.to_v1` makes of these. Long steps have no update of
their own in either version: they are told as reasoning.
"""

from __future__ import annotations

from typing import Any, assert_never

from msgspec import UNSET, UnsetType

from punie.acp.schema import v2
from punie.acp.versions.diffs import file_diff
from punie.agent.acp.terminals import Terminals
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
    SettingsUpdate,
    StateUpdate,
    TerminalContent,
    TextContent,
    ToolCallUpdate,
    ToolContent,
    UsageUpdate,
    UserMessage,
)

STEPS = 4
"""Messages about a long step: at its beginning, at each quarter."""
PLAN_ID = "plan"
"""A session has one plan."""
INTERNAL_ERROR = -32603


class Updates:
    """Writes one session for one client."""

    def __init__(self, terminals: Terminals | None = None) -> None:
        """Begin.

        Args:
            terminals: Shows what commands print; as text by default.
        """
        self._terminals = terminals or Terminals("none")
        self._progress = ("", -1)
        self._steps = 0

    def of(self, event: AnyEvent) -> list[v2.SessionUpdate]:
        """Write one event; there may be no update for it."""
        if isinstance(event, ToolCallUpdate):
            return self._terminals.put_into(_tool_call(event), event)
        update = self._single(event)
        return [] if update is None else [update]

    def _single(self, event: AnyEvent) -> v2.SessionUpdate | None:
        match event:
            case ToolCallUpdate():
                return _tool_call(event)
            case UserMessage():
                return _prompt(event)
            case AgentMessageChunk(message_id=message_id, text=text):
                return v2.AgentMessageChunk(message_id=message_id, content=_text(text))
            case AgentThoughtChunk(message_id=message_id, text=text):
                return v2.AgentThoughtChunk(message_id=message_id, content=_text(text))
            case StateUpdate():
                return _state(event)
            case PermissionRequested() | PermissionResolved() | SettingsUpdate():
                return None
            case _:
                return self._aside(event)

    def _aside(
        self,
        event: PlanUpdate
        | UsageUpdate
        | CompactionUpdate
        | SessionInfoUpdate
        | Notice
        | FilesChanged
        | Progress,
    ) -> v2.SessionUpdate | None:
        match event:
            case PlanUpdate(entries=entries):
                rows = [
                    v2.PlanEntry(content=e.content, priority=e.priority, status=e.status)
                    for e in entries
                ]
                return v2.PlanUpdate(plan=v2.PlanItems(plan_id=PLAN_ID, entries=rows))
            case UsageUpdate(used=used, size=size):
                return v2.UsageUpdate(used=used, size=size) if size else None
            case CompactionUpdate():
                return _compaction(event)
            case SessionInfoUpdate(title=title):
                return v2.SessionInfoUpdate(title=title)
            case Notice(severity=severity, title=title, description=description):
                return v2.Notice(severity=severity, title=title, description=description or None)
            case FilesChanged():
                undo = "/changes shows it, /undo takes it back, /undo FILE a single file."
                return v2.Notice(severity="info", title=event.headline(), description=undo)
            case Progress():
                return self._step(event)
            case _ as never:
                assert_never(never)

    def _step(self, event: Progress) -> v2.SessionUpdate | None:
        quarter = STEPS * event.done // event.total if event.total else 0
        if (event.what, quarter) == self._progress:
            return None
        if event.what != self._progress[0]:
            self._steps += 1
        self._progress = (event.what, quarter)
        share = f" {100 * quarter // STEPS} %" if event.total else ""
        return v2.AgentThoughtChunk(
            message_id=f"progress-{self._steps}", content=_text(f"{event.what}{share}\n")
        )


def _prompt(event: UserMessage) -> v2.UserMessage:
    content: list[v2.ContentBlock] = [_text(event.text)] if event.text else []
    content += [
        v2.ImageContent(data=one.data, mime_type=one.mime_type, uri=one.uri or None)
        for one in event.images
    ]
    return v2.UserMessage(message_id=event.message_id, content=content)


def _tool_call(event: ToolCallUpdate) -> v2.ToolCallUpdate:
    return v2.ToolCallUpdate(
        tool_call_id=event.tool_call_id,
        title=event.title,
        name=event.name,
        kind=event.kind,
        status=event.status,
        content=_each(event.content, _content),
        locations=_each(event.locations, _location),
        raw_input=event.raw_input,
        raw_output=event.raw_output,
    )


def _state(event: StateUpdate) -> v2.StateUpdate:
    match event.state:
        case "running":
            return v2.RunningStateUpdate()
        case "requires_action":
            return v2.RequiresActionStateUpdate()
        case "idle":
            error = None
            if event.error is not UNSET:
                message = event.error
                error = v2.Error(code=INTERNAL_ERROR, message=message, data={"message": message})
            return v2.IdleStateUpdate(stop_reason=event.stop_reason or None, error=error)
        case _ as never:
            assert_never(never)


def _compaction(event: CompactionUpdate) -> v2.CompactionUpdate:
    return v2.CompactionUpdate(
        compaction_id=event.compaction_id,
        status=event.status,
        summary=UNSET if event.summary is UNSET else [_text(event.summary)],
        error=event.error,
    )


def _text(text: str) -> v2.TextContent:
    return v2.TextContent(text=text)


def _each(items: tuple[Any, ...] | UnsetType, write: Any) -> Any:
    return UNSET if isinstance(items, UnsetType) else [write(item) for item in items]


def _content(content: ToolContent) -> v2.ToolCallContent:
    match content:
        case TextContent(text=text):
            return v2.Content(content=_text(text))
        case DiffContent(path=path, old_text=old_text, new_text=new_text):
            return file_diff(path, old_text=old_text, new_text=new_text)
        case TerminalContent(terminal_id=terminal_id):
            return v2.Terminal(terminal_id=terminal_id)
        case _ as never:
            assert_never(never)


def _location(location: Location) -> v2.ToolCallLocation:
    return v2.ToolCallLocation(path=location.path, line=location.line or None)
