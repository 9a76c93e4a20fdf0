"""The rules of a person and of a project: patterns over a tool and what it is called with.

`run_command(git status*)`, `edit_file(src/**)`, `web_*`. Deny wins over ask, ask over allow. A rule
that allows must match all that a call would do; one that denies or asks need match only a part, and
only perhaps: where a call might hide what is denied, that is said too. Pure: nothing is asked,
resolved or run here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from punie.agent import config
from punie.agent.errors import ConfigError
from punie.agent.permissions.commands import Reading, Run, hidden, read, scripts
from punie.agent.permissions.words import Word

RulingVerdict: TypeAlias = Literal["deny", "hidden", "ask", "allow", "none"]
"""`hidden`: what is denied may be in it, and nobody can tell."""

_SEARCHED = 3
"""Scripts within arguments within scripts that are searched for what is denied."""


class Ruling(NamedTuple):
    """What the rules say about one call."""

    verdict: RulingVerdict
    rule: str = ""
    """The rule that said so, as it was written."""


class Place(NamedTuple):
    """A file or folder that a call names."""

    resolved: str
    """Absolute, links followed, forward slashes."""
    named: str
    """Absolute too, as the call names it: links not followed."""
    root: str
    """The session's folder, absolute."""
    more: tuple[str, ...] = ()
    """Further folders of the session, absolute: what is forbidden in the one is so in these."""

    @property
    def inside(self) -> str | None:
        """The resolved path relative to the session's folder; `None` when it lies outside."""
        return _relative(self.resolved, self.root)

    @property
    def every_name(self) -> tuple[str, ...]:
        """All that a rule may call it."""
        absolute = dict.fromkeys((self.resolved, self.named))
        roots = (self.root, *self.more)
        relative = (_relative(path, root) for path in absolute for root in roots)
        return (*absolute, *(path for path in relative if path is not None))


class Rule(Struct, frozen=True):
    """One pattern over a tool and its argument."""

    text: str
    tool: str
    """A tool's name; an asterisk stands for any characters."""
    pattern: str | None
    """Over the command or the path; `None` when the rule is about every call."""

    def of_tool(self, name: str) -> bool:
        """Whether it is about a tool, whatever that is called with."""
        return bool(_matcher(_glob(self.tool), True).fullmatch(name))

    def matches_path(self, name: str, *, exactly: bool = False) -> bool:
        """Whether it covers a path or a folder above it; a system may ignore case, `exactly` not."""
        if self.pattern is None:
            return True
        return bool(_matcher(_path(self.pattern), exactly).fullmatch(name))

    def matches_text(self, text: str, *, exactly: bool = False) -> bool:
        """Whether it covers a command; a system may ignore case, `exactly` does not."""
        if self.pattern is None:
            return True
        return bool(_matcher(_command(self.pattern), exactly).fullmatch(text))


class Rules(Struct, frozen=True, kw_only=True):
    """All rules that hold in a session."""

    allow: tuple[Rule, ...] = ()
    ask: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()

    def on_tool(self, name: str) -> Ruling:
        """Rule on a call whose arguments no pattern is about."""

        def whole(rule: Rule) -> bool:
            return rule.pattern is None

        return self._strictest(name, denies=whole, allows=whole)

    def on_path(self, name: str, place: Place | None) -> Ruling:
        """Rule on a call that names a file or folder.

        Args:
            name: The tool.
            place: What it names; `None` when nobody can tell.
        """
        if place is None:
            return self._unknown(name)
        inside = place.inside
        names = place.every_name

        def denies(rule: Rule) -> bool:
            return any(rule.matches_path(name) for name in names)

        def allows(rule: Rule) -> bool:
            if rule.pattern is not None and _is_absolute(rule.pattern):
                return rule.matches_path(place.resolved, exactly=True)
            return inside is not None and rule.matches_path(inside, exactly=True)

        return self._strictest(name, denies=denies, allows=allows)

    def on_command(self, name: str, reading: Reading) -> Ruling:
        """Rule on a line for the shell.

        Args:
            name: The tool that would run it.
            reading: The line, from `commands.read`.
        """
        denying, asking, allowing = (
            [rule for rule in rules if rule.of_tool(name)]
            for rules in (self.deny, self.ask, self.allow)
        )
        sure = {form for run in reading.runs for form in _forms(run.words)}
        for rule in denying:
            if rule.pattern is None or any(_must_match(rule, form) for form in sure):
                return Ruling("deny", rule.text)
        unsure = _unsure(reading, _SEARCHED) if denying or asking else set[_Form]()
        perhaps: _Cases = (("hidden", denying), ("ask", asking))
        for verdict, rules in perhaps:
            for rule in rules:
                unclear = reading.unclear or rule.pattern is None
                if unclear or any(_may_match(rule, form) for form in unsure):
                    return Ruling(verdict, rule.text)
        if reading.unclear:
            return Ruling("none")
        counted = [_form(run.words) for run in reading.runs if not run.transparent]
        found = [
            next((rule for rule in allowing if _must_match(rule, form, exactly=True)), None)
            for form in counted
        ]
        if found and None not in found:
            return Ruling("allow", ", ".join(dict.fromkeys(rule.text for rule in found if rule)))
        return Ruling("none")

    def _unknown(self, name: str) -> Ruling:
        perhaps: _Cases = (("hidden", self.deny), ("ask", self.ask))
        for verdict, rules in perhaps:
            for rule in rules:
                if rule.of_tool(name):
                    return Ruling(verdict, rule.text)
        return Ruling("none")

    def _strictest(
        self, name: str, *, denies: Callable[[Rule], bool], allows: Callable[[Rule], bool]
    ) -> Ruling:
        cases: _Cases = (("deny", self.deny), ("ask", self.ask), ("allow", self.allow))
        for verdict, rules in cases:
            applies = allows if verdict == "allow" else denies
            for rule in rules:
                if rule.of_tool(name) and applies(rule):
                    return Ruling(verdict, rule.text)
        return Ruling("none")


_Cases: TypeAlias = tuple[tuple[RulingVerdict, Sequence[Rule]], ...]

NO_RULES = Rules()


def parse_rules(settings: config.Permissions) -> Rules:
    """Read the rules of the settings.

    Raises:
        ConfigError: One cannot be read; the message quotes it.
    """
    return Rules(
        allow=tuple(map(parse_rule, settings.allow)),
        ask=tuple(map(parse_rule, settings.ask)),
        deny=tuple(map(parse_rule, settings.deny)),
    )


def parse_rule(text: str) -> Rule:
    """Read one rule, such as `edit_file` or `run_command(git status*)`.

    Raises:
        ConfigError: It is neither; the message quotes it.
    """
    match = config.RULE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no rule: write TOOL or TOOL(PATTERN)")
    pattern = match["pattern"]
    return Rule(text, match["tool"], pattern.strip() if pattern else None)


class _Form(NamedTuple):
    """A command as text, up to the first thing that a shell would put in."""

    text: str
    fixed: bool


def _form(words: Sequence[Word]) -> _Form:
    texts: list[str] = []
    for word in words:
        texts.append(word.text)
        if not word.fixed:
            return _Form(" ".join(texts), fixed=False)
    return _Form(" ".join(texts), fixed=True)


def _forms(words: Sequence[Word]) -> set[_Form]:
    """Write a command in every way that a rule may mean: whole, bare, without its path."""
    program = Run(tuple(words)).program
    forms = {_form(words), _form(program)}
    if program:
        first = program[0]
        name = Word(first.text.rpartition("/")[2] if first.fixed else "", first.fixed)
        forms.add(_form((name, *program[1:])))
    return forms


def _unsure(reading: Reading, depth: int) -> set[_Form]:
    """Write every command that might be run, also by a program that is not known to run any."""
    forms: set[_Form] = set()
    for run in reading.runs:
        for words in (run.words, *hidden(run)):
            forms |= _forms(words)
        if depth:
            for text in scripts(run):
                forms |= _unsure(read(text, posix=True), depth - 1)
    return forms


def _must_match(rule: Rule, form: _Form, *, exactly: bool = False) -> bool:
    """Whether a rule covers a command, whatever a shell puts in where it is not fixed."""
    if form.fixed or rule.pattern is None:
        return rule.matches_text(form.text, exactly=exactly)
    certain, star, rest = _spaced(rule.pattern).partition("*")
    text = form.text
    if not exactly:
        certain, text = certain.casefold(), text.casefold()
    return bool(star) and not rest and text.startswith(certain)


def _may_match(rule: Rule, form: _Form) -> bool:
    """Whether a rule may cover a command, depending on what a shell puts in."""
    if form.fixed or rule.pattern is None:
        return rule.matches_text(form.text)
    certain = _spaced(rule.pattern).partition("*")[0].rstrip().casefold()
    text = form.text.casefold()
    return text.startswith(certain) or certain.startswith(text)


def _spaced(pattern: str) -> str:
    return " ".join(pattern.split()) + (" " if pattern.endswith(" ") else "")


def _relative(path: str, root: str) -> str | None:
    if path == root:
        return "."
    prefix = root.rstrip("/") + "/"
    return path.removeprefix(prefix) if path.startswith(prefix) else None


def _is_absolute(pattern: str) -> bool:
    return pattern.startswith(("/", "~/")) or pattern[1:3] == ":/"


@cache
def _matcher(written: str, exactly: bool) -> re.Pattern[str]:
    return re.compile(written, re.DOTALL if exactly else re.DOTALL | re.IGNORECASE)


def _glob(pattern: str) -> str:
    return ".*".join(map(re.escape, pattern.split("*")))


def _command(pattern: str) -> str:
    """Write a pattern over a command as an expression; ` *` at its end may also be nothing."""
    spaced = _spaced(pattern)
    return f"{_glob(spaced[:-2])}(?: .*)?" if spaced.endswith(" *") else _glob(spaced)


@cache
def _path(pattern: str) -> str:
    """Write a pattern over a path as an expression; what it covers includes everything below."""
    if pattern.startswith("~/"):
        pattern = f"{Path.home().as_posix()}/{pattern[2:]}"
    pattern = pattern.removeprefix("./").removesuffix("/**").rstrip("/")
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return "".join(_WILD.get(piece) or re.escape(piece) for piece in pieces) + "(?:/.*)?"


_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
