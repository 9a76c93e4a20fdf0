"""A case: a prompt and the call, or the absence of one, that it must lead to."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from punie.train.data.checks import Wording
from punie.train.errors import CaseError


class Expect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first step of the model must be."""

    tool: str | None
    arguments: dict[str, Any] = {}


class Case(Struct, frozen=True, kw_only=True):
    """One line of a suite; what else the line holds, such as a note, is left alone."""

    id: str
    prompt: str
    expect: Expect

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
    """Read a suite that ships with this package, such as `embedded-dev`."""
    file = resources.files("punie.train.evals").joinpath(f"suites/{name}.jsonl")
    if not file.is_file():
        raise CaseError(f"there is no suite {name}; shipped are {', '.join(suites())}")
    return parse_cases(file.read_text(encoding="utf-8").split("\n"), source=name)


def suites() -> list[str]:
    """Name the suites that ship with this package."""
    folder = resources.files("punie.train.evals").joinpath("suites")
    return sorted(f.name.removesuffix(".jsonl") for f in folder.iterdir() if f.name.endswith("l"))
