"""How full the model's context window is, and what is done about it before each request.

Tokens are estimated from bytes and, after the first answer, from what the server counted. A
request that would not leave room for an answer is made shorter first (`turns.compact`); one that
cannot fit is never sent.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import ModelRequestContext, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from punie.agent.errors import TurnFailedError
from punie.agent.events import AnyEvent, CompactionUpdate
from punie.agent.models.spec import ModelSpec
from punie.agent.tools.base import Tool
from punie.agent.tools.planning import NAME as PLAN
from punie.agent.turns.compact import Compacted, compact, size_of
from punie.agent.turns.context import TurnContext

_LEAST_ANSWER = 256
"""Tokens; less room than this is no room for an answer."""


def changing_tools(tools: Sequence[Tool[Any, Any]]) -> frozenset[str]:
    """Name the tools whose results say what was changed, or planned: they outlast a compaction."""
    return frozenset(tool.name for tool in tools if tool.risk == "write" or tool.name == PLAN)


def compact_now(
    messages: Sequence[ModelMessage], *, spec: ModelSpec, tools: Sequence[Tool[Any, Any]]
) -> Compacted | None:
    """Shorten a conversation because a person asked for it: all but the latest turn is summed up.

    Args:
        messages: The conversation; no turn runs.
        spec: The model.
        tools: Its tools.

    Returns:
        The shorter conversation; `None` when there is nothing to take out.
    """
    quarter = spec.context_window * 3 // 4 or size_of(messages) // 4
    return compact(messages, room=quarter, changing=changing_tools(tools))


def told(compacted: Compacted | None) -> list[AnyEvent]:
    """Write the events of one compaction: it began, and what became of it.

    Args:
        compacted: What `compact` gave.
    """
    compaction_id = secrets.token_hex(8)
    began = CompactionUpdate(compaction_id=compaction_id, status="in_progress")
    if compacted is None:
        nothing = "there is nothing that could be left out"
        return [
            began,
            CompactionUpdate(compaction_id=compaction_id, status="failed", error=nothing),
        ]
    done = CompactionUpdate(
        compaction_id=compaction_id,
        status="completed",
        summary=compacted.summary or _elided(compacted),
    )
    return [began, done]


async def fit(
    context: TurnContext,
    request: ModelRequestContext,
    replace: Callable[[list[ModelMessage]], None],
) -> ModelRequestContext:
    """See to it that a request fits into the window and leaves room for the answer.

    Args:
        context: The turn.
        request: What is about to be sent.
        replace: Puts a shorter conversation in the place of the run's own.

    Raises:
        TurnFailedError: It cannot fit.
    """
    window, meter = context.spec.context_window, context.meter
    if not window:
        return request
    fixed = _fixed(context, request.model_request_parameters)
    size = fixed + size_of(request.messages)
    if meter.tokens(size) > window - _reserve(context.spec):
        room = max(0, meter.bytes(window // 2) - fixed)
        changing = changing_tools(list(context.tools.values()))
        compacted = compact(request.messages, room=room, changing=changing)
        if compacted is not None:
            for event in told(compacted):
                await context.emitter.emit(event)
            request = dataclasses.replace(request, messages=list(compacted.messages))
            replace(list(compacted.messages))
            size = fixed + compacted.after
    if meter.fewest_tokens(size) > window:
        raise TurnFailedError(
            f"the conversation is about {meter.tokens(size)} tokens long and "
            f"{context.spec.name or 'the model'} reads {window}: begin a new session, or load the "
            "model with a larger context"
        )
    meter.sent = size
    room = max(_LEAST_ANSWER, window - meter.tokens(size))
    settings = ModelSettings(**(request.model_settings or {}))
    if "max_tokens" in settings and settings["max_tokens"] > room:
        # vLLM refuses a request whose prompt and answer might not fit together.
        settings["max_tokens"] = room
        return dataclasses.replace(request, model_settings=settings)
    return request


def _reserve(spec: ModelSpec) -> int:
    quarter = spec.context_window // 4
    return min(spec.max_tokens or quarter, quarter)


def _fixed(context: TurnContext, params: ModelRequestParameters) -> int:
    """Count the bytes of instructions and tools."""
    names = tuple(params.tool_defs)
    if context.counted[0] != names:
        context.counted = (names, sum(map(_described, params.tool_defs.values())))
    standing = sum(len(part.content.encode()) for part in params.instruction_parts or ())
    return context.counted[1] + standing


def _described(tool: ToolDefinition) -> int:
    return (
        len(tool.name) + len(tool.description or "") + len(json.dumps(tool.parameters_json_schema))
    )


def _elided(compacted: Compacted) -> str:
    return f"Earlier results were cut to their first line ({compacted.before} to {compacted.after} bytes)."
