"""A model that follows a script, one list of steps per request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from punie.agent.models.spec import ModelSpec
from punie.agent.sessions.brain import Brain, OnProgress, OpenBrain

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models.function import AgentInfo, FunctionModel


class Say(Struct, frozen=True):
    """Stream a piece of text."""

    text: str


class Think(Struct, frozen=True):
    """Stream a piece of reasoning."""

    text: str


class Call(Struct, frozen=True):
    """Call a tool."""

    name: str
    arguments: dict[str, Any] | str = {}
    """As an object, or as the text that the model wrote."""
    id: str = ""


class Wait(Struct, frozen=True):
    """Stream nothing until an event is set; without one, for ever."""

    event: asyncio.Event | None = None


class Fail(Struct, frozen=True):
    """Raise an error in the middle of the answer."""

    error: BaseException


Step: TypeAlias = Say | Think | Call | Wait | Fail | str
Script: TypeAlias = Sequence[Sequence[Step]]


class Requests(list[tuple[list[Any], Any]]):
    """What the model was sent: messages and parameters of each request."""


def scripted_model(script: Script, *, requests: Requests | None = None) -> FunctionModel:
    """Make a model that answers its n-th request with the n-th list of steps.

    Args:
        script: The answers; a plain string says it. After the last one the model says nothing more
            and a test fails.
        requests: Filled with what the model was sent.
    """
    from pydantic_ai.models.function import FunctionModel

    left = [list(steps) for steps in script]

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if requests is not None:
            requests.append((list(messages), info))
        for index, step in enumerate(left.pop(0)):
            piece = await _played(index, step)
            if piece is not None:
                yield piece

    async def whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return await _collected(stream(messages, info))

    return FunctionModel(whole, stream_function=stream)


async def _played(index: int, step: Step) -> Any:
    """Turn a step into what a streaming function yields."""
    from pydantic_ai.models.function import DeltaThinkingPart, DeltaToolCall

    match step:
        case str(text) | Say(text):
            return text
        case Think(text):
            return {index: DeltaThinkingPart(content=text)}
        case Call(name, arguments, call_id):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            return {index: DeltaToolCall(name, text, tool_call_id=call_id or f"call_{index}")}
        case Wait(event):
            await (event or asyncio.Event()).wait()
            return None
        case Fail(error):
            raise error


async def _collected(pieces: AsyncIterator[Any]) -> ModelResponse:
    """Make a whole response of a stream of text and calls."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import DeltaToolCall

    parts: list[Any] = []
    async for piece in pieces:
        deltas: list[Any] = [piece] if isinstance(piece, str) else list(piece.values())
        for delta in deltas:
            if isinstance(delta, str):
                parts.append(TextPart(delta))
            elif isinstance(delta, DeltaToolCall):
                name = delta.name or ""
                parts.append(ToolCallPart(name, delta.json_args, delta.tool_call_id or name))
    return ModelResponse(parts=parts)


def brain_opener(
    script: Script, *, spec: ModelSpec | None = None, requests: Requests | None = None
) -> OpenBrain:
    """Make what a `Session` opens its model with, for a scripted model."""

    async def open_brain(*, on_progress: OnProgress) -> Brain:
        from punie.agent.tools import catalog
        from punie.agent.turns.build import build_agent

        chosen = spec or ModelSpec(spec="test")
        tools = {tool.name: tool for tool in catalog.select(chosen.tools)}
        if not state:
            state.append(build_agent(scripted_model(script, requests=requests)))
        return Brain(agent=state[0], spec=chosen, tools=tools)

    state: list[Any] = []
    return open_brain
