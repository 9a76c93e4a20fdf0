"""Reads a line for the shell as a list of simple commands and redirections, and runs nothing.

It reads what `sh`, `dash` and `bash` would all read. Where they differ, or where it does not know, it
says that the line is unclear and goes on splitting, so that what stands there is still seen. It
expands nothing: a word is known up to the first thing that a shell would expand. What the commands
do is not its business; `permissions.commands` sees through those that run others.

Source:
    https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from punie.agent.permissions.words import Word, WordReader

LONGEST = 100_000
"""Characters; a longer line is not read at all."""
DEEPEST = 20
"""Commands within commands."""

_BLANK = " \t"
_SEPARATORS = "\n;|&()"
_OPERATORS = ("<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">&", ">|", ">")
_DELIMITER = re.compile(r"[\w.+-]+")
_DESCRIPTOR = re.compile(r"\d*-?")
_NUMBER = re.compile(r"[0-9]+")

_BEFORE = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{"})
"""Reserved words that a command follows."""
_AFTER = frozenset({"fi", "done", "}", "esac"})
"""Reserved words that end a compound command."""
_OTHER = frozenset({"for", "case", "select", "function", "coproc"})
"""Reserved words whose grammar is not followed here."""


class Simple(NamedTuple):
    """A program with its arguments, or assignments, as written."""

    words: tuple[Word, ...]
    stdin: tuple[str, ...] = ()
    """The here-documents and here-strings that it reads."""


class Redirect(NamedTuple):
    """A file that the shell opens."""

    access: Literal["read", "write"]
    target: Word


class Script(NamedTuple):
    """What was read."""

    commands: tuple[Simple, ...]
    redirects: tuple[Redirect, ...]
    unclear: str
    """Why there may be more or other commands than these; empty when there are not."""


def read_script(text: str, *, depth: int = 0) -> Script:
    """Read a line, or several.

    Args:
        text: As it would be given to `sh -c`.
        depth: How many commands this one stands in.

    Returns:
        Every simple command in it, also those in substitutions, in no promised order.
    """
    if len(text) > LONGEST:
        return Script((), (), "it is too long to be read")
    if depth > DEEPEST:
        return Script((), (), "it is nested too deeply to be read")
    reader = _Reader(text, depth)
    reader.script("")
    commands = (Simple(tuple(words), tuple(stdin)) for words, stdin in reader.commands)
    return Script(tuple(commands), tuple(reader.redirects), reader.unclear)


class _HereDocument(NamedTuple):
    delimiter: str
    literal: bool
    tabs: bool
    stdin: list[str]


class _Reader(WordReader):
    """A position in a text, and what was found before it."""

    def __init__(self, text: str, depth: int) -> None:
        super().__init__(text)
        self.commands: list[tuple[list[Word], list[str]]] = []
        self.redirects: list[Redirect] = []
        self._depth = depth
        self._here: list[_HereDocument] = []

    def script(self, closing: str) -> None:
        """Read commands up to a closing parenthesis, or to the end."""
        words: list[Word] = []
        stdin: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if self._skipped():
                continue
            if char in "<>" or self.next("&>"):
                self._redirect(words, stdin)
            elif char not in _SEPARATORS:
                self._argument(words)
            else:
                if char == "(" and words:
                    self.note("it defines a function, an array or a pattern")
                words, stdin = self._finish(words, stdin)
                self.at += 1
                if char == ")" and closing:
                    return
                self._separated(char)
        self._finish(words, stdin)
        if closing:
            self.note("a parenthesis is not closed")
        if self._here:
            self.note("a here-document has no end")

    def _skipped(self) -> bool:
        """Pass over a blank, a joined line or a comment, if that comes now."""
        char = self.text[self.at]
        if char == "#":
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end
        elif char in _BLANK:
            self.at += 1
        elif self.next("\\\n"):
            self.at += 2
        else:
            return False
        return True

    def _separated(self, char: str) -> None:
        """Go on after a command, with what the separator behind us begins."""
        if char == "\n":
            self._here_documents()
        elif char == "(":
            if self.next("("):
                self.note("it calculates")
            self._nested()
        elif char == ")":
            self.note("a parenthesis is closed that was not opened")

    def _finish(self, words: list[Word], stdin: list[str]) -> tuple[list[Word], list[str]]:
        """End a simple command, without the reserved words before it."""
        while words and words[0].plain and words[0].fixed:
            if words[0].text in _OTHER:
                self.note(f"the grammar of {words[0].text} is not followed")
                if words[0].text == "function":
                    del words[:1]
            elif words[0].text in _AFTER:
                if len(words) > 1:
                    self.note(f"something follows {words[0].text}")
            elif words[0].text not in _BEFORE:
                break
            del words[:1]
        if words:
            self.commands.append((words, stdin))
        return [], []

    def _nested(self) -> None:
        """Read what stands in parentheses; the opening one is behind us."""
        self._depth += 1
        if self._depth > DEEPEST:
            self.note("it is nested too deeply to be read")
            self.at = len(self.text)
        else:
            self.script(")")
        self._depth -= 1

    def _inner(self, text: str) -> None:
        """Read a piece of text that is a script of its own."""
        inner = read_script(text, depth=self._depth + 1)
        self.commands += [(list(words), list(stdin)) for words, stdin in inner.commands]
        self.redirects += inner.redirects
        self.note(inner.unclear)

    # Redirections

    def _redirect(self, words: list[Word], stdin: list[str]) -> None:
        if self.next("<(") or self.next(">("):
            words.append(self.word())
            return
        if self.next("&"):
            self.note("shells disagree about &>")
            self.at += 1
        operator = next(operator for operator in _OPERATORS if self.next(operator))
        self.at += len(operator)
        while self.next(" ") or self.next("\t") or self.next("\\\n"):
            self.at += 2 if self.next("\\") else 1
        target = self.word()
        if target == Word(""):
            self.note("a redirection names no file")
        elif operator in {"<<", "<<-"}:
            self._begin_here(target, operator == "<<-", stdin)
        elif operator == "<<<":
            stdin.append(target.text)
        elif operator in {"<&", ">&"} and target.fixed and _DESCRIPTOR.fullmatch(target.text):
            pass
        else:
            access = "read" if operator in {"<", "<&"} else "write"
            self.redirects.append(Redirect(access, target))

    def _begin_here(self, target: Word, tabs: bool, stdin: list[str]) -> None:
        if not target.fixed or not _DELIMITER.fullmatch(target.text):
            self.note("the end of a here-document cannot be told")
        self._here.append(_HereDocument(target.text, not target.plain, tabs, stdin))

    def _here_documents(self) -> None:
        """Read the here-documents that begin after this line break."""
        for here in self._here:
            lines: list[str] = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = end + 1
                line = line.lstrip("\t") if here.tabs else line
                if line == here.delimiter:
                    break
                lines.append(line)
            else:
                self.note("a here-document has no end")
            self._body(here, "\n".join(lines))
        self._here = []

    def _body(self, here: _HereDocument, text: str) -> None:
        here.stdin.append(text)
        if here.literal:
            return
        if "\\\n" in text or text.endswith("\\"):
            self.note("a here-document joins lines")
        inner = _Reader(text, self._depth + 1)
        inner.quoted("")
        self.commands += inner.commands
        self.redirects += inner.redirects
        self.note(inner.unclear)

    def _argument(self, words: list[Word]) -> None:
        word = self.word()
        redirected = self.next("<") or self.next(">")
        if redirected and word == Word(word.text) and _NUMBER.fullmatch(word.text):
            return  # in `2>` the number belongs to the redirection
        words.append(word)

    def substitution(self) -> None:
        """Read a command within a command."""
        pending = len(self._here)
        self._nested()
        if pending or self._here:
            self.note("a here-document and a substitution are entangled")

    def backticked(self, script: str) -> None:
        """Read a command that stood in backticks."""
        if self._here:
            self.note("a here-document and a substitution are entangled")
        self._inner(script)
