"""Finding one's way by names: definitions, uses, types, outlines and problems, no line numbers.

Answers come from a language server of the project that knows the editor's unsaved text, or from the
IDE's own index where it offers that. The server is started by the first question of a session that
it has to answer, and ends with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from punie.agent.mcp.ide import ide_of
from punie.agent.mcp.tools import McpResult
from punie.agent.tools.base import Call
from punie.agent.tools.language.answers import (
    DefinitionResult,
    Diagnostics,
    DiagnosticsResult,
    HoverResult,
    OfSymbol,
    Outline,
    OutlineResult,
    Place,
    ReferencesResult,
    Symbols,
    SymbolsResult,
)
from punie.agent.tools.language.server import LanguageServer
from punie.agent.tools.language.service import Languages, NoAnswerError
from punie.agent.tools.language.symbols import (
    Symbol,
    files_with,
    find,
    like,
    near,
    walk,
)
from punie.agent.tools.language.wire import KINDS, Diagnostic, Location, path_of
from punie.agent.tools.paths import display
from punie.agent.tools.programs import Target, locate
from punie.agent.tools.quality import MAX_FINDINGS, Finding
from punie.agent.workspaces.base import Workspace

MAX_PLACES = 100
MAX_SOURCE = 60
"""Lines of a definition that are shown."""

T = TypeVar("T")
S = TypeVar("S", bound=Struct)


async def definition(call: Call, args: OfSymbol) -> DefinitionResult:
    """Find where a symbol is defined, and show its source."""

    async def question(server: LanguageServer) -> DefinitionResult:
        found = await the_one(call, server, args.symbol)
        first, last = found.range.start.line, found.range.end.line
        lines = (await _text(call.workspace, found.path)).split("\n")
        if found.kind == "module":
            last = len(lines) - 1
        shown = lines[first : min(last + 1, first + MAX_SOURCE)]
        if last - first >= MAX_SOURCE:
            shown.append(f"[{last + 1 - first - MAX_SOURCE} more lines]")
        return DefinitionResult(
            ok=True,
            symbol=found.name,
            kind=found.kind,
            path=display(call.workspace, found.path),
            line=first + 1,
            end_line=last + 1,
            source="\n".join(line.rstrip("\r") for line in shown),
        )

    try:
        return await ask(call, question)
    except NoAnswerError as error:
        return DefinitionResult(
            ok=False, symbol=args.symbol, error=str(error), choices=error.choices
        )


async def references(call: Call, args: OfSymbol) -> ReferencesResult:
    """Find every use of a symbol."""

    async def question(server: LanguageServer) -> ReferencesResult:
        found = await the_one(call, server, args.symbol)
        await server.sync(await files_with(call, found.name.rpartition(".")[2]))
        used = await server.references(found.path, found.position)
        places = await _places(call.workspace, used)
        return ReferencesResult(
            ok=True,
            symbol=found.name,
            references=len(places),
            files=len({place.path for place in places}),
            places=tuple(places[:MAX_PLACES]),
        )

    try:
        return await ask(call, question)
    except NoAnswerError as error:
        return ReferencesResult(
            ok=False, symbol=args.symbol, error=str(error), places=error.choices
        )


async def hover(call: Call, args: OfSymbol) -> HoverResult:
    """Show a symbol's signature and documentation."""

    async def question(server: LanguageServer) -> HoverResult:
        found = await the_one(call, server, args.symbol)
        text = await server.hover(found.path, found.position)
        if not text:
            error = f"the language server says nothing about {found.name}"
            return HoverResult(ok=False, symbol=found.name, error=error)
        return HoverResult(ok=True, symbol=found.name, text=text)

    try:
        return await ask(call, question)
    except NoAnswerError as error:
        return HoverResult(ok=False, symbol=args.symbol, error=str(error), choices=error.choices)


async def outline(call: Call, args: Outline) -> OutlineResult:
    """List what a file defines."""
    target = await locate(call, args.path)

    async def question(server: LanguageServer) -> OutlineResult:
        found = list(walk(await server.symbols_of(target.path)))
        places = [
            Place(
                path=target.shown,
                line=symbol.selection_range.start.line + 1,
                name=".".join(name),
                kind=KINDS[symbol.kind],
            )
            for name, symbol in found
            if symbol.kind in KINDS
        ]
        return OutlineResult(ok=True, path=target.shown, symbols=len(places), places=tuple(places))

    try:
        if target.error:
            raise NoAnswerError(target.error)
        return await ask(call, question)
    except NoAnswerError as error:
        return OutlineResult(ok=False, path=target.shown, error=str(error))


async def symbols(call: Call, args: Symbols) -> SymbolsResult:
    """Find symbols of the project by a part of their name."""

    async def question(server: LanguageServer) -> SymbolsResult:
        places = [_place(call, one) for one in await like(call, server, args.query)]
        found = tuple(places[:MAX_PLACES])
        return SymbolsResult(ok=True, query=args.query, symbols=len(places), places=found)

    try:
        if not args.query.strip():
            raise NoAnswerError("the query is empty")
        return await _ide_symbols(call, args.query) or await ask(call, question)
    except NoAnswerError as error:
        return SymbolsResult(ok=False, query=args.query, error=str(error))


async def diagnostics(call: Call, args: Diagnostics) -> DiagnosticsResult:
    """Check a file as it is now, saved or not."""
    target = await locate(call, args.path)

    async def question(server: LanguageServer) -> DiagnosticsResult:
        try:
            found = await server.diagnostics(target.path)
        except (OSError, UnicodeDecodeError) as error:
            raise NoAnswerError(f"{target.shown} cannot be read as text: {error}") from error
        findings = [_finding(target.shown, one) for one in found if one.severity <= 2]
        return _diagnosed(target.shown, server.name, findings)

    try:
        if target.error:
            raise NoAnswerError(target.error)
        return await _ide_diagnostics(call, target) or await ask(call, question)
    except NoAnswerError as error:
        return DiagnosticsResult(ok=False, path=target.shown, error=str(error))


class _IdeProblem(Struct):
    description: str = ""
    severity: str = "ERROR"
    line: int = 1
    column: int = 1


class _IdeProblems(Struct):
    errors: list[_IdeProblem]


async def _ide_diagnostics(call: Call, target: Target) -> DiagnosticsResult | None:
    """Ask the IDE, which knows the file best; `None` when there is none or it cannot be read."""
    ide = ide_of(call.services, call.workspace.root)
    answer = await ide.call("get_file_problems", path=target.shown) if ide else None
    if answer is None:
        return None
    problems = _read(answer, _IdeProblems)
    if problems is None:
        return None
    findings = [
        Finding(
            path=target.shown,
            line=max(1, one.line),
            column=max(1, one.column),
            code=one.severity.lower(),
            message=" ".join(one.description.split()),
            severity="error" if one.severity.upper() == "ERROR" else "warning",
        )
        for one in problems.errors
    ]
    return _diagnosed(target.shown, answer.server, findings)


class _IdeSymbol(Struct, rename="camel"):
    file_path: str
    start_line: int | None = None
    line_text: str | None = None
    """The line, with what was found between two pairs of bars."""


class _IdeSymbols(Struct):
    items: list[_IdeSymbol]


async def _ide_symbols(call: Call, query: str) -> SymbolsResult | None:
    """Ask the IDE's index; `None` when there is none, it knows nothing, or it cannot be read."""
    ide = ide_of(call.services, call.workspace.root)
    answer = await ide.call("search_symbol", query=query) if ide else None
    found = None if answer is None else _read(answer, _IdeSymbols)
    places = [] if found is None else [_ide_place(call, one) for one in found.items]
    if not places:
        return None
    return SymbolsResult(
        ok=True, query=query, symbols=len(places), places=tuple(places[:MAX_PLACES])
    )


def _ide_place(call: Call, one: _IdeSymbol) -> Place:
    text = (one.line_text or "").replace("||", "").strip().partition("\n")[0]
    path = display(call.workspace, call.workspace.resolve(one.file_path))
    return Place(path=path, line=one.start_line or 1, text=text.rstrip()[:200])


def _read(answer: McpResult, kind: type[S]) -> S | None:
    """Read the IDE's answer, which is data or the same as text."""
    for read in (
        lambda: msgspec.convert(answer.structured, kind),
        lambda: msgspec.json.decode(answer.text, type=kind),
    ):
        try:
            return read()
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
    return None


def _diagnosed(path: str, program: str, findings: list[Finding]) -> DiagnosticsResult:
    errors = sum(finding.severity == "error" for finding in findings)
    return DiagnosticsResult(
        ok=not errors,
        path=path,
        program=program,
        errors=errors,
        warnings=len(findings) - errors,
        findings=tuple(findings[:MAX_FINDINGS]),
    )


async def ask(call: Call, question: Callable[[LanguageServer], Awaitable[T]]) -> T:
    """Ask the session's language server.

    Raises:
        NoAnswerError: There is none, or it fails.
    """
    languages = call.services.get(Languages, lambda: Languages(call.workspace))
    return await languages.ask(question)


async def the_one(call: Call, server: LanguageServer, name: str) -> Symbol:
    """Find the one symbol that a name means.

    Raises:
        NoAnswerError: It means none, or several; then the error has them.
    """
    found = await find(call, server, name)
    if len(found) == 1:
        return found[0]
    if not found:
        others = ", ".join(await near(call, server, name))
        hint = f"; did you mean {others}?" if others else ""
        raise NoAnswerError(f"the project defines no symbol {name}{hint}")
    choices = tuple(_place(call, one) for one in found[:MAX_PLACES])
    message = f"{len(found)} symbols are called {name}: use the whole name of one"
    raise NoAnswerError(message, choices)


def _place(call: Call, one: Symbol) -> Place:
    path = display(call.workspace, one.path)
    return Place(path=path, line=one.position.line + 1, name=one.name, kind=one.kind)


async def _places(workspace: Workspace, locations: list[Location]) -> list[Place]:
    places: list[Place] = []
    texts: dict[Path, list[str]] = {}
    for location in locations:
        path, line = path_of(location.uri), location.range.start.line
        if path not in texts:
            texts[path] = (await _text(workspace, path)).split("\n")
        text = texts[path][line].strip()[:200] if line < len(texts[path]) else ""
        places.append(Place(path=display(workspace, path), line=line + 1, text=text))
    unique = {(place.path, place.line): place for place in places}
    return sorted(unique.values(), key=lambda place: (place.path, place.line))


async def _text(workspace: Workspace, path: Path) -> str:
    try:
        return await workspace.read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise NoAnswerError(f"{display(workspace, path)} cannot be read: {error}") from error


def _finding(path: str, one: Diagnostic) -> Finding:
    return Finding(
        path=path,
        line=one.range.start.line + 1,
        column=one.range.start.character + 1,
        code=str(one.code or one.source or ""),
        message=" ".join(one.message.split()),
        severity="error" if one.severity == 1 else "warning",
    )
