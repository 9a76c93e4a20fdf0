"""The model's history of a session that an earlier process left, whole again.

The stored messages end where the last model request did; what happened after it is in the events.
This adds it in the form that Pydantic AI itself leaves behind after a cancel: a cut answer stays as far
as it came, and every call has a result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict, replace
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from punie.agent.events import (
    AgentMessageChunk,
    AnyEvent,
    StateUpdate,
    TextContent,
    ToolCallUpdate,
    UserMessage,
)
from punie.agent.tools.base import Tool
from punie.agent.tools.results import render
from punie.agent.turns.outcome import CUT_OFF
from punie.agent.turns.pictures import content_of

UNFINISHED = "Interrupted: it had begun and did not end. Look at what is there before trying again."
NOT_RUN = "Interrupted: it was not run."


class Restored(NamedTuple):
    """A history to go on from."""

    messages: list[ModelMessage]
    claimed: dict[str, str]
    """For the calls that a continued turn still has to run: the id under which they were shown."""
    known: dict[str, str]
    """For the calls that have ended: what the model reads, by the model's own ids."""


def restore(
    stored: Sequence[bytes],
    after: Sequence[AnyEvent],
    *,
    tools: Mapping[str, Tool[Any, Any]],
    limit: int,
    goes_on: bool,
) -> Restored:
    """Read stored messages and add what came after the last of them.

    Args:
        stored: Messages as JSON.
        after: The events that the messages do not include.
        tools: The tools, to write results as the model would have read them.
        limit: Characters of a result that the model reads.
        goes_on: The open calls of the last answer will be run; otherwise they get results here.

    Raises:
        pydantic.ValidationError: What is stored are no messages.
    """
    messages = list(ModelMessagesTypeAdapter.validate_json(b"[" + b",".join(stored) + b"]"))
    after = _of_cut_turns(after)
    claimed, known = dict[str, str](), dict[str, str]()
    if messages and isinstance(messages[-1], ModelResponse) and messages[-1].tool_calls:
        calls = messages[-1].tool_calls
        shown = _shown(calls, after)
        for call in calls:
            update = shown.get(call.tool_call_id)
            if update is not None:
                claimed[call.tool_call_id] = update.tool_call_id
            text = _result(update, tools.get(call.tool_name), limit)
            if text or not goes_on:
                known[call.tool_call_id] = text or NOT_RUN
        if goes_on:
            return Restored(messages, claimed, known)
        messages.append(ModelRequest(parts=[_returned(call, known) for call in calls]))
    for event in after:
        _add(messages, event)
    return Restored(messages, {}, {})


def _of_cut_turns(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    """Leave out the turns that came to their end: they asked no model, or the messages had them."""
    left: list[AnyEvent] = []
    turn: list[AnyEvent] = []
    for event in events:
        turn.append(event)
        if isinstance(event, StateUpdate) and event.state == "idle":
            left += turn if event.error == CUT_OFF else []
            turn = []
    return left + turn


def _shown(calls: Iterable[ToolCallPart], events: Sequence[AnyEvent]) -> dict[str, ToolCallUpdate]:
    """Find under which ids calls were shown, and what became of them."""
    updates: dict[str, ToolCallUpdate] = {}
    for event in events:
        if isinstance(event, ToolCallUpdate):
            before = updates.get(event.tool_call_id)
            if before is not None and (before.status, event.status) == ("pending", "cancelled"):
                continue  # it never began
            changes = {k: v for k, v in asdict(event).items() if v is not UNSET}
            updates[event.tool_call_id] = replace(before, **changes) if before else event
    found: dict[str, ToolCallUpdate] = {}
    for call in calls:
        own = call.tool_call_id
        for shown_id in list(updates):
            if shown_id == own or shown_id.startswith(f"{own}-"):
                found[own] = updates.pop(shown_id)
                break
    return found


def _result(update: ToolCallUpdate | None, tool: Tool[Any, Any] | None, limit: int) -> str:
    """Write what the model would have read; empty when the call may still begin."""
    if update is None or update.status == "pending":
        return ""
    if update.raw_output is not UNSET:
        return _rendered(update.raw_output, tool, limit)
    if update.status == "failed" and update.content is not UNSET:
        return "\n".join(c.text for c in update.content if isinstance(c, TextContent))
    return UNFINISHED


def _rendered(raw: Any, tool: Tool[Any, Any] | None, limit: int) -> str:
    if tool is not None:
        try:
            return render(msgspec.convert(raw, tool.result), limit=limit)
        except msgspec.ValidationError:
            pass  # an older version of the tool wrote it
    return json.dumps(raw, ensure_ascii=False)[:limit]


def _returned(call: ToolCallPart, known: Mapping[str, str]) -> ToolReturnPart:
    text = known[call.tool_call_id]
    cut = text in {UNFINISHED, NOT_RUN}
    return ToolReturnPart(
        tool_name=call.tool_name,
        content=text,
        tool_call_id=call.tool_call_id,
        outcome="interrupted" if cut else "success",
    )


def _add(messages: list[ModelMessage], event: AnyEvent) -> None:
    """Add a prompt or a piece of an answer that the stored messages lack."""
    match event:
        case UserMessage(text=text, images=images):
            messages.append(ModelRequest(parts=[UserPromptPart(content_of(text, images))]))
        case AgentMessageChunk(text=text):
            last = messages[-1] if messages else None
            if not isinstance(last, ModelResponse):
                messages.append(ModelResponse(parts=[TextPart(text)], state="interrupted"))
            elif last.state == "interrupted" and isinstance(part := last.parts[-1], TextPart):
                part.content += text
        case _:
            pass
