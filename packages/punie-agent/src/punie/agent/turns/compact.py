"""Make room in a conversation: earlier turns become a summary, long results their first lines.

Deterministic, so it costs no model call, and careful with the prefix cache: the first prompt and an
older summary stay as they are, to the byte, and new lines are added behind them. Nothing is cut
that has to last: the instructions are not part of these messages, calls that changed something stay,
and a summary ends with the plan as it was then. When there is a need is `turns.window`'s business;
nothing here counts tokens.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from punie.agent.models.history import prompt_text
from punie.agent.tools.planning import NAME as PLAN

HEADING = "So far, shortened to make room:"
ELIDED = "\n[left out to make room: call again to read it]"

IMAGE = 3_000
"""Bytes of text that cost a model about as many tokens as an image does: a guess on the safe side."""

_STEPS = re.compile(r"\d+ steps?, ")
"""How the result of a plan that was understood begins."""
_MARK = "punie_summary"
"""Key in a response's metadata: this is a summary, not something that the model said."""
_SHORT = 240
"""Bytes of a result that is never shortened."""
_PROMPT, _ANSWER = 400, 300
"""Characters of a prompt and of an answer that a summary repeats."""
_SPARED_RESULTS = 2
"""The latest results of the running turn are shortened last."""


class Compacted(NamedTuple):
    """A shorter conversation."""

    messages: list[ModelMessage]
    summary: str
    """What stands in for the turns that were taken out; empty when none was."""
    before: int
    after: int
    """Sizes in bytes of UTF-8."""


def compact(
    messages: Sequence[ModelMessage], *, room: int, changing: Collection[str] = ()
) -> Compacted | None:
    """Shorten a conversation.

    Args:
        messages: Oldest first; every call in it is answered, save for those of the last response.
        room: Bytes that it may have afterwards; reached as far as nothing is lost that must stay.
        changing: Tools that change files or the plan; their results stay.

    Returns:
        The shorter conversation; `None` when there is nothing to take out.
    """
    before = size_of(messages)
    shorter, summary = _summarised(messages, room)
    shorter = _elided(shorter, room, changing)
    after = size_of(shorter)
    if after >= before:
        return None
    return Compacted(shorter, summary, before, after)


def size_of(messages: Sequence[ModelMessage]) -> int:
    """Count the bytes of UTF-8 that a model reads of these messages; tags around them not counted.

    An image counts as `IMAGE` bytes, whatever its size: that is how many tokens it takes, not bytes.
    """
    texts = sum(len(text.encode()) for message in messages for text in _texts(message))
    return texts + IMAGE * sum(map(_images, messages))


def _images(message: ModelMessage) -> int:
    return sum(
        isinstance(piece, BinaryContent)
        for part in message.parts
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str)
        for piece in part.content
    )


def _texts(message: ModelMessage) -> Iterator[str]:
    for part in message.parts:
        match part:
            case ToolCallPart():
                yield part.tool_name
                yield part.args if isinstance(part.args, str) else part.args_as_json_str()
            case ToolReturnPart():
                yield part.model_response_str()
            case UserPromptPart():
                yield prompt_text(part)
            case _:
                content: Any = getattr(part, "content", "")
                yield content if isinstance(content, str) else str(content or "")


def _summarised(messages: Sequence[ModelMessage], room: int) -> tuple[list[ModelMessage], str]:
    """Put a summary in the place of all turns between the first prompt and the latest turns."""
    turns = _turns(messages)
    kept = len(turns) - 1
    while kept > 1 and size_of([m for turn in turns[kept - 1 :] for m in turn]) < room // 2:
        kept -= 1
    taken = turns[:kept]
    if not taken or (len(taken) == 1 and len(taken[0]) <= 2 and _is_summary(taken[0][-1])):
        return list(messages), ""
    first, *rest = taken[0]
    earlier = ""
    if rest and _is_summary(rest[0]):
        earlier = _text_of(rest.pop(0)) + "\n"
    shortened = [*rest, *(m for turn in taken[1:] for m in turn)]
    plan = [] if _plan([m for turn in turns[kept:] for m in turn]) else _plan(shortened)
    summary = (earlier or f"{HEADING}\n") + "\n".join([
        *_within(_lines(shortened), room // 4),
        *plan,
    ])
    replaced = ModelResponse(parts=[TextPart(summary)], metadata={_MARK: True})
    return [first, replaced, *(m for turn in turns[kept:] for m in turn)], summary


def _turns(messages: Sequence[ModelMessage]) -> list[list[ModelMessage]]:
    """Cut a conversation before each prompt that does not answer a call as well."""
    turns: list[list[ModelMessage]] = []
    for message in messages:
        if not turns or _begins_turn(message):
            turns.append([])
        turns[-1].append(message)
    return turns


def _begins_turn(message: ModelMessage) -> bool:
    if not isinstance(message, ModelRequest):
        return False
    answers = any(isinstance(part, ToolReturnPart) for part in message.parts)
    return not answers and any(isinstance(part, UserPromptPart) for part in message.parts)


def _is_summary(message: ModelMessage) -> bool:
    return isinstance(message, ModelResponse) and _MARK in (message.metadata or {})


def _text_of(message: ModelMessage) -> str:
    return "".join(part.content for part in message.parts if isinstance(part, TextPart))


def _lines(messages: Sequence[ModelMessage]) -> list[str]:
    """Say what happened, one line each: asked, found, changed, answered."""
    lines: list[str] = []
    for message in messages:
        for part in message.parts:
            match part:
                case UserPromptPart():
                    lines.append(f"- asked: {_one_line(prompt_text(part), _PROMPT)}")
                case ToolReturnPart():
                    head = part.model_response_str().partition("\n")[0]
                    lines.append(f"- {part.tool_name} gave: {_one_line(head, _ANSWER)}")
                case TextPart(content=text) if text.strip():
                    lines.append(f"- answered: {_one_line(text, _ANSWER)}")
                case _:
                    pass
    return lines


def _plan(messages: Sequence[ModelMessage]) -> list[str]:
    """Repeat the latest plan that the model made, whole; nothing when it made none."""
    parts = [part for message in messages for part in message.parts]
    made = {
        part.tool_call_id
        for part in parts
        if isinstance(part, ToolReturnPart) and _STEPS.match(part.model_response_str())
    }
    for part in reversed(parts):
        if isinstance(part, ToolCallPart) and part.tool_name == PLAN and part.tool_call_id in made:
            return ["- the plan:", str(part.args_as_dict().get("steps", ""))]
    return []


def _within(lines: list[str], size: int) -> list[str]:
    """Drop results, then answers, the oldest first, until the lines fit; prompts stay."""
    kept = list(lines)
    for droppable in (" gave: ", "- answered: "):
        for line in lines:
            if sum(len(text.encode()) + 1 for text in kept) <= size:
                return kept
            if droppable in line and not line.startswith("- asked: "):
                kept.remove(line)
    return kept


def _one_line(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _elided(
    messages: Sequence[ModelMessage], room: int, changing: Collection[str]
) -> list[ModelMessage]:
    """Cut long results to their first line, the oldest first, until the conversation fits."""
    shorter, size = list(messages), size_of(messages)
    places = [
        (at, number)
        for at, message in enumerate(messages)
        for number, part in enumerate(message.parts)
        if isinstance(part, ToolReturnPart) and part.tool_name not in changing
    ]
    for at, number in places[: max(0, len(places) - _SPARED_RESULTS)]:
        if size <= room:
            break
        message = shorter[at]
        part = message.parts[number]
        if not isinstance(message, ModelRequest) or not isinstance(part, ToolReturnPart):
            continue
        text = part.model_response_str()
        cut = text.partition("\n")[0][:_SHORT] + ELIDED
        if len(text.encode()) <= _SHORT or len(cut) >= len(text):
            continue
        parts = list(message.parts)
        parts[number] = dataclasses.replace(part, content=cut)
        shorter[at] = dataclasses.replace(message, parts=parts)
        size -= len(text.encode()) - len(cut.encode())
    return shorter
