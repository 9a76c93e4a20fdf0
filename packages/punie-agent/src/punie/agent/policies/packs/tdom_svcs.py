"""tdom, alone or with services: template strings, markup and components.

Source:
    tdom 0.1.20: `html` takes a template string; a component is named, not called, as a tag.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html.parser import HTMLParser

from punie.agent.policies.base import Change, Finding, is_built, policy

_PACKAGES = ("tdom", "tdom_svcs")
_HTML = ("html", "svg", "tdom.html", "tdom.svg")


def _templates(change: Change) -> Iterator[tuple[ast.Call, ast.expr, str]]:
    """Give each call of `html`, its text, and the source from that text on."""
    if not change.imports(*_PACKAGES):
        return
    lines = change.new.split("\n")
    for node in change.calls(*_HTML):
        if node.args:
            text = node.args[0]
            line = lines[text.lineno - 1].encode()[text.col_offset :].decode("utf-8", "replace")
            yield node, text, line


def _is_template(source: str) -> bool:
    prefix = source[: min((source.find(quote) for quote in "\"'" if quote in source), default=0)]
    return "t" in prefix.lower()


@policy("tdom/not-a-template")
def not_a_template(change: Change) -> Iterator[Finding]:
    """`html(f"...")` is a plain text by the time tdom sees it: nothing is escaped."""
    for node, text, source in _templates(change):
        is_text = isinstance(text, (ast.JoinedStr, ast.Constant)) or is_built(text)
        if is_text and not _is_template(source):
            yield Finding(
                line=node.lineno,
                message="html needs a template string; in a plain text nothing is escaped",
                suggestion='html(t"...")',
            )


@policy("tdom/markup-from-values")
def markup_from_values(change: Change) -> Iterator[Finding]:
    """`Markup` of a built text switches escaping off for the values in it."""
    if not change.imports(*_PACKAGES, "markupsafe"):
        return
    for node in change.calls("Markup", "tdom.Markup", "markupsafe.Markup"):
        if node.args and is_built(node.args[0]):
            yield Finding(
                line=node.lineno,
                message="Markup of a text with values in it escapes none of them",
                suggestion='use html(t"..."), or Markup("...").format(value)',
            )


@policy("tdom/component-called")
def component_called(change: Change) -> Iterator[Finding]:
    """`<{Button()} />` calls the component too early: tdom calls it, with attributes and services."""
    for _, text, source in _templates(change):
        if not isinstance(text, ast.JoinedStr) or not _is_template(source):
            continue
        before = ""
        for part in text.values:
            if isinstance(part, ast.Constant):
                before = str(part.value)
            elif isinstance(part, ast.FormattedValue):
                if before.endswith(("<", "</")) and isinstance(part.value, ast.Call):
                    yield Finding(
                        line=part.value.lineno,
                        message="a component is called where its tag stands",
                        suggestion="name it: <{Button} />",
                    )
                before = ""


class _Balance(HTMLParser):
    """Finds the first closing tag that closes nothing, as tdom's own parser would refuse it."""

    VOID = frozenset([
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

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong = self.wrong or f"</{tag}> closes nothing"


@policy("tdom/unbalanced")
def unbalanced(change: Change) -> Iterator[Finding]:
    """Tdom refuses a template whose tags do not close."""
    for node, text, source in _templates(change):
        if not isinstance(text, ast.JoinedStr) or not _is_template(source):
            continue
        parts = [
            str(part.value) if isinstance(part, ast.Constant) else "punie-value"
            for part in text.values
        ]
        parser = _Balance()
        parser.feed("".join(parts))
        parser.close()
        wrong = parser.wrong or (f"<{parser.open[-1]}> is not closed" if parser.open else "")
        if wrong:
            yield Finding(line=node.lineno, message=wrong.replace("punie-value", "{component}"))
