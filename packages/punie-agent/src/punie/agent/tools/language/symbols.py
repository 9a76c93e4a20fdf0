"""From a dotted name to a place in a file, the way people name things.

`pkg.mod.Class.method`, `Class.method` and `method` all work; what is imported elsewhere under its
name is followed. Nothing is guessed: a name that fits several symbols gives all of them.
"""

from __future__ import annotations

import ast
import asyncio
import difflib
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from punie.agent.tools.base import Call
from punie.agent.tools.language.rpc import RefusedError
from punie.agent.tools.language.server import LanguageServer
from punie.agent.tools.language.wire import (
    KINDS,
    DocumentSymbol,
    Position,
    Range,
    path_of,
    utf16_column,
)
from punie.agent.tools.search import Search, search
from punie.agent.tools.walk import walk_files

WALKING = 2.0
"""Seconds that looking for modules may take."""
MAX_FILES = 20
"""Files that are looked into for one name."""


class Symbol(NamedTuple):
    """A definition."""

    name: str
    """Dotted, from its module on."""
    kind: str
    path: Path
    position: Position
    """Of the name itself."""
    range: Range
    """Of the whole definition."""


async def find(call: Call, server: LanguageServer, name: str) -> list[Symbol]:
    """Find what a dotted name means.

    Args:
        call: In which workspace.
        server: A running server.
        name: Such as `pkg.mod.Class.method`, or the end of it.

    Returns:
        Every definition that fits, in the order of its files; empty when there is none.
    """
    parts = _split(name)
    if not parts:
        return []
    root = call.workspace.root
    modules = await asyncio.to_thread(_modules, root)
    for count in range(len(parts), 0, -1):
        files = [path for path, names in modules.items() if names[-count:] == parts[:count]]
        found = await _in_modules(server, root, files[:MAX_FILES], parts[count:])
        if found:
            return found
    anywhere: list[Symbol] = []
    for path in await _files_that_define(call, parts[-1]):
        symbols = await server.symbols_of(path)
        anywhere += _matching(root, path, symbols, tuple(parts), whole=False)
    return anywhere


async def near(call: Call, server: LanguageServer, name: str, *, limit: int = 3) -> list[str]:
    """Name symbols of the same module that are like one that was not found."""
    parts = _split(name)
    root = call.workspace.root
    modules = await asyncio.to_thread(_modules, root)
    for count in range(len(parts) - 1, 0, -1):
        files = [path for path, names in modules.items() if names[-count:] == parts[:count]]
        for path in files[:MAX_FILES]:
            names = [".".join(found) for found, _ in walk(await server.symbols_of(path))]
            close = difflib.get_close_matches(".".join(parts[count:]), names, limit)
            return [f"{module_name(root, path)}.{one}" for one in close]
    return []


async def like(call: Call, server: LanguageServer, query: str) -> list[Symbol]:
    """Find symbols whose own name contains a text, whatever its case."""
    root = call.workspace.root
    found: list[Symbol] = []
    for path in await files_with(call, query):
        for name, symbol in walk(await server.symbols_of(path)):
            if query.lower() in symbol.name.lower() and symbol.kind in KINDS:
                found.append(_symbol(root, path, name, symbol))
    return found


async def files_with(call: Call, *texts: str) -> list[Path]:
    """Find Python files that hold any of some texts."""
    paths: dict[str, None] = {}
    for text in texts:
        found = await search(call, Search(query=text))
        if found.error:
            raise RefusedError(found.error)
        paths |= dict.fromkeys(hit.path for hit in found.hits)
    python = [path for path in paths if path.endswith((".py", ".pyi"))]
    return [call.workspace.root / path for path in python[:MAX_FILES]]


async def _files_that_define(call: Call, name: str) -> list[Path]:
    files = await files_with(call, f"def {name}", f"class {name}")
    return files or await files_with(call, name)


def _split(name: str) -> list[str]:
    return [part for part in name.strip().strip(".").split(".") if part]


def module_name(root: Path, path: Path) -> str:
    """Write a file as a module: `src/pkg/mod.py` is `pkg.mod`."""
    return ".".join(_module_parts(root, path))


def walk(
    symbols: list[DocumentSymbol], before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], DocumentSymbol]]:
    """Go through a file's symbols with their dotted names, outer ones first.

    What a function holds (parameters, local names) is nobody else's business.
    """
    for symbol in symbols:
        name = (*before, symbol.name)
        yield name, symbol
        if KINDS.get(symbol.kind) not in {"function", "method"}:
            yield from walk(symbol.children, name)


async def _in_modules(
    server: LanguageServer, root: Path, files: list[Path], parts: list[str]
) -> list[Symbol]:
    found: list[Symbol] = []
    for path in files:
        if not parts:
            start = Position(0, 0)
            found.append(
                Symbol(module_name(root, path), "module", path, start, Range(start, start))
            )
            continue
        symbols = await server.symbols_of(path)
        here = _matching(root, path, symbols, tuple(parts), whole=True)
        found += here or await _imported(server, root, path, parts)
    return found


async def _imported(
    server: LanguageServer, root: Path, path: Path, parts: list[str]
) -> list[Symbol]:
    """Follow `from .mod import Name` of a module to where the name is defined."""
    position = await asyncio.to_thread(_import_of, server.text(path), parts[0])
    if position is None:
        return []
    found: list[Symbol] = []
    for location in await server.definition(path, position):
        file = path_of(location.uri)
        if file == path or not file.is_relative_to(root):
            continue
        names = [
            name
            for name, symbol in walk(await server.symbols_of(file))
            if symbol.range.start.line <= location.range.start.line <= symbol.range.end.line
        ]
        outer = names[:1]
        wanted = (*outer[0], *parts[1:]) if outer else tuple(parts[1:])
        symbols = await server.symbols_of(file)
        found += _matching(root, file, symbols, wanted, whole=True)
    return found


def _matching(
    root: Path, path: Path, symbols: list[DocumentSymbol], wanted: tuple[str, ...], *, whole: bool
) -> list[Symbol]:
    found: list[Symbol] = []
    for name, symbol in walk(symbols):
        if symbol.kind not in KINDS or (
            name != wanted if whole else name[-len(wanted) :] != wanted
        ):
            continue
        found.append(_symbol(root, path, name, symbol))
    # A name that is set twice in one place, such as an overload, is one symbol: its last one.
    return list({symbol.name: symbol for symbol in found}.values())


def _symbol(root: Path, path: Path, name: tuple[str, ...], symbol: DocumentSymbol) -> Symbol:
    return Symbol(
        ".".join((module_name(root, path), *name)),
        KINDS[symbol.kind],
        path,
        symbol.selection_range.start,
        symbol.range,
    )


def _modules(root: Path) -> dict[Path, list[str]]:
    return {
        path: _module_parts(root, path)
        for path in walk_files(root, budget=WALKING)
        if path.suffix in {".py", ".pyi"}
    }


def _module_parts(root: Path, path: Path) -> list[str]:
    if not path.is_relative_to(root):
        return [path.stem]
    relative = PurePath(path.relative_to(root)).with_suffix("")
    parts = [part for part in relative.parts if part != "__init__"]
    if "src" in parts:
        parts = parts[len(parts) - parts[::-1].index("src") :]
    return parts or [root.name]


def _import_of(text: str, name: str) -> Position | None:
    """Find the import that brings a name into a module."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, (ast.ImportFrom, ast.Import)):
            continue
        for alias in node.names:
            if (alias.asname or alias.name) == name:
                line = lines[alias.lineno - 1]
                index = len(line.encode()[: alias.col_offset].decode("utf-8", "replace"))
                return Position(alias.lineno - 1, utf16_column(line, index))
    return None
