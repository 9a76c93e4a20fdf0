"""What an old session's events say about its end: whether a turn was cut off, and what stayed open.

Looking loads no model stack; what the model gets to read of a cut turn is worked out by `turns.restore`,
when the next turn begins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from punie.agent.events import (
    AnyEvent,
    Notice,
    PermissionRequested,
    PermissionResolved,
    SettingsUpdate,
    StateUpdate,
    ToolCallUpdate,
    UserMessage,
)
from punie.agent.permissions.policy import MODES, Mode
from punie.agent.turns.outcome import CUT_OFF

if TYPE_CHECKING:
    from punie.agent.sessions.brain import Brain
    from punie.agent.turns.restore import Restored

log = logging.getLogger(__name__)

ENDED = frozenset({"completed", "failed", "cancelled"})
_decode = msgspec.json.Decoder(AnyEvent).decode


class Past(NamedTuple):
    """What a session brings along from an earlier process."""

    events: list[AnyEvent]
    messages: list[bytes]
    """The model's messages, JSON."""
    told: int
    """How many of `events` the messages include."""
    until: int
    """How many events there were when it was loaded."""

    def restored(self, brain: Brain, *, goes_on: bool) -> Restored:
        """Make the model's history whole. Loads the model stack.

        Args:
            brain: What the next turn thinks with.
            goes_on: Open calls will be run; otherwise they get results here.
        """
        from punie.agent.turns.restore import restore

        return restore(
            self.messages,
            self.events[self.told : self.until],
            tools=brain.tools,
            limit=brain.spec.result_limit,
            goes_on=goes_on,
        )


class Cut(NamedTuple):
    """A turn that its process did not end."""

    closing: list[AnyEvent]
    """What must be added so that nothing stays open."""
    asks: bool
    """A person was being asked: the turn goes on by asking again."""
    mode: Mode | None = None
    """What was last told of the mode in that turn, which may have been held to a stricter one."""


def read_events(lines: Iterable[bytes]) -> list[AnyEvent]:
    """Decode stored events; one that this version cannot read is left out.

    Args:
        lines: JSON, one each.
    """
    events: list[AnyEvent] = []
    for line in lines:
        try:
            events.append(_decode(line))
        except msgspec.DecodeError as error:
            log.warning("stored event left out: %s", error)
    return events


def find_cut(events: Sequence[AnyEvent], *, asks: bool = True) -> Cut | None:
    """Find out whether the last turn was cut off; `None` when it came to its end.

    Args:
        events: All of a session, in order.
        asks: A question that was open may be asked again; otherwise it is closed like the rest.
    """
    running, questions = False, dict[str, str]()
    calls = dict[str, str]()
    mode: Mode | None = None
    for event in events:
        match event:
            case StateUpdate(state="idle"):
                running, mode = False, None
                questions, calls = {}, {}
            case UserMessage() | StateUpdate():
                running = True
            case SettingsUpdate(mode=told) if running and told in MODES:
                mode = told
            case ToolCallUpdate(tool_call_id=call_id, status=str(status)):
                calls[call_id] = status
            case PermissionRequested(request_id=request_id, tool_call_id=call_id):
                questions[request_id] = call_id
            case PermissionResolved(request_id=request_id):
                questions.pop(request_id, None)
            case _:
                pass
    if not running:
        return None
    cut = _closed({i: s for i, s in calls.items() if s not in ENDED}, questions, asks)
    return cut._replace(mode=mode)


def _closed(calls: dict[str, str], questions: dict[str, str], asks: bool) -> Cut:
    asked = set(questions.values()) & calls.keys() if asks else set[str]()
    closing: list[AnyEvent] = [
        PermissionResolved(request_id=request_id, outcome="cancelled") for request_id in questions
    ]
    # What waits for its answer, or for its turn behind a question, can still begin.
    closing += [
        ToolCallUpdate(tool_call_id=call_id, status="cancelled")
        for call_id, status in calls.items()
        if not asked or status != "pending"
    ]
    if not asked:
        title = "The last turn was cut off: Punie ended before it did"
        closing += [
            Notice(severity="warning", title=title, description="Send a prompt to go on."),
            StateUpdate(state="idle", stop_reason="error", error=CUT_OFF),
        ]
    return Cut(closing, bool(asked))
