"""HTML files: tags that close, unique ids, and what screen readers need.

In templates (Jinja, Django) tags may close in another branch, so there only single tags are looked
at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from punie.agent.policies.base import Change, Finding, policy

FILES = ("*.html", "*.htm", "*.jinja", "*.j2")
_VOID = frozenset([
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
])
_MAY_STAY_OPEN = frozenset([
    "li",
    "dt",
    "dd",
    "p",
    "rt",
    "rp",
    "optgroup",
    "option",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "td",
    "th",
    "html",
    "head",
    "body",
    "colgroup",
])
_TEMPLATE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)


class _Reader(HTMLParser):
    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        self.findings: dict[str, list[tuple[int, str]]] = {}
        self._whole = whole
        self._open: list[tuple[str, int]] = []
        self._ids: dict[str, int] = {}

    def note(self, rule: str, message: str, line: int = 0) -> None:
        self.findings.setdefault(rule, []).append((line or self.getpos()[0], message))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, dict(attrs))
        if tag not in _VOID:
            self._open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, dict(attrs))

    def _look(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "img" and "alt" not in attributes:
            self.note("img-alt", "this image has no alt text")
        if tag == "html" and not attributes.get("lang"):
            self.note("lang", "the page does not say its language")
        name = attributes.get("id")
        if name and self._whole:
            first = self._ids.setdefault(name, self.getpos()[0])
            if first != self.getpos()[0]:
                self.note("duplicate-id", f"the id {name} is used above already")

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        names = [name for name, _ in self._open]
        if tag not in names:
            self.note("unbalanced", f"</{tag}> closes nothing")
            return
        while self._open:
            name, line = self._open.pop()
            if name == tag:
                return
            if name not in _MAY_STAY_OPEN:
                self.note("unbalanced", f"<{name}> is not closed", line)

    def end(self) -> None:
        self.close()
        for name, line in self._open:
            if name not in _MAY_STAY_OPEN:
                self.note("unbalanced", f"<{name}> is not closed", line)


def _read(change: Change) -> dict[str, list[tuple[int, str]]]:
    is_template = _TEMPLATE.search(change.new) is not None
    text = _TEMPLATE.sub(lambda found: "\n" * found.group().count("\n"), change.new)
    reader = _Reader(whole=not is_template)
    reader.feed(text)
    reader.end()
    if is_template:
        reader.findings.pop("unbalanced", None)
    return reader.findings


@policy("html/unbalanced", FILES)
def unbalanced(change: Change) -> Iterator[Finding]:
    """A tag that does not close puts the rest of the page inside it."""
    for line, message in _read(change).get("unbalanced", []):
        yield Finding(line=line, message=message)


@policy("html/duplicate-id", FILES)
def duplicate_id(change: Change) -> Iterator[Finding]:
    """An id names one element."""
    for line, message in _read(change).get("duplicate-id", []):
        yield Finding(line=line, message=message, suggestion="use a class, or another id")


@policy("html/img-alt", FILES)
def img_alt(change: Change) -> Iterator[Finding]:
    """An image without `alt` is not there for who cannot see it."""
    for line, message in _read(change).get("img-alt", []):
        yield Finding(
            line=line, message=message, suggestion='add alt="..."; alt="" if it only decorates'
        )


@policy("html/lang", FILES)
def lang(change: Change) -> Iterator[Finding]:
    """A page without a language is read aloud in the wrong one."""
    for line, message in _read(change).get("lang", []):
        yield Finding(line=line, message=message, suggestion='<html lang="en">', blocking=False)
