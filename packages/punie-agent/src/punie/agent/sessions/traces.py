"""Traces: what a model was asked, called and answered, one line per turn, for training and for study.

Only written when the person's own settings say `traces = true`; never sent anywhere. Secrets and home
folders are taken out before a line is written. A line has the fields of a training example of
`punie-train` (`id`, `messages`, `provenance`), and beside them how the turn ended. Loads the model
stack; imported when a turn ends.
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

from punie.agent.sessions.redact import Redactor
from punie.agent.turns.outcome import TurnOutcome


def write_turn(
    folder: Path,
    session_id: str,
    messages: Sequence[ModelMessage],
    outcome: TurnOutcome,
    *,
    model: str,
    redactor: Redactor | None = None,
) -> None:
    """Add the latest turn to a session's trace.

    Args:
        folder: Where traces are, made when it is missing; one file per session.
        session_id: Names the file.
        messages: The whole conversation; what comes from the last prompt on is written.
        outcome: How the turn ended.
        model: The model's spec.
        redactor: Cleans what is written; knows the secrets of this process by default.

    Raises:
        OSError: It cannot be written.
    """
    line = (redactor or Redactor()).value(trace(messages, outcome, model=model))
    line["id"] = _digest(line["messages"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{session_id}.jsonl"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def trace(messages: Sequence[ModelMessage], outcome: TurnOutcome, *, model: str) -> dict[str, Any]:
    """Describe the latest turn of a conversation as one training example.

    Args:
        messages: The conversation.
        outcome: How the turn ended.
        model: The model's spec.
    """
    return {
        "type": "Example",
        "id": "",
        "messages": list(_chat(_latest(messages))),
        "provenance": f"trace:{model}",
        "stop_reason": outcome.stop_reason,
        "calls": [
            {"tool": call.name, "status": call.status, "ok": call.status == "completed" and call.ok}
            for call in outcome.tool_calls
        ],
    }


def _latest(messages: Sequence[ModelMessage]) -> Sequence[ModelMessage]:
    for index in range(len(messages) - 1, -1, -1):
        if any(isinstance(part, UserPromptPart) for part in messages[index].parts):
            return messages[index:]
    return messages


def _chat(messages: Sequence[ModelMessage]) -> Iterator[dict[str, Any]]:
    """Write messages, each call directly before its result."""
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
                    yield {"role": "user", "content": _text(part)}
        else:
            yield from _response(message, results)


def _response(
    message: ModelResponse, results: dict[str, ToolReturnPart]
) -> Iterator[dict[str, Any]]:
    text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    if not calls and text:
        yield {"role": "assistant", "content": text}
    for call in calls:
        yield {
            "role": "assistant",
            "content": text,
            "call": call.tool_name,
            "arguments": call.args_as_dict(),
        }
        text = ""
        if (result := results.get(call.tool_call_id)) is not None:
            yield {"role": "tool", "content": result.model_response_str()}


def _text(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return "\n".join(piece for piece in part.content if isinstance(piece, str))


def _digest(messages: Any) -> str:
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()[:12]
