"""Traces: what a model was asked, called and answered, and what the person made of it; for training.

Only written when the person's own settings say `traces = true`; never sent anywhere. Secrets and home
folders are taken out before a line is written. A turn is a line with the fields of a training example
of `punie-train` (`id`, `messages`, `provenance`), and beside them how it ended, who decided about
each call and what the calls changed. An edit that the person changed or undid afterwards is a line
of its own, of type `Correction`. Loads the model stack; imported when a turn ends.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from punie.agent.models.history import prompt_text
from punie.agent.sessions.judgements import Edit, Judgements, made
from punie.agent.sessions.redact import Redactor
from punie.agent.turns.outcome import ToolCallRecord, TurnOutcome


class TraceFile:
    """The trace of one session.

    Args:
        folder: Where traces are, made when it is missing; one file per session.
        session_id: Names the file.
        redactor: Cleans what is written; knows the secrets of this process by default.
    """

    def __init__(self, folder: Path, session_id: str, *, redactor: Redactor | None = None) -> None:
        self._path = folder / f"{session_id}.jsonl"
        self._redactor = redactor or Redactor()
        self._turn: dict[str, Any] = {}

    def write_turn(
        self,
        messages: Sequence[ModelMessage],
        outcome: TurnOutcome,
        judgements: Judgements,
        *,
        model: str,
    ) -> None:
        """Add the latest turn. Blocks.

        Args:
            messages: The whole conversation; what comes from the last prompt on is written.
            outcome: How the turn ended.
            judgements: What was seen of the turn.
            model: The model's spec.

        Raises:
            OSError: It cannot be written.
        """
        edits = judgements.end_turn()
        self._turn = trace(messages, outcome, judgements, edits, model=model)
        line = self._redactor.value(self._turn)
        line["id"] = self._turn["id"] = _digest(line["messages"])
        self._write(line)

    def write_corrections(self, judgements: Judgements) -> None:
        """Add what the person made of the latest turn's edits since. Blocks.

        Raises:
            OSError: It cannot be written.
        """
        for one in judgements.corrections():
            where = [c["message"] for c in self._turn["calls"] if c["id"] == one.tool_call_id]
            line = {
                "type": "Correction",
                "of": self._turn["id"],
                "message": where[0] if where else None,
                **msgspec.to_builtins(one),
            }
            self._write(self._redactor.value(line))

    def _write(self, line: Any) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


def trace(
    messages: Sequence[ModelMessage],
    outcome: TurnOutcome,
    judgements: Judgements,
    edits: Sequence[Edit],
    *,
    model: str,
) -> dict[str, Any]:
    """Describe the latest turn of a conversation as one training example.

    Args:
        messages: The conversation.
        outcome: How the turn ended.
        judgements: Who decided about its calls.
        edits: What they changed.
        model: The model's spec.
    """
    written = list(_chat(_latest(messages)))
    places = _places(written, outcome.tool_calls)
    return {
        "type": "Example",
        "id": "",
        "messages": written,
        "provenance": f"trace:{model}",
        "stop_reason": outcome.stop_reason,
        "calls": [
            {
                "id": call.tool_call_id,
                "message": place,
                "tool": call.name,
                "status": call.status,
                "ok": call.status == "completed" and call.ok,
                "decided_by": judgements.decider(call.tool_call_id),
                "changed": made(edits, call.tool_call_id),
            }
            for call, place in zip(outcome.tool_calls, places, strict=True)
        ],
    }


def _places(
    written: Sequence[dict[str, Any]], calls: Sequence[ToolCallRecord]
) -> Iterator[int | None]:
    """Find the message that made each call; `None` for a call that code made."""
    left = [
        (index, one["call"], one["arguments"])
        for index, message in enumerate(written)
        if "call" in message
        for one in (message, *message.get("also", ()))
    ]
    for call in calls:
        made_by = next((m for m in left if m[1:] == (call.name, call.arguments)), None)
        if made_by is not None:
            left.remove(made_by)
        yield None if made_by is None else made_by[0]


def _latest(messages: Sequence[ModelMessage]) -> Sequence[ModelMessage]:
    for index in range(len(messages) - 1, -1, -1):
        if any(isinstance(part, UserPromptPart) for part in messages[index].parts):
            return messages[index:]
    return messages


def _chat(messages: Sequence[ModelMessage]) -> Iterator[dict[str, Any]]:
    """Write messages, the calls of one before their results."""
    results = {
        part.tool_call_id: part
        for message in messages
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    for message in messages:
        if isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, UserPromptPart):
                    yield {"role": "user", "content": prompt_text(part)}
        else:
            yield from _response(message, results)


def _response(
    message: ModelResponse, results: dict[str, ToolReturnPart]
) -> Iterator[dict[str, Any]]:
    text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    if not calls and text:
        yield {"role": "assistant", "content": text}
    if not calls:
        return
    first, *more = [{"call": call.tool_name, "arguments": call.args_as_dict()} for call in calls]
    yield {"role": "assistant", "content": text, **first} | ({"also": more} if more else {})
    for call in calls:
        if (result := results.get(call.tool_call_id)) is not None:
            yield {"role": "tool", "content": result.model_response_str()}


def _digest(messages: Any) -> str:
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()[:12]
