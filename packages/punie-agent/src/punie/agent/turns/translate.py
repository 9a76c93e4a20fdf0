"""From Pydantic AI's stream to session events: text, reasoning, and calls that never ran.

Calls that run tell about themselves (`turns.execute`); this module sees to the rest. Every model
response gets ids of its own, so that text before a tool call and the answer after it are two
messages.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic_ai import AgentRunResultEvent
from pydantic_ai.messages import (
    AgentStreamEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelResponsePart,
    ModelResponsePartDelta,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)

from punie.agent.events import TextContent, ToolCallUpdate
from punie.agent.turns.context import TurnContext


class Translator:
    """Writes one run's events into the turn's emitter."""

    def __init__(self, context: TurnContext, new_id: Callable[[], str]) -> None:
        """Begin a run.

        Args:
            context: The turn.
            new_id: Makes message ids, unique in the session.
        """
        self._context = context
        self._new_id = new_id
        self._message_id = ""
        self._thought_id = ""
        self._text: list[str] = []
        self._invalid: dict[str, ToolCallPart] = {}

    @property
    def text(self) -> str:
        """The text of the latest response, as far as it has come."""
        return "".join(self._text)

    async def see(self, event: AgentStreamEvent | AgentRunResultEvent[str]) -> None:
        """Pass one event on."""
        match event:
            case PartStartEvent(index=index, part=part):
                if index == 0:
                    self._message_id = self._thought_id = ""
                    self._text = []
                await self._add(part)
            case PartDeltaEvent(delta=delta):
                await self._add(delta)
            case FunctionToolCallEvent(part=part, args_valid=False):
                self._invalid[part.tool_call_id] = part
            case FunctionToolResultEvent(part=part) if part.tool_call_id in self._invalid:
                call = self._invalid.pop(part.tool_call_id)
                await self._never_ran(call, part.model_response_str(wrap_if_error=False))
            case _:
                pass

    async def _add(self, part: ModelResponsePart | ModelResponsePartDelta) -> None:
        match part:
            case TextPart(content=text) | TextPartDelta(content_delta=text):
                self._message_id = self._message_id or self._new_id()
                self._text.append(text)
                await self._context.emitter.message(self._message_id, text)
            case ThinkingPart(content=text) | ThinkingPartDelta(content_delta=str(text)):
                self._thought_id = self._thought_id or self._new_id()
                await self._context.emitter.thought(self._thought_id, text)
            case _:
                pass

    async def _never_ran(self, call: ToolCallPart, why: str) -> None:
        await self._context.emitter.emit(
            ToolCallUpdate(
                tool_call_id=self._context.claim_id(call.tool_call_id),
                title=f"{call.tool_name} (not a valid call)",
                name=call.tool_name,
                kind="other",
                status="failed",
                raw_input=call.args,
                content=(TextContent(text=why),),
            )
        )
