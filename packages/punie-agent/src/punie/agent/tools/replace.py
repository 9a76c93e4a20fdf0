"""Replacing one exact text in another: the pure half of `edit_file`.

Line endings and a byte order mark are kept. When the text is not there as written, a match that
differs only in indentation or trailing spaces is taken if it is the only one. Touches no file.
"""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

_INDENT = re.compile(r"[ \t]*")
_HINT_LINES = 12
_HINT_WIDTH = 200
"""Characters of a line."""
_SEARCHED_LINES = 20_000
"""Beyond this, a file is not searched for similar lines: it would take seconds."""


class Edited(NamedTuple):
    """The text after the edit."""

    text: str
    line: int
    """First replaced line, 1-based."""
    removed: int
    """Lines of the replaced text."""
    added: int
    """Lines of the new text."""
    adjusted: bool
    """The match ignored indentation or trailing spaces, and the new text was shifted with it."""


class NotEdited(NamedTuple):
    """Why nothing was replaced."""

    reason: str
    hint: str = ""
    """The most similar place of the file, as a diff."""


def replace_once(text: str, old: str, new: str) -> Edited | NotEdited:
    """Replace the only occurrence of `old`.

    Args:
        text: The file.
        old: What to replace; must occur exactly once.
        new: What to put there.
    """
    if not old:
        return NotEdited("old is empty: give the text to replace, or use write_file")
    if old == new:
        return NotEdited("old and new are the same")
    for ending in ("", "\n", "\r\n"):
        wanted = old if not ending else _with_endings(old, ending)
        count = text.count(wanted)
        if count == 1:
            return _splice(text, text.index(wanted), wanted, new)
        if count > 1:
            return NotEdited(f"old occurs {count} times: add lines around it to make it unique")
    return _replace_loosely(text, old, new)


def _splice(text: str, start: int, found: str, new: str, *, adjusted: bool = False) -> Edited:
    new = _with_endings(new, _ending(found) or _ending(text) or "\n")
    return Edited(
        text=text[:start] + new + text[start + len(found) :],
        line=text.count("\n", 0, start) + 1,
        removed=len(split_lines(found)),
        added=len(split_lines(new)),
        adjusted=adjusted,
    )


def _replace_loosely(text: str, old: str, new: str) -> Edited | NotEdited:
    lines, wanted = split_lines(text), split_lines(old)
    stripped = [line.strip() for line in wanted]
    if not any(stripped):
        return NotEdited("old holds only blank lines: give the text to replace")
    starts = _windows([line.strip() for line in lines], stripped)
    if len(starts) > 1:
        return NotEdited(
            f"old does not occur as written, and {len(starts)} places differ from it only in "
            "spaces: copy it exactly, with more lines around it"
        )
    missing = NotEdited("old does not occur in the file", _nearest(lines, wanted))
    if not starts:
        return missing
    found = lines[starts[0] : starts[0] + len(wanted)]
    shifted = _shift(new, wanted, found)
    if shifted is None:
        return missing
    region = "".join(found)
    if not old.endswith(("\n", "\r")):
        region = region.rstrip("\r\n")
    start = sum(len(line) for line in lines[: starts[0]])
    return _splice(text, start, region, shifted, adjusted=True)


def _windows(lines: list[str], wanted: list[str]) -> list[int]:
    size = len(wanted)
    return [
        start
        for start in range(len(lines) - size + 1)
        if lines[start] == wanted[0] and lines[start : start + size] == wanted
    ]


def _shift(new: str, wanted: list[str], found: list[str]) -> str | None:
    """Indent `new` the way the matched lines differ from what was asked for.

    Returns:
        `None` when the lines differ in no single way.
    """
    change: dict[str, str] = {}
    for asked, real in zip(wanted, found, strict=True):
        if asked.strip() and change.setdefault(_indent(asked), _indent(real)) != _indent(real):
            return None
    shifted = [_shift_line(line, change) for line in split_lines(new)]
    return None if None in shifted else "".join(line for line in shifted if line is not None)


def _shift_line(line: str, change: dict[str, str]) -> str | None:
    indent = _indent(line)
    if not line.strip():
        return line
    if indent in change:
        return change[indent] + line[len(indent) :]
    widths = {len(real) - len(asked) for asked, real in change.items()}
    spaces_only = not any("\t" in text for pair in change.items() for text in pair)
    if len(widths) == 1 and spaces_only and "\t" not in indent:
        return " " * max(0, len(indent) + widths.pop()) + line[len(indent) :]
    known = [asked for asked in change if indent.startswith(asked)]
    if not known:
        return None
    longest = max(known, key=len)
    return change[longest] + line[len(longest) :]


def _nearest(lines: list[str], wanted: list[str]) -> str:
    """Compare what was asked for with the place whose first line is most like its first line."""
    first = next(line.strip() for line in wanted if line.strip())
    stripped = [line.strip() for line in lines[:_SEARCHED_LINES]]
    close = difflib.get_close_matches(first, stripped, 1)
    if not close:
        return ""
    at = stripped.index(close[0])
    asked = [line.rstrip()[:_HINT_WIDTH] for line in wanted[:_HINT_LINES]]
    there = [line.rstrip()[:_HINT_WIDTH] for line in lines[at : at + len(asked)]]
    compared = [line for line in difflib.ndiff(asked, there) if not line.startswith("?")]
    return "\n".join([f"line {at + 1}, old (-) and the file (+):", *compared])


def split_lines(text: str) -> list[str]:
    """Split after each line feed; other characters that `str.splitlines` knows end no line."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _indent(line: str) -> str:
    match = _INDENT.match(line)
    return match.group() if match else ""


def _ending(text: str) -> str:
    """Tell the line ending that a text uses; empty when it has none."""
    crlf = text.count("\r\n")
    if crlf and crlf * 2 >= text.count("\n"):
        return "\r\n"
    return "\n" if "\n" in text else ""


def _with_endings(text: str, ending: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", ending)


def like(old: str, new: str) -> str:
    """Give a whole new text the line endings and byte order mark of the one it replaces."""
    if "\r" not in new and _ending(old) == "\r\n":
        new = _with_endings(new, "\r\n")
    if old.startswith("\ufeff") and not new.startswith("\ufeff"):
        new = "\ufeff" + new
    return new


def count_lines(text: str) -> int:
    """Count lines; a last line without an ending counts."""
    return len(split_lines(text))
