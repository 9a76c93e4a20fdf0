"""What a turn made of a file, as a person reads it: lines that came and went, and the diff itself."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from punie.agent.sessions.filestate import Held

LONGEST = 400
"""Lines of a diff that are shown."""
LARGEST = 1_000_000
"""Bytes of a text that is compared line by line."""


class Compared(NamedTuple):
    """One file before the change and now."""

    name: str
    """As a person reads it: relative to the session's folder, if it is in there."""
    state: str
    """Such as `added`, or why there is no diff."""
    kept: bool
    """Whether it can be taken back."""
    added: int = 0
    removed: int = 0
    """Lines."""
    diff: str = ""
    """Unified; empty when nothing differs, or when it is no text."""


def compare(name: str, before: Held, now: Held, *, kept: bool) -> Compared:
    """Compare what a file was with what it is.

    Args:
        name: As a person reads it.
        before: What it was before the change.
        now: What it is now, whoever made it so.
        kept: Whether what it was can be brought back.
    """
    if before.state == now.state:
        return Compared(name, "as it was before", kept)
    old, new = _text(before), _text(now)
    if old is None or new is None:
        return Compared(name, f"{_verb(before, now)}, not compared", kept)
    if old == new and before.state.kind == now.state.kind:
        return Compared(name, "modified, its text is the same", kept)
    old_name, new_name = (
        "/dev/null" if held.state.kind == "absent" else f"{side}/{name}"
        for side, held in (("a", before), ("b", now))
    )
    compared = difflib.unified_diff(
        old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""
    )
    lines = list(compared)
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    if len(lines) > LONGEST:
        lines[LONGEST:] = [f"[{len(lines) - LONGEST} more lines]"]
    return Compared(name, _verb(before, now), kept, added, removed, "\n".join(lines))


def _verb(before: Held, now: Held) -> str:
    if before.state.kind == "absent":
        return "added"
    return "deleted" if now.state.kind == "absent" else "modified"


def _text(held: Held) -> str | None:
    """Give the text of a file, nothing for one that is not there, `None` for what is no text."""
    if held.state.kind == "absent":
        return ""
    if held.text is not None:
        return held.text
    if held.state.kind != "file" or held.data is None or len(held.data) > LARGEST:
        return None
    try:
        return held.data.decode()
    except UnicodeDecodeError:
        return None
