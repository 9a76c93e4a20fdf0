"""A model that follows a script, one list of steps per request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from punie.agent.models.spec import ModelSpec
from punie.agent.sessions.session import Brain, OnProgress

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage
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
    from pydantic_ai.models.function import DeltaThinkingPart, DeltaToolCall, FunctionModel

    left = [list(steps) for steps in script]

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if requests is not None:
            requests.append((list(messages), info))
        for index, step in enumerate(left.pop(0)):
            match step:
                case str(text) | Say(text):
                    yield text
                case Think(text):
                    yield {index: DeltaThinkingPart(content=text)}
                case Call(name, arguments, call_id):
                    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                    delta = DeltaToolCall(name, text, tool_call_id=call_id or f"call_{index}")
                    yield {index: delta}
                case Wait(event):
                    await (event or asyncio.Event()).wait()
                case Fail(error):
                    raise error

    return FunctionModel(stream_function=stream)


def brain_opener(
    script: Script, *, spec: ModelSpec | None = None, requests: Requests | None = None
) -> Callable[..., Awaitable[Brain]]:
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
