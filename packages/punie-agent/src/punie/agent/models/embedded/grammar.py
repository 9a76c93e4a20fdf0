"""What a model in this process may say: a Lark grammar for llguidance, made for one request.

For the embedded model a reply is free text or exactly one valid call. It chooses, it does not
spell: paths are words of the user's messages, queries are spans of them, and the digits of a
report are numbers that stand in the conversation. For other models only the calls themselves are
held to their schemas. Compiling and matching is `decoding`'s business.

Source:
    https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from punie.agent.prompts.chat_template import ChatMessage, ToolSpec

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"

_LONGEST_SOURCE = 4_000
"""Characters of a message that may be copied from: the last ones, to keep compiling quick."""
_MOST_WORDS = 400
_EDGES = "\"'`.,;:!?()[]{}<>*"
"""What people put around a path without meaning it."""
_ATTACHED = re.compile(r"(?<=.)(:[0-9]+)+$|(?<=.)['\u2019]s$")
"""What may stand right behind a path: a line number, a possessive."""
_JSON_OPTIONS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammar(Struct, frozen=True, kw_only=True):
    """A grammar and when it holds."""

    lark: str
    trigger: str = ""
    """A token that switches the grammar on until it is fulfilled; empty: it holds throughout."""


class Copied(Struct, frozen=True, kw_only=True):
    """Which arguments of a tool are copied from the user's messages, not made up."""

    paths: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


def reply_grammar(
    messages: Sequence[ChatMessage],
    tools: Sequence[ToolSpec],
    *,
    copied: Mapping[str, Copied] | None = None,
    calls_per_turn: int = 0,
    allow_text: bool = True,
) -> Grammar:
    """Write the grammar of the embedded model's next reply: free text or one call.

    Args:
        messages: The conversation, as it is rendered.
        tools: What may be called; a tool without `copied` arguments takes any JSON that fits.
        copied: By tool name, the arguments to copy from the user's messages.
        calls_per_turn: Tool results since the last user message after which only text may follow;
            0 sets no limit.
        allow_text: Whether an answer without a call is allowed.

    Returns:
        A grammar that holds from the first token.
    """
    results = results_of_turn(messages)
    may_call = bool(tools) and not (calls_per_turn and results >= calls_per_turn)
    rules = [_start_rule(may_call=may_call, allow_text=allow_text or not may_call)]
    if allow_text or not may_call:
        rules.append(_text_rule(_numbers(messages) if results else None))
    if may_call:
        said = [text for text in _user_texts(messages) if text.strip()]
        rules.extend(_call_rules(tools, copied or {}, said))
    return Grammar(lark="\n".join(rules))


def call_grammar(tools: Sequence[ToolSpec]) -> Grammar:
    """Write the grammar of calls for a model that opens them with one token, `<tool_call>`.

    Args:
        tools: What may be called; not empty.

    Returns:
        A grammar that holds from that token to the call's end.
    """
    rules = ["start: call", *_call_rules(tools, {}, [], opened=True)]
    return Grammar(lark="\n".join(rules), trigger=CALL_OPEN)


def results_of_turn(messages: Sequence[ChatMessage]) -> int:
    """Count the tool results since the last user message."""
    count = 0
    for message in reversed(messages):
        if message["role"] == "user":
            break
        count += message["role"] == "tool"
    return count


def path_words(texts: Iterable[str]) -> list[str]:
    """List the words that may be meant as a path, in their order, and `.` last.

    Example:
        >>> path_words(["Lint `src/app/`, please."])
        ['Lint', 'src/app', 'please', '.']
    """
    words: dict[str, None] = {}
    for text in texts:
        for word in text[-_LONGEST_SOURCE:].split():
            bare = word.lstrip(_EDGES.replace(".", "")).rstrip(_EDGES)
            bare = bare.rstrip("/") or ("/" if bare else "")
            if bare.strip(_EDGES + "/\\"):
                words[bare] = None
                words[_ATTACHED.sub("", bare)] = None
    kept = [word for word in words if word != "."][-_MOST_WORDS:]
    return [*kept, "."]


def _start_rule(*, may_call: bool, allow_text: bool) -> str:
    if may_call and allow_text:
        return "start: call | TEXT"
    return "start: call" if may_call else "start: TEXT"


def _text_rule(numbers: Sequence[str] | None) -> str:
    """Free text that is no call; with `numbers`, its digits form only those."""
    shape = r"/[^\s<](?s:.*)/ & ~/(?s:.*)<\/?tool_call(?s:.*)/"
    if numbers is None:
        return f"TEXT: {shape}"
    if not numbers:
        return f"TEXT: {shape} & /[^0-9]*/"
    any_number = "|".join(numbers)
    return f"TEXT: {shape} & /(({any_number})?[^0-9]+)*({any_number})?/"


def _call_rules(
    tools: Sequence[ToolSpec],
    copied: Mapping[str, Copied],
    said: Sequence[str],
    *,
    opened: bool = False,
) -> list[str]:
    bodies = [_body(tool["function"], copied.get(tool["function"]["name"])) for tool in tools]
    opening = "\n" if opened else f"{CALL_OPEN}\n"
    closing = _quoted(f"\n{CALL_CLOSE}")
    rules = [f"call: {_quoted(opening)} ({' | '.join(bodies)}) {closing}"]
    if any(" path" in body for body in bodies):
        words = (_quoted(json.dumps(word, ensure_ascii=False)) for word in path_words(said))
        rules.append(f"path: {' | '.join(words)}")
    if any(" quote" in body for body in bodies):
        rules.extend(_quote_rules(said))
    return rules


def _body(function: Mapping[str, Any], copied: Copied | None) -> str:
    """Write one call, from `{"name"` to the last brace."""
    head = '{"name": ' + json.dumps(function["name"]) + ', "arguments": '
    schema: dict[str, Any] = function["parameters"]
    if copied is None:
        return f"{_quoted(head)} {_json(schema)} {_quoted('}')}"
    parts, separator = [_quoted(head + "{")], ""
    for name, argument in schema.get("properties", {}).items():
        parts.append(_quoted(f"{separator}{json.dumps(name)}: "))
        separator = ", "
        if name in copied.paths:
            parts.append("path")
        elif name in copied.quotes:
            parts.append("quote")
        else:
            parts.append(_json(argument))
    return " ".join([*parts, _quoted("}}")])


def _quote_rules(said: Sequence[str]) -> list[str]:
    """Write a JSON string that is a span of one message, cut at word boundaries."""
    sources = [_chunks(text[-_LONGEST_SOURCE:]) for text in said] or [["."]]
    rules = [
        f"SPAN{n}: %regex {json.dumps({'substring_chunks': chunks})}"
        for n, chunks in enumerate(sources)
    ]
    spans = " | ".join(f"SPAN{n}" for n in range(len(sources)))
    rules.append(rf"QUOTED: ({spans}) & /[^\s](.*[^\s])?/")
    rules.append('quote: "\\"" QUOTED "\\""')
    return rules


def _chunks(text: str) -> list[str]:
    """Cut a text into words, spaces and single marks, each escaped as in a JSON string."""
    pieces = re.findall(r"\w+|\s+|[^\w\s]", text)
    return [json.dumps(piece, ensure_ascii=False)[1:-1] for piece in pieces]


def _json(schema: Mapping[str, Any]) -> str:
    return f"%json {json.dumps({**schema, 'x-guidance': _JSON_OPTIONS})}"


def _quoted(text: str) -> str:
    """Write a literal for Lark."""
    return json.dumps(text, ensure_ascii=False)


def _user_texts(messages: Sequence[ChatMessage]) -> list[str]:
    return [str(message["content"]) for message in messages if message["role"] == "user"]


def _numbers(messages: Sequence[ChatMessage]) -> list[str]:
    """List the runs of digits in the conversation, instructions aside."""
    found: dict[str, None] = {}
    for message in messages:
        if message["role"] != "system":
            found.update(dict.fromkeys(re.findall(r"[0-9]+", str(message.get("content") or ""))))
    return list(found)
