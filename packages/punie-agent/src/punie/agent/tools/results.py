"""What tools return: typed, always with `ok`, and a first line that states the figures.

`ok` is true only when the tool ran, its output was understood, and it found nothing wrong.
`error` says why a result could not be determined at all (program missing, unreadable output);
a result with an `error` is never `ok`. Nothing here runs anything.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all tool results. Types are additive: fields are added, never changed."""

    ok: bool
    error: str = ""
    """One sentence; empty when the result could be determined."""

    def headline(self) -> str:
        """State the outcome and its figures in one line, without a final full stop."""
        return self.error or ("done" if self.ok else "failed")

    def remark(self) -> str:
        """Say what the tool mended in the call, for the person; most mend nothing."""
        return ""

    def details(self) -> str:
        """Give what stands below the headline: lines of a file, findings, output. May be empty."""
        return ""


def render(result: Result, *, limit: int = 8000) -> str:
    """Write a result as the model reads it: the headline, then as many details as fit.

    Training data, native calls and evaluation all use this one function.

    Args:
        result: What a tool returned.
        limit: Length of the whole text, characters.

    Returns:
        Text of at most `limit` characters; says so when details were cut.
    """
    head = f"error: {result.error}" if result.error else result.headline()
    body = result.details()
    if not body:
        return head[:limit]
    text = f"{head}\n{body}"
    if len(text) <= limit:
        return text
    note = "\n[cut: ask for a smaller part]"
    return text[: max(0, limit - len(note))] + note


def to_json(result: Result) -> object:
    """Turn a result into plain JSON values, for events and `--json`."""
    return msgspec.to_builtins(result)
