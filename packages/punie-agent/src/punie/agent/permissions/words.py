"""Reads one word of a line for the shell: quotes, escapes, and what a shell would expand.

`permissions.shell` reads the commands that the words form; what a substitution holds goes back to
it. Nothing is expanded here: a word is known up to the first thing that would be.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PARAMETER = re.compile(r"\$(?:\{[\w#%:./-]*\}|\w|[@*#?$!-])")
BREAK = " \t\n;|&()<>"
"""Characters that end a word when they are not quoted."""


class Word(NamedTuple):
    """One word of a command, quotes taken away."""

    text: str
    """What is certain: all of it, or what stands before the first expansion."""
    fixed: bool = True
    """The text is all of it."""
    plain: bool = True
    """Nothing of it was quoted, so it may be a reserved word."""


class Piece(NamedTuple):
    """A part of a word; what follows one that is not fixed is not certain either."""

    text: str
    fixed: bool = True


_EXPANDED = Piece("", fixed=False)


def _joined(pieces: list[Piece]) -> Piece:
    text: list[str] = []
    for piece in pieces:
        text.append(piece.text)
        if not piece.fixed:
            return Piece("".join(text), fixed=False)
    return Piece("".join(text))


class WordReader:
    """A position in a text from which words are read; `permissions.shell` adds the commands."""

    def __init__(self, text: str) -> None:
        """Begin at the start of a text."""
        self.unclear = "it holds a null byte" if "\0" in text else ""
        """Why something may have been read wrongly; empty when nothing was."""
        self.text = text
        self.at = 0

    def substitution(self) -> None:
        """Read a command up to its closing parenthesis; the opening one was read."""
        raise NotImplementedError

    def backticked(self, script: str) -> None:
        """Read a command that stood in backticks."""
        raise NotImplementedError

    def next(self, text: str) -> bool:
        """Whether a text comes now."""
        return self.text.startswith(text, self.at)

    def note(self, unclear: str) -> None:
        """Keep the first reason why something may have been read wrongly."""
        self.unclear = self.unclear or unclear

    def word(self) -> Word:
        """Read a word; empty when there is none."""
        start, pieces, plain = self.at, list[Piece](), True
        while self.at < len(self.text):
            char = self.text[self.at]
            if self.at == start and (self.next("<(") or self.next(">(")):
                self.at += 2
                self.substitution()
                pieces.append(_EXPANDED)
            elif char in BREAK:
                break
            elif char == "\\":
                plain = plain and self.next("\\\n")
                pieces.append(self._escaped())
            elif char in "'\"":
                plain = False
                pieces.append(self._quotes(char))
            elif char in "$`":
                pieces.append(self._expansion(in_quotes=False))
            else:
                pieces.append(self._literal(at_start=self.at == start))
        return Word(*_joined(pieces), plain)

    def _literal(self, *, at_start: bool) -> Piece:
        """Read one unquoted character."""
        char = self.text[self.at]
        self.at += 1
        following = self.text[self.at : self.at + 1]
        if char == "{" and following == "}":
            self.at += 1
            return Piece("{}")
        if at_start and char == following == "[":
            self.note("the grammar of [[ is not followed")
        alone = at_start and (not following or following in BREAK)
        if (char in "{[" and not alone) or char in "*?" or (char == "~" and at_start):
            return _EXPANDED
        return Piece(char)

    def _escaped(self) -> Piece:
        following = self.text[self.at + 1 : self.at + 2]
        if not following:
            self.note("it ends in a backslash")
        self.at += 2
        return Piece("" if following == "\n" else following)

    def _quotes(self, char: str) -> Piece:
        self.at += 1
        if char == '"':
            return self.quoted('"')
        end = self.text.find("'", self.at)
        if end < 0:
            self.note("a quote is not closed")
            end = len(self.text)
        text, self.at = self.text[self.at : end], end + 1
        return Piece(text)

    def quoted(self, closing: str) -> Piece:
        """Read what stands in double quotes, or a here-document up to its end."""
        pieces: list[Piece] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == closing:
                self.at += 1
                return _joined(pieces)
            if char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                text = following if following and following in '$`"\\' else char + following
                pieces.append(Piece("" if following == "\n" else text))
                self.at += 2
            elif char in "$`":
                pieces.append(self._expansion(in_quotes=True))
            else:
                pieces.append(Piece(char))
                self.at += 1
        if closing:
            self.note("a quote is not closed")
        return _joined(pieces)

    def _expansion(self, *, in_quotes: bool) -> Piece:
        """Read a `$` or a backtick, which may also stand for itself."""
        if self.next("`"):
            self._backticks(in_quotes)
            return _EXPANDED
        if self.next("$("):
            self.at += 2
            if self.next("("):
                self.note("it calculates")
            self.substitution()
            return _EXPANDED
        if parameter := _PARAMETER.match(self.text, self.at):
            self.at = parameter.end()
            return _EXPANDED
        following = self.text[self.at + 1 : self.at + 2]
        self.at += 1
        if not following or following not in ("{[" if in_quotes else "{['\""):
            return Piece("$")
        self.note(f"what follows ${following} is not read")
        return _EXPANDED

    def _backticks(self, in_quotes: bool) -> None:
        self.at += 1
        inner: list[str] = []
        while self.at < len(self.text) and not self.next("`"):
            if self.next("\\"):
                following = self.text[self.at + 1 : self.at + 2]
                kept = following and following in ('$`\\"' if in_quotes else "$`\\")
                inner.append(following if kept else "\\" + following)
                self.at += 2
            else:
                inner.append(self.text[self.at])
                self.at += 1
        if self.at >= len(self.text):
            self.note("a backtick is not closed")
        self.at += 1
        self.backticked("".join(inner))
