"""Places of a name in texts, and replacing them: the pure half of renaming."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import TypeAlias

from punie.agent.tools.language.wire import Position, utf16_column

Places: TypeAlias = set[int]
"""Where a name begins in one text, as indices."""


def words(text: str, name: str) -> list[int]:
    """Find every place where a name stands alone."""
    return [match.start() for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text)]


def replaced(old: str, new: str, name: str, new_name: str) -> Places:
    """Find which places of a name another tool has replaced.

    Args:
        old: The text before.
        new: The text after, in which only this name changed at some places; line endings may differ.
        name: The name.
        new_name: What it was replaced by.

    Returns:
        The places in `old`; none when more than the name changed.
    """
    before, after = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    found: list[int] = []
    shift = 0
    for number, place in enumerate(words(before, name)):
        if re.compile(rf"{re.escape(new_name)}(?!\w)").match(after, place + shift):
            found.append(number)
            shift += len(new_name) - len(name)
    places = words(before, name)
    if replace(before, [places[number] for number in found], name, new_name) != after:
        return set()
    real = words(old, name)
    return {real[number] for number in found}


def index_of(text: str, position: Position) -> int:
    """Turn a place of the protocol into an index."""
    start = 0
    for _ in range(position.line):
        start = text.index("\n", start) + 1
    end = text.find("\n", start)
    line = text[start:] if end < 0 else text[start:end]
    for index in range(len(line) + 1):
        if utf16_column(line, index) >= position.character:
            return start + index
    return start + len(line)


def position_of(text: str, index: int) -> Position:
    """Turn an index into a place of the protocol."""
    start = text.rfind("\n", 0, index) + 1
    return Position(text.count("\n", 0, index), utf16_column(text[start:], index - start))


def replace(text: str, places: Iterable[int], name: str, new_name: str) -> str:
    """Put a new name at places of the old one."""
    for place in sorted(places, reverse=True):
        text = text[:place] + new_name + text[place + len(name) :]
    return text


def exported(text: str, name: str) -> Places:
    """Find a name among the strings of `__all__`."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return set()
    lines = text.split("\n")
    found: Places = set()
    for node in tree.body:
        if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            continue
        for item in ast.walk(node.value):
            if isinstance(item, ast.Constant) and item.value == name:
                line = lines[item.lineno - 1].encode()[: item.col_offset].decode()
                start = sum(len(one) + 1 for one in lines[: item.lineno - 1]) + len(line)
                found.add(next(place for place in words(text, name) if place >= start))
    return found


def super_calls(text: str, name: str, places: Places) -> Places:
    """Find `super().name` in the classes whose own `name` is among the places."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return set()
    changed = {text.count("\n", 0, place) + 1 for place in places}
    known = {place: text.count("\n", 0, place) + 1 for place in words(text, name)}
    found: Places = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        own = [one for one in node.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
        if not any(one.name == name and one.lineno in changed for one in own):
            continue
        last = node.end_lineno or node.lineno
        found |= {
            place
            for place, line in known.items()
            if node.lineno <= line <= last and text[:place].endswith("super().")
        }
    return found
