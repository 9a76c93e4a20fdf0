"""Wordings by grammar: frames with choices, options and rules, read from text files.

`(a|b)` chooses, `[a|b]` chooses or leaves out, `<name>` is replaced by one way of the rule
`@name = a | b`, `{slot}` stays for the caller. Lines below `[section]` alone on a line are its
frames. The files lie in `wordings/`; nothing here knows what they are about.
"""

from __future__ import annotations

import functools
import random
import re
from importlib import resources

from msgspec import Struct

_INNERMOST = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]|<(\w+)>")
_SECTION = re.compile(r"\[(\w+)\]")


class Wordings(Struct, frozen=True, kw_only=True):
    """The frames and rules of one file."""

    rules: dict[str, tuple[str, ...]]
    sections: dict[str, tuple[str, ...]]

    def expand(self, section: str, rng: random.Random) -> str:
        """Write one frame of a section with every choice made.

        Args:
            section: Name of the section.
            rng: Decides.

        Returns:
            Text that still holds its `{slots}`.
        """
        return self.expand_text(rng.choice(self.sections[section]), rng)

    def expand_text(self, text: str, rng: random.Random) -> str:
        """Make every choice of a frame, innermost first."""

        def replace(found: re.Match[str]) -> str:
            choice, option, rule = found.groups()
            if rule is not None:
                return rng.choice(self.rules[rule])
            if choice is not None:
                return rng.choice(choice.split("|"))
            return rng.choice(option.split("|")) if rng.random() < 0.5 else ""

        before = ""
        while before != text:
            before, text = text, _INNERMOST.sub(replace, text)
        return re.sub(r" +([,.?!]|$)", r"\1", re.sub(r"\s+", " ", text)).strip()


@functools.cache
def load(name: str) -> Wordings:
    """Read a file of `wordings/`, with the rules of `shared.txt`."""
    rules, _ = _parse("shared")
    own_rules, sections = _parse(name)
    return Wordings(rules=rules | own_rules, sections=sections)


def lines(name: str) -> list[str]:
    """Read a file line by line, without comments and empty lines."""
    text = (
        resources
        .files("punie.train.data.generators")
        .joinpath(f"wordings/{name}.txt")
        .read_text("utf-8")
    )
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("# ")]


def table(name: str) -> list[tuple[list[str], str]]:
    """Read lines of the form `a | b = c`: ways to say it, and what it means."""
    rows: list[tuple[list[str], str]] = []
    for line in lines(name):
        left, _, right = line.partition(" = ")
        rows.append(([way.strip() for way in left.split(" | ")], right.strip()))
    return rows


def _parse(name: str) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    rules: dict[str, tuple[str, ...]] = {}
    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for line in lines(name):
        if line.startswith("@"):
            key, _, ways = line[1:].partition(" = ")
            rules[key.strip()] = tuple(way.strip() for way in ways.split(" | "))
        elif found := _SECTION.fullmatch(line):
            section = sections.setdefault(found[1], [])
        else:
            section.append(line)
    return rules, {key: tuple(frames) for key, frames in sections.items()}
