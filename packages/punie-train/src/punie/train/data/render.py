"""From an example to token ids and weights, by the same rendering that serves the model.

Every turn of the assistant is trained, and nothing else: its ids are what serving would generate
after the prompt that serving would feed. That both encode alike is checked for each example.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from punie.agent.prompts.chat_template import ChatTokenizer, ToolSpec, render
from punie.train.data.example import Example, Message, to_chat
from punie.train.data.tokens import DIRECT, Tokens
from punie.train.errors import DataError, EmptyTargetError


class Weights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much the tokens of a turn count, by what the turn is."""

    call: float = 1.0
    answer: float = 0.35
    """An answer without a tool: the tiny model cannot learn facts, only when and how to answer."""
    report: float = 0.7
    first: float = 3.0
    """The first token of each turn, which decides between a call and an answer."""


class Renderer:
    """Renders examples for one model, tool list and set of instructions."""

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        *,
        instructions: str,
        tools: Sequence[ToolSpec],
        weights: Weights,
        max_tokens: int = 1024,
        trace_weight: float = 1.0,
    ) -> None:
        self._tokenizer = tokenizer
        self._system = {"role": "system", "content": instructions}
        self._tools = tools
        self._weights = weights
        self._max_tokens = max_tokens
        self._trace_weight = trace_weight

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Give the ids that serving feeds before the assistant's next turn."""
        return render(self._tokenizer, self._chat(messages), self._tools)

    def tokens(self, example: Example) -> Tokens:
        """Render a whole example with one weight per id.

        What is too long loses its earliest exchanges, if they are only read, and then its last turns.

        Raises:
            EmptyTargetError: It is too long: no turn of the assistant would be left whole.
            DataError: Training and serving would encode it differently.
        """
        while len(self._whole(example)) > self._max_tokens:
            shorter = _without_earliest(example)
            if shorter is None:
                break
            example = shorter
        messages = example.messages
        ids = self._whole(example)
        weights = [0.0] * len(ids)
        for index, message in enumerate(messages):
            if message.role == "assistant" and message.trained:
                self._mark(example, index, ids, weights)
        kept = self._whole_turns(weights)
        if not any(weights[:kept]):
            raise EmptyTargetError(example.id, len(ids), self._max_tokens)
        reports = any(message.role == "tool" for message in messages)
        kind = f"{'report/' if reports else ''}{example.tool or DIRECT}"
        return Tokens(ids=tuple(ids[:kept]), weights=tuple(weights[:kept]), kind=kind)

    def _chat(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        return [self._system, *(to_chat(message) for message in messages)]

    def _whole(self, example: Example) -> list[int]:
        chat = self._chat(example.messages)
        return render(self._tokenizer, chat, self._tools, add_generation_prompt=False)

    def _mark(self, example: Example, index: int, ids: list[int], weights: list[float]) -> None:
        """Weigh the ids of one turn, its end mark included."""
        before = self.prompt_ids(example.messages[:index])
        after = render(
            self._tokenizer,
            self._chat(example.messages[: index + 1]),
            self._tools,
            add_generation_prompt=False,
        )
        if ids[: len(before)] != before or ids[: len(after)] != after:
            raise DataError(f"example {example.id}: training and serving tokens differ")
        # The template writes a line break behind the end mark; generation stops at the mark.
        end = len(after) - 1
        times = self._trace_weight if example.traced else 1.0
        weight = self._weight(example.messages, index) * times
        for position in range(len(before), end):
            weights[position] = weight
        weights[len(before)] = self._first(example.messages, index) * times

    def _first(self, messages: Sequence[Message], index: int) -> float:
        """Weigh the token that decides between a call and an answer.

        Examples with a result share batches in which nothing is answered directly: learning the
        decision there would teach to call always.
        """
        before_result = index + 1 < len(messages) and messages[index + 1].role == "tool"
        after_result = index > 0 and messages[index - 1].role == "tool"
        return 0.0 if before_result else 1.0 if after_result else self._weights.first

    def _weight(self, messages: Sequence[Message], index: int) -> float:
        if messages[index].call:
            return self._weights.call
        reports = index > 0 and messages[index - 1].role == "tool"
        return self._weights.report if reports else self._weights.answer

    def _whole_turns(self, weights: list[float]) -> int:
        """Cut to the limit, but never through a turn of the assistant."""
        if len(weights) <= self._max_tokens:
            return len(weights)
        kept = self._max_tokens
        while kept and weights[kept]:
            kept -= 1
        return kept


def _without_earliest(example: Example) -> Example | None:
    """Take the first exchange away; `None` when it is the only one or something in it is learnt."""
    asked = [index for index, message in enumerate(example.messages) if message.role == "user"]
    if len(asked) < 2:
        return None
    first, rest = example.messages[: asked[1]], example.messages[asked[1] :]
    if any(message.role == "assistant" and message.trained for message in first):
        return None
    return structs.replace(example, messages=rest)
