"""Replies that misbehave, in the formats of real models, and what must become of each.

A line of `corpus/*.jsonl` is one reply as a server let it through, with the calls that were meant. The
tests of the agent and the evaluation of a trained model read the same lines.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from importlib import resources
from typing import TYPE_CHECKING, Any

from punie.agent.tools.catalog import CATALOG

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

    from punie.agent.models.embedded.engine import JobEvent

Line = dict[str, Any]
"""`model`, `form`, `content` or `tool_calls`, `finish`, and `expected`: the calls that were meant."""


def lines(*names: str) -> list[Line]:
    """Read files of the corpus.

    Args:
        names: `as_text` and `as_calls` must become the calls that were meant, `cut` and `no_call` none.
    """
    folder = resources.files("punie.agent.testing").joinpath("corpus")
    texts = [folder.joinpath(f"{name}.jsonl").read_text(encoding="utf-8") for name in names]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def label(line: Line) -> str:
    """Name a line."""
    return f"{line['model']}: {line['form']}"


def intended(line: Line) -> list[tuple[str, Any]]:
    """Give the calls that were meant, with parsed arguments."""
    return [(c["name"], CATALOG[c["name"]].parse(c["arguments"])) for c in line["expected"]]


def runnable(response: ModelResponse) -> list[tuple[str, Any]]:
    """Give the calls that would run: of known tools, with arguments that their tools accept."""
    from pydantic_ai.messages import ToolCallPart

    calls: list[tuple[str, Any]] = []
    for part in response.parts:
        if isinstance(part, ToolCallPart) and part.tool_name in CATALOG:
            try:
                calls.append((part.tool_name, CATALOG[part.tool_name].parse(part.args_as_dict())))
            except ValueError:
                continue
    return calls


class SpeakingEngine:
    """Stands where a model in this process has its engine, and says what it is told to.

    Tokenizer and template are the real engine's, so that a reply is read as that model's replies are.
    """

    def __init__(self, engine: Any, *, size: int = 7) -> None:
        """Wrap an engine.

        Args:
            engine: The real one; it never generates.
            size: Characters per piece.
        """
        self._engine = engine
        self._size = size
        self.line: Line = {}

    async def loaded(self) -> Any:
        """Give what the real engine has loaded."""
        return await self._engine.loaded()

    async def stream(self, tokens: Any, **_: Any) -> AsyncGenerator[JobEvent]:
        """Say the line in small pieces."""
        from punie.agent.models.embedded.engine import Finished, Text

        text: str = self.line["content"]
        for at in range(0, len(text), self._size):
            yield Text(text[at : at + self._size])
        yield Finished(
            reason="length" if self.line.get("finish") == "length" else "stop",
            text=text,
            prompt_tokens=len(tokens),
            cached_tokens=0,
            output_tokens=len(text),
        )
