"""Read calls in the ways in which models write them: some twenty dialects of markup, JSON, Python.

A server should turn these into proper calls; when its parser does not know the model, they arrive
as text. `read_calls` reads what stood between marks, `bare_calls` a text without marks that is
nothing but calls of known tools. Both give calls whose names and arguments `repairs` has mended.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from punie.agent.models.repairs import (
    CallText,
    fits,
    mend,
    near_name,
    python_value,
    read_object,
    schema_of,
)
from punie.agent.models.splitting import ENDS
from punie.agent.prompts.chat_template import ToolSpec

AS_TEXT = "written as text"
"""What is said of a call that came as text."""

_NAME_KEYS = ("name", "tool_name", "tool", "function", "recipient_name", "action")
_ARGUMENT_KEYS = (
    *("arguments", "parameters", "args", "params", "input", "tool_input", "action_input"),
    "kwargs",
)
_META = frozenset({"id", "type", "tool_call_id", "index"})

_HARMONY = re.compile(
    r"to=(?:functions\.)?(?P<name>[\w.-]+)(?P<head>[^{]*?)(?:<\|message\|>)?\s*(?P<body>\{.*)",
    re.DOTALL,
)
_DEEPSEEK = re.compile(
    r"<\uff5ctool\u2581call\u2581begin\uff5c>(?P<first>.*?)<\uff5ctool\u2581sep\uff5c>(?P<body>.*?)"
    r"(?P<end><\uff5ctool\u2581call\u2581end\uff5c>|\Z)",
    re.DOTALL,
)
_KIMI = re.compile(
    r"<\|tool_call_begin\|>(?P<name>.*?)<\|tool_call_argument_begin\|>(?P<body>.*?)"
    r"(?P<end><\|tool_call_end\|>|<\|tool_calls_section_end\|>|\Z)",
    re.DOTALL,
)
_XML = re.compile(
    r"<function(?:=|\s+name\s*=\s*)[\"']?(?P<name>[^>\s\"']+)[\"']?\s*>(?P<body>.*?)"
    r"(?P<end></function>|</tool_call>|</seed:tool_call>|\Z)",
    re.DOTALL,
)
_INVOKE = re.compile(
    r"<(?:\uff5cDSML\uff5c|\w+:)?invoke\s+name\s*=\s*[\"']?(?P<name>[^>\"']+)[\"']?\s*>(?P<body>.*?)"
    r"(?P<end></(?:\uff5cDSML\uff5c|\w+:)?invoke>|\Z)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    r"<(?:\uff5cDSML\uff5c|\w+:)?param(?:eter)?(?:=|\s+name\s*=\s*)[\"']?(?P<name>[^>\s\"']+)[\"']?[^>]*>"
    r"(?P<value>.*?)(?P<end></(?:\uff5cDSML\uff5c|\w+:)?param(?:eter)?>|(?=<parameter=)|\Z)",
    re.DOTALL,
)
_GLM = re.compile(
    r"<(?:longcat_)?arg_key>(?P<name>.*?)</(?:longcat_)?arg_key>\s*"
    r"<(?:longcat_)?arg_value>(?P<value>.*?)(?P<end></(?:longcat_)?arg_value>|\Z)",
    re.DOTALL,
)
_GEMMA = re.compile(r"call:(?P<name>[\w.-]+)\s*(?P<body>\{.*?\})(?=\s*(?:call:|<|\Z))", re.DOTALL)
_GEMMA_STRING = re.compile(r"(?:<escape>|<\|\"\|>)(.*?)(?:<escape>|<\|\"\|>)", re.DOTALL)
_MISTRAL = re.compile(
    r"\[TOOL_CALLS\]\s*(?P<name>[\w.-]+)\s*(?:\[CALL_ID\][^\[{]*)?(?:\[ARGS\])?\s*(?P<body>\{.*?)"
    r"(?=\[TOOL_CALLS\]|\Z)",
    re.DOTALL,
)
_REACT = re.compile(r"Action:\s*(?P<name>[\w.-]+)\s*\nAction Input:\s*(?P<body>.+)", re.DOTALL)
_FENCED = re.compile(r"(?:Action:\s*)?```(?:[a-z_]*)\s*(?P<body>.*?)\s*```", re.DOTALL)
_TAG = (
    r"(?:\s|</?(?:tool_calls?|TOOLCALL|function_calls|minimax:tool_call|seed:tool_call)>"
    r"|<\|/?(?:tool_call|tool_call_start|tool_call_end|python_tag|START_ACTION|END_ACTION|"
    r"action_start|action_end|plugin|interpreter)\|>|\[/?TOOL_CALLS\]|functools(?=\s*\[))+"
)
_AROUND = re.compile(rf"\A{_TAG}|{_TAG}\Z")
"""Marks that say only that there is a call."""
_NAMED = re.compile(
    r'"(?:name|tool_name|tool)"\s*:\s*"([^"]+)"|<function=([^>\s]+)|invoke name="?([^">]+)|call:(\w+)'
    r"|to=functions\.(\w+)|<tool_call>\s*(\w+)\s*<arg_key>|functions\.(\w+):\d|\[TOOL_CALLS\](\w+)"
    r"|\[(\w+)\(|(?:function)?<\uff5ctool\u2581sep\uff5c>(\w+)|begin\uff5c>(\w+)<\uff5ctool\u2581sep"
)


def read_calls(text: str, tools: Sequence[ToolSpec], *, closed: bool = True) -> list[CallText]:
    """Read what stood between the marks of a call, with its marks.

    Args:
        text: Of one opening mark to its closing one.
        tools: What can be called, to mend names and arguments.
        closed: The closing mark came; else only what is complete by itself counts.

    Returns:
        The calls; none when the text is no call or was cut short.
    """
    for read in (_harmony, _deepseek, _kimi, _xml, _invoke, _glm, _gemma, _mistral):
        calls = list(read(text, tools, closed))
        if calls:
            return calls
    return _plain(_AROUND.sub("", text), tools, closed=closed)


def cut_call(text: str) -> CallText | None:
    """Name a call that was cut short; its arguments stay text, so that it cannot run.

    Returns:
        `None` when not even its name is there.
    """
    found = _NAMED.search(text)
    if found is None:
        return None
    return CallText(next(name for name in found.groups() if name), text)


def bare_calls(text: str, tools: Sequence[ToolSpec]) -> list[CallText]:
    """Read a text without marks that is nothing but calls of known tools that fit.

    Args:
        text: The end of a reply, from the first character that may belong to a call.
        tools: What can be called.

    Returns:
        The calls; none when the text says anything else.
    """
    stripped = ENDS.sub("", text).strip()
    found = _FENCED.fullmatch(stripped)
    inner = found["body"] if found else stripped
    if found and inner.startswith("<"):
        calls = read_calls(inner, tools)
    elif (react := _REACT.fullmatch(inner)) is not None:
        body = _FENCED.fullmatch(react["body"].strip())
        arguments = body["body"] if body else react["body"].strip()
        calls = [_made(react["name"], arguments, tools, closed=False)]
    elif inner.startswith(("to=", "commentary", "assistant")):
        calls = list(_harmony(inner, tools, True))
    else:
        calls = _plain(_AROUND.sub("", inner), tools, closed=False)
    return calls if calls and all(fits(call, tools) for call in calls) else []


def _made(name: str, arguments: Any, tools: Sequence[ToolSpec], *, closed: bool = True) -> CallText:
    return mend(CallText(name.strip(), arguments, (AS_TEXT,)), tools, closed=closed)


def _with_body(pattern: re.Pattern[str]) -> Callable[..., Iterator[CallText]]:
    """Make a reader of `NAME BODY END`, whose body is JSON."""

    def read(text: str, tools: Sequence[ToolSpec], closed: bool) -> Iterator[CallText]:
        for found in pattern.finditer(text):
            ended = closed or bool(found.groupdict().get("end"))
            call = _made(found["name"], ENDS.sub("", found["body"]), tools, closed=ended)
            if isinstance(call.arguments, dict):
                yield call

    return read


_harmony = _with_body(_HARMONY)
_kimi = _with_body(_KIMI)


def _mistral(text: str, tools: Sequence[ToolSpec], closed: bool) -> Iterator[CallText]:
    for found in _MISTRAL.finditer(text):
        # Mistral's calls have no closing mark: only what is complete by itself counts.
        call = _made(found["name"], ENDS.sub("", found["body"]), tools, closed=False)
        if isinstance(call.arguments, dict):
            yield call


def _deepseek(text: str, tools: Sequence[ToolSpec], closed: bool) -> Iterator[CallText]:
    for found in _DEEPSEEK.finditer(text):
        name, body = found["first"].strip(), found["body"]
        if name == "function":
            name, _, body = body.partition("\n")
        call = _made(name, body, tools, closed=closed or bool(found["end"]))
        if isinstance(call.arguments, dict):
            yield call


def _xml(text: str, tools: Sequence[ToolSpec], closed: bool) -> Iterator[CallText]:
    yield from _marked_up(_XML, text, tools)


def _invoke(text: str, tools: Sequence[ToolSpec], closed: bool) -> Iterator[CallText]:
    yield from _marked_up(_INVOKE, text, tools)


def _marked_up(
    pattern: re.Pattern[str], text: str, tools: Sequence[ToolSpec]
) -> Iterator[CallText]:
    """Read calls whose arguments are elements, or one JSON object."""
    for found in pattern.finditer(text):
        body, ended = found["body"], bool(found["end"])
        if "<param" not in body and "\uff5cparameter" not in body:
            if not body.strip() and not ended:
                continue
            call = _made(found["name"], body, tools, closed=ended)
        else:
            parameters = list(_PARAMETER.finditer(body))
            if not ended and not parameters[-1]["end"]:
                continue  # its last value was cut short
            values = {p["name"]: _value(p["value"]) for p in parameters}
            call = _from_texts(found["name"], values, tools)
        if isinstance(call.arguments, dict):
            yield call


def _glm(text: str, tools: Sequence[ToolSpec], closed: bool) -> Iterator[CallText]:
    for piece in re.split(r"<(?:longcat_)?tool_call>", text):
        pairs = list(_GLM.finditer(piece))
        name = re.split(r"[<\s]", piece.strip(), maxsplit=1)[0]
        if pairs and name and pairs[-1]["end"]:
            values = {pair["name"].strip(): pair["value"] for pair in pairs}
            yield _from_texts(name, values, tools)


def _gemma(text: str, tools: Sequence[ToolSpec], closed: bool) -> Iterator[CallText]:
    strings: list[str] = []

    def hide(found: re.Match[str]) -> str:
        strings.append(found[1])
        return f'"\x00{len(strings) - 1}"'

    hidden = _GEMMA_STRING.sub(hide, text)
    for found in _GEMMA.finditer(hidden):
        body = re.sub(r"(?<=[{,])\s*(\w+)\s*:", r'"\1":', found["body"])
        values = read_object(body, closed=closed)
        if values is None or "<escape>" in body:
            continue
        shown = {
            key: strings[int(value[1:])]
            if isinstance(value, str) and value[:1] == "\x00"
            else value
            for key, value in values.items()
        }
        yield _made(found["name"], shown, tools)


def _value(text: str) -> str:
    """Give the text of an element: without its line breaks at the edges, or out of its CDATA."""
    if found := re.fullmatch(r"\s*<!\[CDATA\[(.*?)\]\]>\s*", text, re.DOTALL):
        return found[1]
    text = text.removeprefix("\r").removeprefix("\n")
    return text.removesuffix("\n").removesuffix("\r")


def _from_texts(name: str, values: dict[str, str], tools: Sequence[ToolSpec]) -> CallText:
    """Make a call of arguments that are all texts; the schema says what they are."""
    known = near_name(name.strip(), [tool["function"]["name"] for tool in tools])
    properties: dict[str, Any] = dict((schema_of(known, tools) or {}).get("properties", {}))
    typed: dict[str, Any] = {}
    for key, value in values.items():
        typed[key] = value
        if properties.get(key, {}).get("type", "string") != "string":
            typed[key] = value.strip()
            if properties[key]["type"] not in {"integer", "boolean"}:
                try:
                    typed[key] = json.loads(html.unescape(value.strip()))
                except ValueError:
                    continue  # the tool's own check names the mistake to the model
    call = _made(name, typed, tools)
    # A text is what such a call consists of: that it was read as a number is no repair.
    return call._replace(mended=tuple(m for m in call.mended if " read as i" not in m))


def _plain(text: str, tools: Sequence[ToolSpec], *, closed: bool) -> list[CallText]:
    """Read JSON or Python without marks: one call, a list, several behind one another."""
    stripped = ENDS.sub("", text).strip()
    if not stripped:
        return []
    if stripped[0] not in "{[" or re.match(r"\[\s*[\w.]+\(", stripped):
        from_python = _pythonic(stripped, tools)
        if from_python or not (at := re.search(r"[{\[]", stripped)) or not closed:
            return from_python
        stripped = stripped[at.start() :]
    values = list(_json_values(stripped))
    if not values:
        value = read_object(stripped, closed=closed)
        if value is None and stripped.startswith("["):
            value = read_object(stripped.strip("[]").strip(), closed=closed)
        values = [] if value is None else [value]
    return [call for value in values for call in _from_json(value, tools)]


def _json_values(text: str) -> Iterator[Any]:
    """Give each of several JSON values; nothing when one of them is broken."""
    decoder, values, at = json.JSONDecoder(strict=False), list[Any](), 0
    while rest := text[at:].lstrip(" \t\r\n;,"):
        at = len(text) - len(rest)
        if not values or rest[0] in "{[":
            try:
                value, at = decoder.raw_decode(text, at)
            except ValueError:
                return
            values.append(value)
        elif rest.strip("}] \t\r\n"):
            return
        else:
            break
    yield from values


def _from_json(value: Any, tools: Sequence[ToolSpec]) -> Iterator[CallText]:
    if isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _from_json(inner, tools)
    elif isinstance(value, dict):
        yield from _from_object(cast("dict[str, Any]", value), tools)


def _from_object(table: dict[str, Any], tools: Sequence[ToolSpec]) -> Iterator[CallText]:
    for nested in ("tool_calls", "function", "function_call", "tool_call"):
        if isinstance(table.get(nested), dict | list):
            yield from _from_json(table[nested], tools)
            return
    name_key = next((key for key in _NAME_KEYS if isinstance(table.get(key), str)), None)
    if name_key is None:
        yield from _named_by_key(table, tools)
        return
    rest = {k: v for k, v in table.items() if k != name_key and k not in _META}
    given = next((key for key in _ARGUMENT_KEYS if key in rest), None)
    if given is not None:
        arguments = rest[given]
        yield _made(table[name_key], {} if arguments is None else arguments, tools)
    elif not rest or fits(mend(CallText(table[name_key], rest), tools), tools):
        yield _made(table[name_key], rest, tools)


def _named_by_key(table: dict[str, Any], tools: Sequence[ToolSpec]) -> Iterator[CallText]:
    """Read `{"read_file": {"path": "a.py"}}`."""
    names = [tool["function"]["name"] for tool in tools]
    if len(table) == 1:
        ((name, inner),) = table.items()
        if isinstance(inner, dict) and near_name(name, names) in names:
            yield _made(name, inner, tools)


def _pythonic(text: str, tools: Sequence[ToolSpec]) -> list[CallText]:
    """Read `[tool(a="x"), other()]` or a line of calls, as Llama 4, LFM2 and Gemma write them."""
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    calls: list[CallText] = []
    for statement in body:
        if not isinstance(statement, ast.Expr):
            return []
        value = statement.value
        nodes = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
        for node in nodes:
            call = _python_call(node, tools)
            if call is None:
                return []
            calls.append(call)
    return calls


def _python_call(node: ast.expr, tools: Sequence[ToolSpec]) -> CallText | None:
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name) and node.func.id == "print" and len(node.args) == 1:
        return _python_call(node.args[0], tools)
    name = ast.unparse(node.func)
    if name.endswith(".call"):  # Llama 3 writes `tool.call(...)`
        name = name.removesuffix(".call")
    known = near_name(name, [tool["function"]["name"] for tool in tools])
    order = list((schema_of(known, tools) or {}).get("properties", {}))
    if len(node.args) > len(order) or any(keyword.arg is None for keyword in node.keywords):
        return None
    try:
        arguments = {key: python_value(arg) for key, arg in zip(order, node.args, strict=False)}
        arguments |= {str(k.arg): python_value(k.value) for k in node.keywords}
    except (ValueError, TypeError):
        return None
    return _made(name, arguments, tools)
