"""A case: a prompt and the call, or the absence of one, that it must lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from punie.train.data.checks import Wording
from punie.train.data.example import Message
from punie.train.errors import CaseError

GROUP = "punie.suites"
"""Entry points: a package with `*.jsonl`, or a function that judges a model itself."""


class Expect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first step of the model must be."""

    tool: str | None
    arguments: dict[str, Any] = {}


class Case(Struct, frozen=True, kw_only=True):
    """One line of a suite; what else the line holds, such as a note, is left alone."""

    id: str
    prompt: str
    expect: Expect
    earlier: tuple[Message, ...] = ()
    """What was said before the prompt."""

    @property
    def wording(self) -> Wording:
        """What training data must not share."""
        return Wording(self.prompt, tuple(str(v) for v in self.expect.arguments.values()))


def read_cases(path: Path) -> list[Case]:
    """Read a suite from a file.

    Raises:
        CaseError: It cannot be read, holds no case, or a line is none; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{path} cannot be read: {error}") from error
    return parse_cases(text.split("\n"), source=str(path))


def parse_cases(lines: Iterable[str], *, source: str) -> list[Case]:
    """Read a suite, one JSON object a line; empty lines are skipped."""
    cases: list[Case] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = msgspec.json.decode(line, type=Case)
        except msgspec.DecodeError as error:
            raise CaseError(f"{source}, line {number}: {error}") from error
        if not case.prompt.strip():
            raise CaseError(f"{source}, line {number}: the prompt is empty")
        if case.id in seen:
            raise CaseError(f"{source}, line {number}: the id {case.id!r} was used before")
        if case.expect.tool is None and case.expect.arguments:
            raise CaseError(f"{source}, line {number}: arguments without a tool")
        seen.add(case.id)
        cases.append(case)
    if not cases:
        raise CaseError(f"{source} holds no cases")
    return cases


def suite(name: str) -> list[Case]:
    """Read a suite of this package, such as `embedded-dev`, or of one below `punie.suites`.

    Raises:
        CaseError: There is none, or a line of it is no case.
    """
    for file in _files():
        if file.name == f"{name}.jsonl":
            return parse_cases(file.read_text(encoding="utf-8").split("\n"), source=name)
    raise CaseError(f"there is no suite {name}; there are {', '.join(suites())}")


def suites() -> list[str]:
    """Name the suites that are data."""
    return sorted({file.name.removesuffix(".jsonl") for file in _files()})


def _files() -> Iterator[Traversable]:
    """Find all files of suites; one broken plugin does not hide the others."""
    yield from _suite_files(resources.files("punie.train.evals").joinpath("suites"))
    for plugin in metadata.entry_points(group=GROUP):
        if plugin.attr:
            continue  # it judges itself: `evals.executed`
        try:
            yield from _suite_files(resources.files(plugin.value))
        except ModuleNotFoundError:
            continue


def _suite_files(folder: Traversable) -> Iterator[Traversable]:
    return (file for file in folder.iterdir() if file.name.endswith(".jsonl"))
