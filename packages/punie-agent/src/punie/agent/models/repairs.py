"""Make sense of what local models and their servers send instead of proper tool calls.

Calls written into the text (`<tool_call>` with JSON or Qwen's XML, a fenced JSON block), reasoning
tags cut into pieces, arguments that are almost JSON, names that are almost right. A call that was
cut short is never completed: what it would do is not what the model meant. Pure functions over
text; `http` and `embedded.model` decide when to use them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from punie.agent.prompts.chat_template import ToolSpec

Kind: TypeAlias = Literal["text", "thinking", "call"]

TAGS: Mapping[str, Kind] = {
    "<think>": "thinking",
    "</think>": "text",
    "<tool_call>": "call",
    "</tool_call>": "text",
}

_XML = re.compile(r"<function=([^>\s]+)>(.*)", re.DOTALL)
_XML_PARAMETER = re.compile(
    r"<parameter=([^>\s]+)>(.*?)(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL
)
_NAME = re.compile(r'"name"\s*:\s*"([^"]+)"|<function=([^>\s]+)')
_FENCE = re.compile(r"```(?:json|tool_call)?\s*(\{.*\})\s*```", re.DOTALL)
_BEGINS_BARE = re.compile(
    r"\s*(`{0,3}|```[a-z_]*|```(json|tool_call)?\s*|(```(json|tool_call)?\s*)?\{.*)", re.DOTALL
)


class Piece(NamedTuple):
    """Some of a reply, told apart by the tags around it."""

    kind: Kind
    text: str


class CallText(NamedTuple):
    """A call as it can be handed on."""

    name: str
    arguments: dict[str, Any] | str
    """An object, or the text as it came when it is not one."""


class TagSplitter:
    """Tells text, reasoning and calls apart in a stream, also when a tag comes in pieces."""

    def __init__(self, tags: Mapping[str, Kind] = TAGS, *, kind: Kind = "text") -> None:
        """Begin.

        Args:
            tags: What switches to which kind.
            kind: What the reply begins with.
        """
        self.kind: Kind = kind
        self._tags = tags
        self._held = ""
        self._after_tag = False

    def feed(self, text: str) -> list[Piece]:
        """Take more of the reply.

        Returns:
            What is certain by now. An empty piece marks a change of kind.
        """
        self._held += text
        return self._split(final=False)

    def finish(self) -> list[Piece]:
        """Give what was held back as a possible tag."""
        return self._split(final=True)

    def _split(self, *, final: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while self._held:
            start = self._held.find("<")
            if start != 0:
                plain = self._held if start < 0 else self._held[:start]
                self._held = self._held[len(plain) :]
                pieces.append(Piece(self.kind, self._trimmed(plain)))
                continue
            tag = next((tag for tag in self._tags if self._held.startswith(tag)), None)
            if tag is not None:
                self.kind = self._tags[tag]
                self._held = self._held[len(tag) :]
                self._after_tag = True
                pieces.append(Piece(self.kind, ""))
            elif not final and any(tag.startswith(self._held) for tag in self._tags):
                break
            else:
                pieces.append(Piece(self.kind, self._trimmed("<")))
                self._held = self._held[1:]
        return pieces

    def _trimmed(self, text: str) -> str:
        """Drop the empty lines that models put behind a tag."""
        if self._after_tag:
            text = text.lstrip()
            self._after_tag = not text
        return text


def read_call(text: str, tools: Sequence[ToolSpec], *, cut: bool = False) -> CallText | None:
    """Read a call that was written as text.

    Args:
        text: What stands between the tags.
        tools: What can be called, to mend names and arguments.
        cut: The reply ended inside the call: then nothing is mended, so that it cannot run.

    Returns:
        The call; `None` when the text is none.
    """
    if cut:
        found = _NAME.search(text)
        return CallText(found[1] or found[2], text) if found else None
    if found := _XML.search(text):
        values = {name: value.strip("\n") for name, value in _XML_PARAMETER.findall(found[2])}
        return mend(CallText(found[1], _typed(values, _schema(found[1], tools))), tools)
    call = read_object(text)
    if call is None or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    return mend(CallText(call["name"], arguments), tools)


def may_be_bare_call(text: str) -> bool:
    """Tell whether a reply that begins so may turn out to be one JSON call and nothing else."""
    return _BEGINS_BARE.fullmatch(text) is not None


def bare_call(text: str, tools: Sequence[ToolSpec]) -> CallText | None:
    """Read a reply that is nothing but the JSON of a call of a known tool, fenced or not."""
    found = _FENCE.fullmatch(text.strip())
    inner = found[1] if found else text
    try:
        call: object = json.loads(inner)
    except ValueError:
        return None
    if not isinstance(call, dict) or not {"name", "arguments"} <= cast("set[str]", call.keys()):
        return None
    named = read_call(inner, tools)
    return named if named and _schema(named.name, tools) is not None else None


def mend(call: CallText, tools: Sequence[ToolSpec]) -> CallText:
    """Mend the name and the arguments of a complete call, as far as no meaning is guessed.

    Args:
        call: As it came.
        tools: What can be called.

    Returns:
        The call with a known name where one is near, arguments as an object where they can be read
        as one, without nulls for optional ones.
    """
    name = near_name(call.name, [tool["function"]["name"] for tool in tools])
    arguments: object = call.arguments
    for _ in range(2):  # some models encode twice
        if not isinstance(arguments, str):
            break
        arguments = read_object(arguments) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        return CallText(name, call.arguments)
    return CallText(name, _without_nulls(arguments, _schema(name, tools)))


def read_object(text: str) -> dict[str, Any] | None:
    """Read a JSON object; mend small mistakes when the result is still an object.

    Example:
        >>> read_object("{'path': 'a.py',}")
        {'path': 'a.py'}
    """
    stripped = text.strip()
    try:
        value: object = json.loads(stripped, strict=False)
    except ValueError:
        if not stripped.startswith("{"):
            return None
        import json_repair

        value = json_repair.loads(stripped)
    if isinstance(value, str):
        return read_object(value) if value.lstrip().startswith("{") else None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def near_name(name: str, known: Iterable[str]) -> str:
    """Give the one known name that differs only in case, underscores or a prefix.

    Example:
        >>> near_name("functions.readFile", ["read_file", "lint"])
        'read_file'
    """
    names = list(known)
    if name in names:
        return name
    wanted = {_bare(name), _bare(re.split(r"[.:/]", name)[-1])}
    near = [candidate for candidate in names if _bare(candidate) in wanted]
    return near[0] if len(near) == 1 else name


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _schema(name: str, tools: Sequence[ToolSpec]) -> Mapping[str, Any] | None:
    for tool in tools:
        if near_name(name, [tool["function"]["name"]]) == tool["function"]["name"]:
            return tool["function"]["parameters"]
    return None


def _without_nulls(arguments: dict[str, Any], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    required = set((schema or {}).get("required", ()))
    return {k: v for k, v in arguments.items() if v is not None or k in required or schema is None}


def _typed(values: dict[str, str], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the values of XML parameters the types that the schema asks for."""
    properties: Mapping[str, Any] = (schema or {}).get("properties", {})
    typed: dict[str, Any] = {}
    for name, value in values.items():
        typed[name] = value
        if properties.get(name, {}).get("type", "string") != "string":
            try:
                typed[name] = json.loads(value.strip().lower())
            except ValueError:
                continue  # the tool's own check names the mistake to the model
    return typed
