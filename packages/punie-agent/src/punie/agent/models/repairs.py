"""Mend what local models write as a call: its JSON, its name, its arguments.

A call that was cut short is never completed: what it would do is not what the model meant. Nothing
is guessed either: a repair changes what stands around the values, never the values, and what still
does not fit goes out as it came, so that the tool's own check tells the model. Pure functions over
text; how calls are found in a reply is in `dialects`.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from punie.agent.prompts.chat_template import ToolSpec

_WRAPPERS = frozenset({"arguments", "parameters", "input", "kwargs", "args", "params"})
"""Some models wrap the arguments once more."""
_REMARKS = frozenset({"explanation", "description", "reason", "reasoning", "thought", "comment"})
"""Arguments that other agents' tools have for the person to read; ours have none."""
_OTHER_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "path": ("file_path", "filepath", "file", "filename", "file_name", "target_file", "dir"),
    "old": ("old_string", "old_str", "old_text", "search", "find"),
    "new": ("new_string", "new_str", "new_text", "replace", "replacement"),
    "content": ("contents", "text", "file_text", "file_content", "new_content"),
    "command": ("cmd", "script", "shell_command"),
    "query": ("pattern", "text", "search_term", "regex"),
}
"""Names that other agents give to the same argument."""
_OTHER_TOOLS: Mapping[str, tuple[str, ...]] = {
    "read_file": ("read", "view", "view_file", "open_file", "cat", "get_file", "file_read"),
    "write_file": ("write", "write_to_file", "save_file", "file_write"),
    "edit_file": ("edit", "str_replace", "replace", "replace_in_file", "str_replace_editor"),
    "list_files": ("ls", "list_dir", "list_directory", "list_folder"),
    "search": ("grep", "grep_search", "search_files", "ripgrep", "find_text"),
    "run_command": ("bash", "shell", "execute_command", "run_shell_command", "run_terminal_cmd"),
    "run_tests": ("pytest", "run_pytest", "test"),
}
"""Names that other agents give to the same tool."""


class CallText(NamedTuple):
    """A call as it can be handed on."""

    name: str
    arguments: dict[str, Any] | str
    """An object, or the text as it came when it is not one."""
    mended: tuple[str, ...] = ()
    """What was mended, a clause each, for the person."""


def mend(call: CallText, tools: Sequence[ToolSpec], *, closed: bool = True) -> CallText:
    """Mend the name and the arguments of a call, as far as no meaning is guessed.

    Args:
        call: As it came.
        tools: What can be called.
        closed: Whoever wrote it said that it is complete; else it must be complete by itself.

    Returns:
        The call with a known name where one is near, arguments as an object where they can be read
        as one, named and typed as the tool wants them.
    """
    mended = list(call.mended)
    arguments: Any = call.arguments
    if isinstance(arguments, str):
        read, how = _read(arguments, closed=closed) if arguments.strip() else ({}, "")
        if read is None:
            near = near_name(call.name, [tool["function"]["name"] for tool in tools])
            return CallText(near, call.arguments, tuple(mended))
        arguments = read
        mended += [how] if how else []
    if not isinstance(arguments, dict):
        return CallText(call.name, json.dumps(arguments), tuple(mended))
    given = cast("dict[str, Any]", arguments)
    name = _known_name(call.name, given, tools)
    if name != call.name:
        mended.append(f"{_short(call.name)} read as {name}")
    schema = schema_of(name, tools)
    if schema is not None:
        given = _fitted(given, schema, mended)
    return CallText(name, given, tuple(mended))


def fits(call: CallText, tools: Sequence[ToolSpec]) -> bool:
    """Tell whether a call names a known tool, with arguments that it has and all that it needs."""
    schema = schema_of(call.name, tools)
    if schema is None or not isinstance(call.arguments, dict):
        return False
    known: Mapping[str, Any] = schema.get("properties", {})
    return set(schema.get("required", ())) <= call.arguments.keys() <= known.keys()


def read_object(text: str, *, closed: bool = True) -> dict[str, Any] | None:
    """Read a JSON object; mend small mistakes when the result is still an object.

    Args:
        text: The object, perhaps with mistakes, perhaps fenced or encoded twice.
        closed: Whoever wrote it said that it is complete; else missing ends are not added.

    Example:
        >>> read_object("{'path': 'a.py',}")
        {'path': 'a.py'}
    """
    return _read(text, closed=closed)[0]


def near_name(name: str, known: Iterable[str]) -> str:
    """Give the one known name that differs only in case, punctuation, a prefix or a number.

    Example:
        >>> near_name("functions.readFile:0", ["read_file", "lint"])
        'read_file'
    """
    names = list(known)
    if name in names:
        return name
    words = [name, *re.split(r"[.:/]+|__|<\||\s", name.strip())]
    wanted = {_bare(word) for word in words} - {""}
    near = [candidate for candidate in names if _bare(candidate) in wanted]
    return near[0] if len(near) == 1 else name


def schema_of(name: str, tools: Sequence[ToolSpec]) -> Mapping[str, Any] | None:
    """Give the schema of a tool's arguments."""
    for tool in tools:
        if tool["function"]["name"] == name:
            return tool["function"]["parameters"]
    return None


class Ending(NamedTuple):
    """How a JSON text ends."""

    in_string: bool
    """Inside a string: then it was cut, or the string holds what looks like a mark."""
    depth: int
    """Brackets that are still open."""


def ending(text: str) -> Ending:
    """Tell how a JSON text ends; its mistakes do not matter."""
    inside, escaped, depth = False, False, 0
    for char in text:
        if escaped:
            escaped = False
        elif inside and char == "\\":
            escaped = True
        elif char == '"':
            inside = not inside
        elif not inside:
            depth += (char in "{[") - (char in "}]")
    return Ending(inside, depth)


def python_value(node: ast.expr) -> Any:
    """Evaluate a literal; JSON's own words count too.

    Raises:
        ValueError: It is no literal.
    """
    if isinstance(node, ast.Name) and node.id in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[node.id]
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [python_value(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(python_value, node.values), strict=True))
    if isinstance(node, ast.List):
        return [python_value(element) for element in node.elts]
    return ast.literal_eval(node)


def _read(text: str, *, closed: bool) -> tuple[dict[str, Any] | None, str]:
    """Read an object, and say how when it was not plain JSON."""
    stripped, how = _unfenced(text.strip()), ""
    value = _strict(stripped)
    for _ in range(2):  # some models encode twice
        if not isinstance(value, str):
            break
        value, how = _strict(value), "arguments were encoded twice"
    if isinstance(value, dict):
        return cast("dict[str, Any]", value), how
    if isinstance(value, list) and len(cast("list[Any]", value)) == 1:
        (only,) = cast("list[Any]", value)
        if not isinstance(only, dict):
            return None, ""
        return cast("dict[str, Any]", only), "arguments were in a list"
    if (found := _python(stripped)) is not None:
        return found, "its JSON was mended"
    end = ending(stripped)
    if not stripped.startswith("{") or end.in_string:
        return None, ""
    if end.depth > 0 and (not closed or re.match(r"[^\"]*'", stripped)):
        return None, ""  # of a text in single quotes nobody can tell whether it was cut
    return _repaired(stripped), "its JSON was mended"


def _unfenced(text: str) -> str:
    found = re.fullmatch(r"```[a-z]*\s*(.*?)\s*```", text, re.DOTALL)
    return found[1] if found else text


def _strict(text: str) -> object:
    """Read JSON that may hold raw line breaks in strings and superfluous brackets behind it."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text)
    except ValueError:
        return None
    return value if not text[end:].strip("}] \t\r\n,;") else None


def _python(text: str) -> dict[str, Any] | None:
    try:
        value = python_value(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _repaired(text: str) -> dict[str, Any] | None:
    import json_repair

    value: object = json_repair.loads(text)
    if not isinstance(value, dict):
        return None
    return value if _faithful(value, text) else None


def _faithful(value: object, text: str) -> bool:
    """Tell whether a repair kept every value to the letter and left nothing out."""
    source = _canonical(text)
    if not all(_canonical(leaf) in source for leaf in _strings(value)):
        return False
    return _letters(json.dumps(value, ensure_ascii=False)) == _letters(text)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _strings(inner)


def _canonical(text: str) -> str:
    """Take out white space and escapes, which a repair may write in another way."""
    return re.sub(r"\\[nrt]|\\|\s", "", text)


def _letters(text: str) -> str:
    letters = "".join(filter(str.isalnum, _canonical(text))).lower()
    return letters.replace("none", "null")


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _short(name: str) -> str:
    return " ".join(name.split())[:40]


def _known_name(name: str, arguments: Mapping[str, Any], tools: Sequence[ToolSpec]) -> str:
    """Find the tool that was meant; another word for it counts only if the arguments fit."""
    names = [tool["function"]["name"] for tool in tools]
    near = near_name(name, names)
    if near in names:
        return near
    bare = _bare(re.split(r"[.:/]", name)[-1])
    meant = [ours for ours, others in _OTHER_TOOLS.items() if bare in map(_bare, others)]
    by_spelling = {_bare(ours): ours for ours in names}
    close = difflib.get_close_matches(bare, by_spelling, n=2, cutoff=0.84)
    meant += [by_spelling[spelling] for spelling in close]
    fitting = {
        ours
        for ours in meant
        if (schema := schema_of(ours, tools)) is not None
        and fits(CallText(ours, _fitted(dict(arguments), schema, [])), tools)
    }
    return fitting.pop() if len(fitting) == 1 else name


def _fitted(
    arguments: dict[str, Any], schema: Mapping[str, Any], mended: list[str]
) -> dict[str, Any]:
    """Name and type the arguments as the schema does."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    if len(arguments) == 1:
        ((key, inner),) = arguments.items()
        if key in _WRAPPERS and key not in properties and isinstance(inner, dict):
            arguments = dict(cast("dict[str, Any]", inner))
            mended.append(f"arguments were wrapped in {key}")
    fitted: dict[str, Any] = {}
    for key, value in arguments.items():
        name = _argument_name(key, properties, arguments.keys() | fitted.keys())
        if name != key:
            mended.append(f"{_short(key)} read as {name}")
        if name in properties:
            if value is None and name not in required:
                continue
            fitted[name] = _typed(value, properties[name].get("type"))
            if fitted[name] != value or type(fitted[name]) is not type(value):
                mended.append(f"{name} read as {properties[name].get('type')}")
        elif properties and (key.lower() in _REMARKS or value in (None, "", False)):
            mended.append(f"{_short(key)} left out")
        else:
            fitted[key] = value
    return fitted


def _argument_name(key: str, properties: Mapping[str, Any], taken: Iterable[str]) -> str:
    if key in properties:
        return key
    free = [name for name in properties if name not in set(taken)]
    near = near_name(key, free)
    if near in free:
        return near
    meant = [name for name in free if _bare(key) in map(_bare, _OTHER_ARGUMENTS.get(name, ()))]
    return meant[0] if len(meant) == 1 else key


def _typed(value: Any, wanted: object) -> Any:
    """Give a value the type that the schema asks for, when it is that value written otherwise."""
    match wanted:
        case "integer" if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,15}\s*", value):
            return int(value)
        case "integer" if isinstance(value, float) and value.is_integer():
            return int(value)
        case "boolean" if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        case "string" if isinstance(value, bool | int | float):
            return json.dumps(value)
        case _:
            return value
