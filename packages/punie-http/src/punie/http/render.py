"""A conversation as a file to keep: Markdown, or one HTML page that needs nothing else.

What an agent wrote is Markdown of an unknown author: the library renders it without its HTML, and
what comes out is sanitised against a short list of elements. The live page uses none of this.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from punie.http.transcript import Item, text_of

TAGS: frozenset[str] = frozenset({
    *("p", "br", "hr", "em", "strong", "del", "s", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "a", "span", "div"),
    *("table", "thead", "tbody", "tr", "th", "td"),
})
"""Elements that may come of an agent's text."""
_HEADS = {"user": "You", "agent": "Agent", "thought": "Thought"}
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.55 system-ui,sans-serif;max-width:50rem;"
    "margin:2rem auto;padding:0 1rem}pre{overflow:auto;padding:.7rem;border:1px solid #8886;"
    "border-radius:6px}h2{font-size:1rem;margin:1.6rem 0 .2rem;opacity:.7}table{border-collapse:"
    "collapse}td,th{border:1px solid #8886;padding:.2rem .5rem}"
)


def to_html(text: str) -> str:
    """Render Markdown of an unknown author as HTML that cannot do anything.

    Example:
        >>> to_html("**hi** <script>alert(1)</script>")
        '<p><strong>hi</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>'
    """
    import nh3

    rendered = _markdown().render(text)
    return nh3.clean(
        rendered,
        tags=set(TAGS),
        attributes={"a": {"href", "title"}, "span": {"class"}, "ol": {"start"}},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer",
    ).strip()


def page(title: str, items: Iterable[Item]) -> str:
    """Write a conversation as one HTML page.

    Args:
        title: The session's.
        items: Of its transcript.
    """
    body = "\n".join(_html_of(item) for item in items)
    name = html.escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{name}</title><style>{_STYLE}{_colours()}</style></head>"
        f"<body><h1>{name}</h1>\n{body}\n</body></html>\n"
    )


def markdown(title: str, items: Iterable[Item]) -> str:
    """Write a conversation as Markdown; the arguments are those of `page`."""
    parts = [f"# {title}"]
    for item in items:
        head, text, code = _parts(item)
        block = f"{text}\n\n{_fenced(code)}".strip() if code else text
        parts.append(f"## {head}\n\n{block}")
    return "\n\n".join(parts) + "\n"


def _html_of(item: Item) -> str:
    head, text, code = _parts(item)
    shown = to_html(text) if text else ""
    if code:
        shown += _highlight(code, "diff" if code.startswith("diff ") else "text")
    return f"<section><h2>{html.escape(head)}</h2>{shown}</section>"


def _parts(item: Item) -> tuple[str, str, str]:
    """An item's heading, its Markdown, and its verbatim text."""
    match item["type"]:
        case "message":
            return _HEADS[item["role"]], text_of(item["content"]), ""
        case "tool":
            title = item.get("title") or item.get("name") or "Tool call"
            return f"{title} ({item.get('status', 'pending')})", "", _tool_text(item)
        case "plan":
            entries = item["plan"].get("entries", ())
            return "Plan", "\n".join(f"- {e['content']} ({e['status']})" for e in entries), ""
        case "approval":
            told: dict[str, Any] = item.get("answer") or {"outcome": "no answer", "by": "nobody"}
            outcome = told.get("option") or told["outcome"]
            return f"Approval: {item['title']}", f"{outcome}, by the {told['by']}", ""
        case "end":
            return "End of the turn", item.get("error") or item["reason"], ""
        case kind:
            return kind.capitalize(), item.get("title") or item.get("description") or "", ""


def _tool_text(item: Item) -> str:
    texts: list[str] = []
    one: dict[str, Any]
    for one in item.get("content") or ():
        if one["type"] == "diff":
            patch: dict[str, Any] = one.get("patch") or {}
            texts.append(patch.get("text", ""))
        elif one["type"] == "content":
            texts.append(text_of([one["content"]]))
    return "\n".join(text for text in texts if text)


def _fenced(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}\n{code.rstrip()}\n{fence}"


@cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    # The preset takes no HTML; images would be fetched from somewhere.
    rules = MarkdownIt("js-default", {"html": False, "linkify": False, "highlight": _highlighted})
    return rules.disable("image")


def _highlighted(code: str, language: str, _attributes: str) -> str:
    return _highlight(code, language)


def _highlight(code: str, language: str) -> str:
    from pygments import highlight, lexers
    from pygments.util import ClassNotFound

    lexer_named = cast("Any", lexers).get_lexer_by_name
    try:
        lexer = lexer_named(language or "text")
    except ClassNotFound:
        lexer = lexer_named("text")
    return f"<pre>{highlight(code, lexer, _formatter())}</pre>"


@cache
def _formatter() -> Any:
    from pygments.formatters.html import HtmlFormatter

    return cast("Any", HtmlFormatter)(nowrap=True, style="friendly")


@cache
def _colours() -> str:
    return str(_formatter().get_style_defs("pre"))
