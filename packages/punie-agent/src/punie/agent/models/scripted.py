"""The model `test`: scripted, deterministic, no network. For tests and conformance tools.

It greets; asked to count slowly it streams numbers; `read FILE`, `write FILE TEXT`, `run COMMAND` and
`ask QUESTION | CHOICE | CHOICE` make it call that one tool and report what came back.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.settings import ModelSettings

from punie.agent.models.history import prompt_text
from punie.agent.models.streaming import whole

GREETING = "Hello from Punie's test model."
PAUSE = 0.05
"""Seconds between two numbers."""
_COUNT = re.compile(r"\bcount\b.*\bslowly\b|\bslowly\b.*\bcount\b", re.IGNORECASE | re.DOTALL)
_UP_TO = 100


class ScriptedModel(FunctionModel):
    """The model itself."""

    def __init__(self) -> None:
        super().__init__(stream_function=_answer, model_name="test")

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer in one piece, by the same script."""
        return await whole(self.request_stream(messages, model_settings, model_request_parameters))


async def _answer(
    messages: list[ModelMessage], info: AgentInfo
) -> AsyncIterator[str | DeltaToolCalls]:
    prompt, results = _turn(messages)
    if results:
        yield _report(results[-1])
        return
    call = _call(prompt)
    if call is not None:
        name, arguments = call
        if name in {tool.name for tool in info.function_tools}:
            yield {0: DeltaToolCall(name, _json(arguments), tool_call_id=f"call_{len(messages)}")}
        else:
            yield f"there is no tool {name} here"
    elif _COUNT.search(prompt):
        numbers = re.findall(r"\d+", prompt)
        for number in range(1, (int(numbers[-1]) if numbers else _UP_TO) + 1):
            yield f"{number} "
            await asyncio.sleep(PAUSE)
    elif images := prompt.split("\n").count("[image]"):
        yield f"{GREETING} It was shown {images} image{'s' if images > 1 else ''}."
    else:
        yield GREETING


def _turn(messages: Sequence[ModelMessage]) -> tuple[str, list[ToolReturnPart]]:
    """Give the last prompt and the tool results after it."""
    prompt, results = "", list[ToolReturnPart]()
    for message in messages:
        if not isinstance(message, ModelRequest):
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                prompt, results = prompt_text(part), []
            elif isinstance(part, ToolReturnPart):
                results.append(part)
    return prompt.strip(), results


def _call(prompt: str) -> tuple[str, dict[str, str]] | None:
    words = prompt.split(maxsplit=2)
    match words:
        case ["read", path]:
            return "read_file", {"path": path}
        case ["write", path, text]:
            return "write_file", {"path": path, "content": text}
        case ["run", *_] if len(words) > 1:
            return "run_command", {"command": prompt.split(maxsplit=1)[1]}
        case ["ask", *_] if len(words) > 1:
            question, *choices = prompt.split(maxsplit=1)[1].split(" | ")
            return "ask_user", {"question": question, "choices": "\n".join(choices)}
        case _:
            return None


def _json(arguments: dict[str, str]) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _report(result: ToolReturnPart) -> str:
    """Repeat the first line of a tool result, its headline."""
    lines = result.model_response_str().strip().splitlines() or ["nothing"]
    return f"{result.tool_name}: {lines[0]}"
