"""What navigation is asked and what it answers: arguments and results of its tools."""

from __future__ import annotations

from msgspec import Struct

from punie.agent.tools.paths import plural
from punie.agent.tools.quality import Finding
from punie.agent.tools.results import Result


class OfSymbol(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `definition`, `references` and `hover`."""

    symbol: str
    """Dotted: `pkg.mod.Class.method`, or the end of it."""


class Outline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `outline`."""

    path: str


class Symbols(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `symbols`."""

    query: str


class Diagnostics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `diagnostics`."""

    path: str


class Place(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a file."""

    path: str
    line: int
    """1-based."""
    text: str = ""
    name: str = ""
    kind: str = ""

    def shown(self) -> str:
        """Write it as programs do: `path:line: text`."""
        what = f"{self.kind} {self.name}".strip() or self.text
        return f"{self.path}:{self.line}: {what}".rstrip(": ")


class DefinitionResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """Where a symbol is defined, with its source."""

    symbol: str
    """The whole dotted name of what was found."""
    kind: str = ""
    path: str = ""
    line: int = 0
    end_line: int = 0
    source: str = ""
    choices: tuple[Place, ...] = ()
    """All of them when the name fits several."""

    def headline(self) -> str:
        """Such as `method pkg.mod.Class.run in src/pkg/mod.py, lines 12-20`."""
        if self.error:
            return self.error
        lines = f"line {self.line}" if self.line == self.end_line else ""
        lines = lines or f"lines {self.line}-{self.end_line}"
        return f"{self.kind} {self.symbol} in {self.path}, {lines}"

    def details(self) -> str:
        """The source, or the choices."""
        return self.source or "\n".join(place.shown() for place in self.choices)


class ReferencesResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """Where a symbol is used, its definition included."""

    symbol: str
    references: int = 0
    files: int = 0
    places: tuple[Place, ...] = ()
    """The first `MAX_PLACES`, or the choices when the name fits several."""

    def headline(self) -> str:
        """Such as `4 references to pkg.mod.run in 2 files`."""
        if self.error:
            return self.error
        where = plural(self.files, "file")
        return f"{plural(self.references, 'reference')} to {self.symbol} in {where}"

    def details(self) -> str:
        """One `path:line: text` a line."""
        lines = [place.shown() for place in self.places]
        if self.references > len(self.places):
            lines.append(f"({self.references - len(self.places)} more)")
        return "\n".join(lines)


class HoverResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """A symbol's signature and documentation, as an editor shows them."""

    symbol: str
    text: str = ""
    choices: tuple[Place, ...] = ()

    def headline(self) -> str:
        """The symbol."""
        return self.error or self.symbol

    def details(self) -> str:
        """What the editor would show, or the choices."""
        return self.text or "\n".join(place.shown() for place in self.choices)


class OutlineResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What a file defines."""

    path: str
    symbols: int = 0
    places: tuple[Place, ...] = ()
    """In order; `name` is dotted."""

    def headline(self) -> str:
        """Such as `12 symbols in src/x.py`."""
        return self.error or f"{plural(self.symbols, 'symbol')} in {self.path}"

    def details(self) -> str:
        """One symbol a line, indented by depth."""
        return "\n".join(
            f"{place.line}: {'  ' * place.name.count('.')}{place.kind} {place.name}"
            for place in self.places
        )


class SymbolsResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """Symbols of the project with a name like the query."""

    query: str
    symbols: int = 0
    places: tuple[Place, ...] = ()

    def headline(self) -> str:
        """Such as `3 symbols like 'run'`."""
        if self.error:
            return self.error
        return f"{plural(self.symbols, 'symbol')} like {self.query!r}"

    def details(self) -> str:
        """One symbol a line."""
        return "\n".join(place.shown() for place in self.places)


class DiagnosticsResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What the language server finds wrong with the text as it is now, saved or not."""

    path: str
    program: str = ""
    errors: int = 0
    warnings: int = 0
    findings: tuple[Finding, ...] = ()

    def headline(self) -> str:
        """Such as `1 error, 2 warnings`, or `no problems`."""
        if self.error:
            return self.error
        if not self.errors and not self.warnings:
            return "no problems"
        return f"{plural(self.errors, 'error')}, {plural(self.warnings, 'warning')}"

    def details(self) -> str:
        """One finding a line."""
        return "\n".join(finding.text() for finding in self.findings)
