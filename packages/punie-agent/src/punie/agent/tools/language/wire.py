"""What a language server says, as far as Punie reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct


class Position(Struct, frozen=True):
    """A place between two characters; both 0-based, `character` in UTF-16 units."""

    line: int
    character: int


class Range(Struct, frozen=True):
    """From one place to another."""

    start: Position
    end: Position


class Location(Struct, frozen=True):
    """A range in a file."""

    uri: str
    range: Range


class DocumentSymbol(Struct, frozen=True, rename="camel"):
    """A name that a file defines, with the names inside it."""

    name: str
    kind: int
    range: Range
    selection_range: Range
    children: list[DocumentSymbol] = []


class Diagnostic(Struct, frozen=True):
    """What a server complains about."""

    range: Range
    message: str
    severity: int = 1
    """1 error, 2 warning, 3 information, 4 hint."""
    code: str | int | None = None
    source: str | None = None


class DiagnosticReport(Struct, frozen=True):
    """The answer to `textDocument/diagnostic`."""

    items: list[Diagnostic] = []


class TextEdit(Struct, frozen=True, rename="camel"):
    """One replaced range."""

    range: Range
    new_text: str


class _Document(Struct, frozen=True):
    uri: str


class _DocumentEdit(Struct, frozen=True, rename="camel"):
    text_document: _Document
    edits: list[TextEdit]


class WorkspaceEdit(Struct, frozen=True, rename="camel"):
    """A change of several files, in either of the protocol's two forms."""

    changes: dict[str, list[TextEdit]] = {}
    document_changes: list[_DocumentEdit] = []

    def all(self) -> dict[str, list[TextEdit]]:
        """Give the edits by file."""
        edits = {uri: list(found) for uri, found in self.changes.items()}
        for one in self.document_changes:
            edits.setdefault(one.text_document.uri, []).extend(one.edits)
        return edits


class Published(Struct, frozen=True):
    """Diagnostics that a server sent by itself."""

    uri: str
    diagnostics: list[Diagnostic]
    version: int | None = None


class _Markup(Struct, frozen=True):
    value: str


class Hover(Struct, frozen=True):
    """What an editor shows over a name."""

    contents: _Markup | str | list[_Markup | str]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        parts: list[Any] = self.contents if isinstance(self.contents, list) else [self.contents]
        texts = [part if isinstance(part, str) else part.value for part in parts]
        return "\n".join(texts).strip()


KINDS = {
    2: "module",
    3: "namespace",
    5: "class",
    6: "method",
    7: "property",
    8: "field",
    9: "method",
    10: "enum",
    12: "function",
    13: "variable",
    14: "constant",
    22: "member",
    26: "type",
}
"""The protocol's numbers of the kinds that Python has."""


def path_of(uri: str) -> Path:
    """Turn a `file:` URI into a path."""
    from urllib.request import url2pathname

    return Path(url2pathname(unquote(urlsplit(uri).path, errors="surrogateescape")))


def utf16_column(line: str, index: int) -> int:
    """Turn an index into a line of Python text into the protocol's units."""
    return len(line[:index].encode("utf-16-le", "surrogatepass")) // 2
