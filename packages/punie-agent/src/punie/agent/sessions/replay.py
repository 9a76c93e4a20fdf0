"""A session's events as somebody who comes late should see them: each message and each call once.

Pure. Pieces of one message become one piece; a call stands where it began, with all that became of
it. What only mattered at its moment (questions, states, earlier usage) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import asdict, replace

from punie.agent.events import (
    AgentMessageChunk,
    AgentThoughtChunk,
    AnyEvent,
    PermissionRequested,
    PermissionResolved,
    PlanUpdate,
    Progress,
    SessionInfoUpdate,
    SettingsUpdate,
    StateUpdate,
    ToolCallUpdate,
    UsageUpdate,
)


def replay(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    """Shorten a session for a newcomer.

    Args:
        events: All that happened, in order.

    Returns:
        Fewer events with the same outcome on a screen.
    """
    shown: dict[object, AnyEvent] = {}
    for index, event in enumerate(events):
        match event:
            case StateUpdate() | PermissionRequested() | PermissionResolved() | Progress():
                continue
            case SettingsUpdate():  # the answer to whoever joins has what is chosen now
                continue
            case AgentMessageChunk(message_id=key) | AgentThoughtChunk(message_id=key):
                _add_text(shown, (type(event), key), event)
            case ToolCallUpdate(tool_call_id=key):
                before = shown.get(("call", key))
                shown["call", key] = _merged(before, event)
            case PlanUpdate() | UsageUpdate() | SessionInfoUpdate():  # the last one says it all
                shown.pop(type(event), None)
                shown[type(event)] = event
            case _:
                shown[index] = event
    return list(shown.values())


def _add_text(
    shown: dict[object, AnyEvent], key: object, event: AgentMessageChunk | AgentThoughtChunk
) -> None:
    before = shown.get(key)
    if isinstance(before, AgentMessageChunk | AgentThoughtChunk):
        event = replace(event, text=before.text + event.text)
    shown[key] = event


def _merged(before: AnyEvent | None, event: ToolCallUpdate) -> ToolCallUpdate:
    if not isinstance(before, ToolCallUpdate):
        return event
    changes = {name: value for name, value in asdict(event).items() if value is not UNSET}
    return replace(before, **changes | {"printed": UNSET})
