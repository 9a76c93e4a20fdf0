"""The one road from (messages, tools) to the token ids that a model in this process reads.

Serving, training and evaluation call `render`, so they cannot drift apart. The template is the
tokenizer's own; the embedded model's is `embedded.jinja`, written into its folder when it is
converted. Text that looks like one of the model's special tokens is defused before rendering:
a file cannot open a turn. Nothing here loads a model.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import jinja2

ChatMessage: TypeAlias = Mapping[str, Any]
"""`role` (`system`, `user`, `assistant` or `tool`), `content` and, for the assistant,
`tool_calls`: `[{"type": "function", "function": {"name": ..., "arguments": {...}}}]`."""

ToolSpec: TypeAlias = Mapping[str, Any]
"""`{"type": "function", "function": {"name", "description", "parameters"}}`."""

TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
"""Marks of the protocol that only the template and the assistant may write."""

_ASSISTANT_MAY_WRITE = frozenset((*TAGS, "<think>", "</think>"))

_JOINER = "\u200d"
"""Zero-width joiner: put behind the first character, it keeps a mark from being one."""


class ChatTokenizer(Protocol):
    """What rendering needs; `models.embedded.tokenizer` and mlx-lm's tokenizer both have it."""

    @property
    def chat_template(self) -> str | None:
        """The Jinja source."""
        ...

    @property
    def bos_token(self) -> str | None:
        """Some templates start with it."""
        ...

    @property
    def eos_token(self) -> str | None:
        """Some templates end turns with it."""
        ...

    def get_added_vocab(self) -> Mapping[str, int]:
        """Texts that encode to one token wherever they stand: control tokens and tags."""
        ...

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Turn text into ids."""
        ...


class NoChatTemplateError(Exception):
    """The model's folder says nothing about how to write a conversation."""


def embedded_template() -> str:
    """Read the template of the embedded model."""
    return (
        resources
        .files("punie.agent.prompts")
        .joinpath("embedded.jinja")
        .read_text(encoding="utf-8")
    )


def embedded_template_sha256() -> str:
    """Identify the template's text."""
    return hashlib.sha256(embedded_template().encode()).hexdigest()


def render_text(
    tokenizer: ChatTokenizer,
    messages: Sequence[ChatMessage],
    tools: Sequence[ToolSpec] = (),
    *,
    add_generation_prompt: bool = True,
) -> str:
    """Write a conversation as the text that the model reads.

    Args:
        tokenizer: Gives the template and the added tokens.
        messages: Oldest first. An assistant's `content` may hold a call as raw text.
        tools: What the model may call.
        add_generation_prompt: End with the opening of the assistant's turn.

    Returns:
        The text; it already contains every special token.

    Raises:
        NoChatTemplateError: The tokenizer has no template.
    """
    source = tokenizer.chat_template
    if not source:
        raise NoChatTemplateError("the model's tokenizer has no chat template")
    marks = (*tokenizer.get_added_vocab(), *TAGS)
    return _compile(source).render(
        messages=[_defused(message, marks) for message in messages],
        tools=list(tools) or None,
        add_generation_prompt=add_generation_prompt,
        bos_token=tokenizer.bos_token or "",
        eos_token=tokenizer.eos_token or "",
    )


def render(
    tokenizer: ChatTokenizer,
    messages: Sequence[ChatMessage],
    tools: Sequence[ToolSpec] = (),
    *,
    add_generation_prompt: bool = True,
) -> list[int]:
    """Write a conversation as token ids; see `render_text`.

    Returns:
        The ids, shape `(tokens,)`.

    Raises:
        NoChatTemplateError: The tokenizer has no template.
    """
    text = render_text(tokenizer, messages, tools, add_generation_prompt=add_generation_prompt)
    return list(tokenizer.encode(text, add_special_tokens=False))


def defuse(text: str, marks: Iterable[str]) -> str:
    """Break every mark in a text so that it encodes as ordinary characters.

    Example:
        >>> defuse("a <|im_start|> b", ["<|im_start|>"]).replace(chr(0x200D), "·")
        'a <·|im_start|> b'
    """
    for mark in marks:
        if mark in text:
            text = text.replace(mark, mark[0] + _JOINER + mark[1:])
    return text


def _defused(message: ChatMessage, marks: Sequence[str]) -> ChatMessage:
    content = message.get("content")
    clean = dict(message)
    if isinstance(content, str):
        if message.get("role") == "assistant":
            own = [mark for mark in marks if mark not in _ASSISTANT_MAY_WRITE]
            clean["content"] = defuse(content, own)
        else:
            clean["content"] = defuse(content, marks)
    if calls := message.get("tool_calls"):
        clean["tool_calls"] = [_defused_call(call, marks) for call in calls]
    return clean


def _defused_call(call: Mapping[str, Any], marks: Sequence[str]) -> Mapping[str, Any]:
    function = call["function"]
    arguments = {
        name: defuse(value, marks) if isinstance(value, str) else value
        for name, value in function["arguments"].items()
    }
    return {**call, "function": {**function, "arguments": arguments}}


@functools.lru_cache(maxsize=8)
def _compile(source: str) -> jinja2.Template:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # The settings that Hugging Face's templates are written for.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise, strftime_now=_strftime_now)  # pyright: ignore[reportCallIssue,reportArgumentType]
    return environment.from_string(source)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> None:
    import jinja2

    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    from datetime import datetime

    return datetime.now().astimezone().strftime(form)
