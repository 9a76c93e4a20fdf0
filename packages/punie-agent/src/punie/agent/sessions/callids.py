"""Ids of tool calls, unique in their session: models use `call_0` again and again."""

from __future__ import annotations

from collections.abc import Iterable

from punie.agent.events import AnyEvent, ToolCallUpdate


class CallIds:
    """The ids that a session has used."""

    def __init__(self, events: Iterable[AnyEvent]) -> None:
        """Begin with those of what happened so far."""
        self._used = {e.tool_call_id for e in events if isinstance(e, ToolCallUpdate)}

    def claim(self, tool_call_id: str) -> str:
        """Give an id like a model's own, that no call of the session has."""
        claimed, count = tool_call_id, 1
        while claimed in self._used:
            count += 1
            claimed = f"{tool_call_id}-{count}"
        self._used.add(claimed)
        return claimed
