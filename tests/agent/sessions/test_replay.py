"""Whoever comes late sees what those who were there saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import asdict

from punie.agent.events import (
    AgentMessageChunk,
    AgentThoughtChunk,
    AnyEvent,
    Notice,
    SessionInfoUpdate,
    StateUpdate,
    TextContent,
    ToolCallUpdate,
    UsageUpdate,
    UserMessage,
)
from punie.agent.sessions.replay import replay

IDS = st.sampled_from(["1", "2", "3"])
TEXTS = st.text(max_size=5)
MAYBE = st.one_of(st.just(UNSET), st.sampled_from(["a", "b"]))
EVENT = st.one_of(
    st.builds(UserMessage, message_id=IDS, text=TEXTS),
    st.builds(AgentMessageChunk, message_id=IDS, text=TEXTS),
    st.builds(AgentThoughtChunk, message_id=IDS, text=TEXTS),
    st.builds(
        ToolCallUpdate,
        tool_call_id=IDS,
        title=MAYBE,
        name=MAYBE,
        status=st.one_of(st.just(UNSET), st.sampled_from(["pending", "completed"])),
        content=st.one_of(st.just(UNSET), st.builds(lambda t: (TextContent(text=t),), TEXTS)),
    ),
    st.builds(UsageUpdate, used=st.integers(0, 9), size=st.just(10)),
    st.builds(Notice, severity=st.just("info"), title=TEXTS),
    st.builds(SessionInfoUpdate, title=TEXTS),
    st.builds(StateUpdate, state=st.sampled_from(["running", "idle"])),
)


def screen(events: Sequence[AnyEvent]) -> dict[str, Any]:
    """What a client that follows the rules of the protocol shows."""
    shown: dict[str, Any] = {"order": []}
    for event in events:
        match event:
            case AgentMessageChunk(message_id=key) | AgentThoughtChunk(message_id=key):
                place = (type(event).__name__, key)
                shown[place] = shown.get(place, "") + event.text
            case ToolCallUpdate(tool_call_id=key):
                place = ("call", key)
                set_now = {k: v for k, v in asdict(event).items() if v is not UNSET}
                shown[place] = shown.get(place, {}) | set_now
            case UserMessage() | Notice():
                shown["order"].append(event)
                continue
            case UsageUpdate() | SessionInfoUpdate():
                shown[type(event).__name__] = event
                continue
            case _:
                continue
        if place not in shown["order"]:
            shown["order"].append(place)
    return shown


@given(st.lists(EVENT, max_size=30))
def test_a_replay_shows_the_same_screen_with_each_message_and_call_once(
    events: list[AnyEvent],
) -> None:
    short = replay(events)
    assert screen(short) == screen(events)
    calls = [event.tool_call_id for event in short if isinstance(event, ToolCallUpdate)]
    assert len(calls) == len(set(calls))


@given(st.lists(EVENT, max_size=30))
def test_a_replay_of_a_replay_is_the_same(events: list[AnyEvent]) -> None:
    assert replay(replay(events)) == replay(events)
