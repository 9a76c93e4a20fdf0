"""Wordings written one by one, in `data/handwritten/`: see the README there."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import resources

import msgspec
from msgspec import Struct

from punie.train.data.generators import slots


class Line(Struct, frozen=True):
    """One request with an open slot."""

    tool: str
    text: str
    shape: slots.Shape = "file"
    path: str = ""


class Answered(Struct, frozen=True):
    """One question in several wordings, and its answer."""

    prompts: tuple[str, ...]
    answer: str


@functools.cache
def requests(tool: str) -> tuple[Line, ...]:
    """Read all requests that lead to a tool."""
    rows = (msgspec.json.decode(row, type=Line) for row in _rows("requests-"))
    return tuple(_fitted(line) for line in rows if line.tool == tool)


@functools.cache
def answers() -> tuple[Answered, ...]:
    """Read all questions that need no tool."""
    return tuple(msgspec.json.decode(row, type=Answered) for row in _rows("answers"))


def _fitted(line: Line) -> Line:
    """Say what fits the slot where a file only says `file` or nothing."""
    if "{query}" in line.text:
        return msgspec.structs.replace(line, shape="phrase" if line.shape == "phrase" else "name")
    if line.tool == "run_tests":
        shape: slots.Shape = "testdir" if line.shape == "dir" else "test"
        return msgspec.structs.replace(line, shape=shape)
    if line.tool in {"lint", "typecheck"} and line.shape == "file":
        return msgspec.structs.replace(line, shape="code")
    return line


def _rows(start: str) -> Iterator[str]:
    folder = resources.files("punie.train.data").joinpath("handwritten")
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.startswith(start) and file.name.endswith(".jsonl"):
            yield from (row for row in file.read_text(encoding="utf-8").splitlines() if row)
