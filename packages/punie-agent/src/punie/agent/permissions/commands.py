"""Sees through commands that run other commands: `sh -c`, `env`, `sudo`, `xargs`, `find -exec`.

A line becomes all the programs that it would start, as far as that can be told, and the files that
the shell would open for it. What cannot be told makes the reading unclear, which the rules treat as
a question. Nothing here knows rules, and nothing is run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from punie.agent.permissions.shell import DEEPEST, Redirect, Simple, read_script
from punie.agent.permissions.words import Word

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash"})
_SHELL_FLAGS = re.compile(r"[-+][abCefhklmnpruvx]*c?[aefhlpuvx]*(?P<value>o?)")
_SHELL_WORDS = frozenset({"--login", "--norc", "--noprofile", "--posix"})
_FINDS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_MOVES = frozenset({"cd", "chdir", "pushd", "popd"})
_UNREADABLE = {
    "alias": "it gives a program another name",
    "hash": "it gives a program another name",
    "enable": "it gives a program another name",
    "source": "it runs a file in the shell",
    ".": "it runs a file in the shell",
    "fish": "fish has a grammar of its own",
}
_RUNS = 200
"""Programs in one line that are looked at."""
_WORDS = 100
"""Words of one command that are looked at for others."""
_WORD = 10_000
"""Characters of a word that is looked at as a line of its own."""


class _Wrapper(NamedTuple):
    """A program that runs the command in its arguments."""

    valued: str = ""
    """Short options that take a value."""
    positionals: int = 0
    """Arguments before the command."""
    transparent: bool = True
    """It may be ignored: only the command counts."""
    opaque: str = ""
    """Short options after which nobody can tell what is run."""


_WRAPPERS = {
    "builtin": _Wrapper(),
    "busybox": _Wrapper(),
    "chroot": _Wrapper("", 1, transparent=False),
    "command": _Wrapper(),
    "doas": _Wrapper("uC", transparent=False),
    "env": _Wrapper("uC", opaque="S"),
    "exec": _Wrapper("a"),
    "ionice": _Wrapper("cnp"),
    "nice": _Wrapper("n"),
    "nohup": _Wrapper(),
    "setsid": _Wrapper(),
    "stdbuf": _Wrapper("ioe"),
    "sudo": _Wrapper("ugpChrtTUDR", transparent=False, opaque="sie"),
    "time": _Wrapper("fo"),
    "timeout": _Wrapper("ks", 1),
    "xargs": _Wrapper("InPdLsEa", transparent=False),
}


class Run(NamedTuple):
    """A program that would be started."""

    words: tuple[Word, ...]
    """As written, with assignments before it."""
    transparent: bool = False
    """It only runs others, which are listed beside it."""

    @property
    def program(self) -> tuple[Word, ...]:
        """The words without the assignments before them; empty when there are only those."""
        for index, word in enumerate(self.words):
            if not _ASSIGNMENT.match(word.text):
                return self.words[index:]
        return ()


class Reading(NamedTuple):
    """What a line for the shell would do."""

    runs: tuple[Run, ...]
    redirects: tuple[Redirect, ...]
    unclear: str = ""
    """Why it may do something else too; empty when it may not."""
    moves: bool = False
    """It changes folders, so that relative paths lead where nobody can tell."""


def read(command: str, *, posix: bool = os.name == "posix") -> Reading:
    """Read a line for the shell.

    Args:
        command: As the model wrote it.
        posix: Whether it goes to a POSIX shell; other shells are not read.
    """
    if not posix:
        return Reading((), (), "the shell of this system is not read")
    seer = _Seer()
    seer.script(command, depth=0)
    return Reading(tuple(seer.runs), tuple(seer.redirects), seer.unclear, seer.moves)


def hidden(run: Run) -> Iterator[tuple[Word, ...]]:
    """Name the commands that a program might run without being known for it.

    `docker exec web rm x` might run `rm x`, and `git -C .. push` pushes although it does not begin
    with `git push`.

    Args:
        run: The program.

    Returns:
        Every tail of its words; and the program with every tail of its arguments.
    """
    words = run.program[:_WORDS]
    for index in range(1, len(words)):
        if words[index].fixed:
            yield words[index:]
            if index > 1:
                yield (words[0], *words[index:])


def scripts(run: Run) -> Iterator[str]:
    """Name the arguments that might be a line for some shell, also behind an equals sign."""
    for word in run.program[1:_WORDS]:
        for text in dict.fromkeys((word.text[:_WORD], word.text[:_WORD].partition("=")[2])):
            if text and not text.startswith("-"):
                yield text.lstrip("!")  # git's alias for a shell line


def _replaced(words: tuple[Word, ...], index: int) -> str:
    """Tell what an option of xargs says that arguments stand in for; empty when it does not."""
    text = words[index].text
    if text.startswith("-I"):
        return text[2:] or words[index + 1].text
    return (text[2:] or "{}") if text.startswith("-i") else ""


class _Seer:
    """Collects what a line does."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.redirects: list[Redirect] = []
        self.unclear = ""
        self.moves = False

    def note(self, unclear: str) -> None:
        self.unclear = self.unclear or unclear

    def script(self, text: str, *, depth: int) -> None:
        script = read_script(text, depth=depth)
        self.note(script.unclear)
        self.redirects += script.redirects
        for simple in script.commands:
            self.command(simple, depth=depth)

    def command(self, simple: Simple, *, depth: int) -> None:
        if len(self.runs) >= _RUNS:
            self.note("it runs too many programs")
            return
        run = Run(simple.words)
        words = run.program
        if len(words) > _WORDS or any(len(word.text) > _WORD for word in words):
            self.note("it is too long to be looked through")
            words = words[:_WORDS]
        transparent = False
        if words and words[0].fixed:
            name = words[0].text.rpartition("/")[2].lower()
            self.note(_UNREADABLE.get(name, ""))
            self.moves = self.moves or name in _MOVES
            transparent = self._see_through(name, words, simple.stdin, depth)
        bare = len(run.program) == len(run.words)
        self.runs.append(Run(run.words, transparent=transparent and bare))

    def _see_through(
        self, name: str, words: tuple[Word, ...], stdin: tuple[str, ...], depth: int
    ) -> bool:
        """List what a program runs; tell whether nothing else about it matters."""
        if name in _SHELLS:
            return self._shell(words, stdin, depth)
        if name == "eval":
            if not all(word.fixed for word in words):
                self.note("it evaluates what it finds out on the way")
            self.script(" ".join(word.text for word in words[1:]), depth=depth + 1)
            return True
        if name == "trap":
            self.script(" ".join(word.text for word in words[1:2]), depth=depth + 1)
        elif name == "find":
            self._find(words, depth)
        elif name in _WRAPPERS:
            return self._wrapper(name, words, depth)
        return False

    def _shell(self, words: tuple[Word, ...], stdin: tuple[str, ...], depth: int) -> bool:
        operands, is_script = self._shell_options(words)
        if is_script and operands:
            if not operands[0].fixed:
                self.note("it runs a script that it finds out on the way")
            self.script(operands[0].text, depth=depth + 1)
            return True
        elsewhere = not operands or operands[0].text.startswith(("/dev/", "/proc/"))
        if elsewhere or not operands[0].fixed:
            self.note("a shell reads what it runs from somewhere else")
            for text in stdin:
                self.script(text, depth=depth + 1)
        return False

    def _shell_options(self, words: tuple[Word, ...]) -> tuple[Sequence[Word], bool]:
        """Find what follows a shell's options, and whether it is a script."""
        is_script = False
        index = 1
        while index < len(words) and words[index].text.startswith(("-", "+")):
            text = words[index].text
            index += 1
            if text in {"-", "--"}:
                break
            flags = _SHELL_FLAGS.fullmatch(text)
            if not words[index - 1].fixed or (flags is None and text not in _SHELL_WORDS):
                self.note(f"the option {text} of a shell is not known")
            is_script = is_script or (not text.startswith("--") and "c" in text)
            index += bool(flags and flags["value"])
        return words[index:], is_script

    def _find(self, words: tuple[Word, ...], depth: int) -> None:
        if not all(word.fixed or word.text for word in words):
            self.note("find gets arguments that are found out on the way")
        for index, word in enumerate(words):
            if word.text in _FINDS:
                inner = list[Word]()
                for argument in words[index + 1 :]:
                    if argument.text in {";", "+"}:
                        break
                    inner.append(Word("", fixed=False) if "{}" in argument.text else argument)
                self._inner(inner, depth)

    def _wrapper(self, name: str, words: tuple[Word, ...], depth: int) -> bool:
        wrapper = _WRAPPERS[name]
        index = self._options(wrapper, words)
        optioned = index > 1
        index += wrapper.positionals
        inner = list(words[index:])
        if name == "env":
            while inner and _ASSIGNMENT.match(inner[0].text):
                optioned = True
                del inner[0]
        if name == "sudo" and not inner:
            self.note("it opens a shell")
        if name in {"chroot", "doas", "env", "sudo"} and optioned:
            self.moves = True
        if name == "xargs":
            inner = self._xargs(words, inner)
        self._inner(inner, depth)
        return wrapper.transparent and not (name == "env" and optioned)

    def _options(self, wrapper: _Wrapper, words: tuple[Word, ...]) -> int:
        """Find where a wrapper's options end."""
        index = 1
        while index < len(words) and words[index].text.startswith("-"):
            text, fixed = words[index].text, words[index].fixed
            index += 1
            if text == "--":
                break
            if not fixed or text.startswith("--") or set(wrapper.opaque) & set(text):
                # Which of its words are a command depends on more than is known here.
                self.note(f"the option {text} is not known")
                for start in range(index, len(words)):
                    self.runs.append(Run(words[start:], transparent=True))
                continue
            for at, letter in enumerate(text[1:], 2):
                if letter in wrapper.valued:
                    index += at == len(text)
                    break
        return index

    def _xargs(self, words: tuple[Word, ...], inner: list[Word]) -> list[Word]:
        """What xargs runs gets arguments that nobody knows yet, at its end or in certain places."""
        if not inner:
            return []
        unknown = Word("", fixed=False)
        options = words[1 : len(words) - len(inner)]
        marks = [_replaced(words, index) for index, word in enumerate(options, 1) if word.fixed]
        marks = [mark for mark in marks if mark]
        if not marks:
            return [*inner, unknown]
        return [unknown if any(mark in word.text for mark in marks) else word for word in inner]

    def _inner(self, words: Sequence[Word], depth: int) -> None:
        if depth > DEEPEST:
            self.note("it is nested too deeply to be read")
        elif words:
            self.command(Simple(tuple(words)), depth=depth + 1)
