"""One training example as data: a conversation, and where it comes from. No model in sight."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from punie.train.errors import DataError

T = TypeVar("T")

TRACE = "trace:"
"""Begins the provenance of what `punie.agent.sessions.traces` wrote."""

Role: TypeAlias = Literal["user", "assistant", "tool"]


class Also(Struct, frozen=True, kw_only=True):
    """One more call of a message."""

    call: str
    arguments: dict[str, Any]


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message; the system message is added when the example is rendered."""

    role: Role
    content: str = ""
    """Text; of an assistant that calls, what it says before the call."""
    call: str = ""
    """Name of the tool that an assistant calls; empty for text."""
    arguments: dict[str, Any] = {}
    also: tuple[Also, ...] = ()
    """The calls after the first, all made before any of their results."""
    trained: bool = True
    """Whether an assistant's message is learnt; otherwise it is only read, as what came before."""


class Example(Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """A conversation that ends with the assistant."""

    id: str
    messages: tuple[Message, ...]
    provenance: str
    """Generator and, for tool results, the repository and tool that gave them."""

    @property
    def traced(self) -> bool:
        """Whether a person's session gave it."""
        return self.provenance.startswith(TRACE)

    @property
    def prompt(self) -> str:
        """The last thing the user said."""
        return next(m.content for m in reversed(self.messages) if m.role == "user")

    @property
    def tool(self) -> str:
        """The tool that the last prompt leads to; empty when it is answered directly."""
        return self._step.call

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of that call."""
        return self._step.arguments

    @property
    def _step(self) -> Message:
        asked = max(i for i, message in enumerate(self.messages) if message.role == "user")
        return self.messages[asked + 1]


def example(messages: tuple[Message, ...], *, provenance: str) -> Example:
    """Make an example whose id follows from its content."""
    text = repr([(m.role, m.content, m.call, sorted(m.arguments.items())) for m in messages])
    more = repr([(m.also, m.trained) for m in messages if m.also or not m.trained])
    digest = hashlib.sha256(f"{text}{more if more != '[]' else ''}".encode()).hexdigest()[:12]
    return Example(id=digest, messages=messages, provenance=provenance)


def said(prompt: str) -> Message:
    """Make the user's message."""
    return Message(role="user", content=prompt)


def answered(text: str) -> Message:
    """Make an answer of the assistant."""
    return Message(role="assistant", content=text)


def called(tool: str, arguments: dict[str, Any]) -> Message:
    """Make a tool call of the assistant."""
    return Message(role="assistant", call=tool, arguments=arguments)


def returned(text: str) -> Message:
    """Make the message that carries a tool's rendered result."""
    return Message(role="tool", content=text)


def to_chat(message: Message) -> dict[str, Any]:
    """Write a message as `punie.agent.prompts.chat_template` takes it."""
    if not message.call:
        return {"role": message.role, "content": message.content}
    calls = [Also(call=message.call, arguments=message.arguments), *message.also]
    return {
        "role": message.role,
        "content": message.content,
        "tool_calls": [
            {"type": "function", "function": {"name": one.call, "arguments": one.arguments}}
            for one in calls
        ],
    }


def load(path: Path) -> list[Example]:
    """Read a file of examples.

    Raises:
        DataError: It is empty or damaged; the message names the line.
    """
    examples = read_lines(path, Example, again="generate")
    if not examples:
        raise DataError(f"{path} is empty: run the stage `generate` again")
    return examples


def read_lines(path: Path, kind: type[T], *, again: str) -> list[T]:
    """Read one JSON object a line.

    Args:
        path: The file.
        kind: What a line is.
        again: The stage that makes the file anew.

    Raises:
        DataError: A line is damaged.
    """
    found: list[T] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except msgspec.DecodeError as error:
            raise DataError(
                f"{path}, line {number}: {error}; run the stage `{again}` again"
            ) from error
    return found
