"""Requests that need a tool: frames of the grammar and hand-written ones, their slots filled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from punie.train.data.generators import handwritten, registers, slots, wordings

ToolName: TypeAlias = Literal["read_file", "search", "run_tests", "lint", "typecheck", "git_status"]
TOOLS: tuple[ToolName, ...] = (
    "read_file",
    "search",
    "run_tests",
    "lint",
    "typecheck",
    "git_status",
)

_SHAPES: dict[str, tuple[tuple[slots.Shape, float], ...]] = {
    "read_file": (("file", 1.0),),
    "run_tests": (("test", 0.62), ("testdir", 0.26), ("dir", 0.06), ("code", 0.06)),
    "lint": (("code", 0.6), ("dir", 0.27), ("test", 0.08), ("testdir", 0.05)),
    "typecheck": (("code", 0.62), ("dir", 0.27), ("test", 0.07), ("testdir", 0.04)),
}
_PROJECT = 0.15
"""Share of requests that mean the whole project, for tools that take a path."""
_PHRASES = 0.27
"""Share of searches for a quoted piece of text."""
_HANDWRITTEN = 0.5
"""Share of frames that people wrote one by one."""


class Request(NamedTuple):
    """A prompt and the call it asks for."""

    prompt: str
    tool: ToolName
    arguments: dict[str, str]
    provenance: str


def request(
    tool: ToolName,
    rng: random.Random,
    *,
    real: tuple[str, ...] = (),
    arguments: dict[str, str] | None = None,
) -> Request:
    """Make one request.

    Args:
        tool: What it must lead to.
        rng: Decides.
        real: Paths of real projects, to be mixed with made ones.
        arguments: Fixes the call, for a prompt to a result that is there already.
    """
    if rng.random() < _HANDWRITTEN and (lines := handwritten.requests(tool)):
        found = _from_lines(lines, rng, arguments)
        if found is not None:
            return _fill(tool, found.text, found.shape, rng, real, arguments, "handwritten")
    section = _section(tool, rng, arguments)
    text = wordings.load(tool).expand(section, rng)
    shape = "phrase" if section == "quoted" else _shape(tool, rng)
    return _fill(tool, text, shape, rng, real, arguments, "grammar")


def _from_lines(
    lines: Sequence[handwritten.Line], rng: random.Random, arguments: dict[str, str] | None
) -> handwritten.Line | None:
    """Pick a line that fits the arguments, if they are fixed."""
    if arguments is None:
        return rng.choice(lines)
    line = rng.choice(lines)
    for _ in range(60):
        if _line_fits(line, arguments):
            return line
        line = rng.choice(lines)
    return None


def _line_fits(line: handwritten.Line, arguments: dict[str, str]) -> bool:
    if "query" in arguments:
        return (" " in arguments["query"]) == (line.shape == "phrase")
    path = arguments.get("path", "")
    if path in {"", "."}:
        return "{" not in line.text
    is_folder = "." not in path.rsplit("/", 1)[-1]
    return "{" in line.text and (line.shape in {"dir", "testdir"}) == is_folder


def _section(tool: ToolName, rng: random.Random, arguments: dict[str, str] | None) -> str:
    if tool == "git_status":
        return "none"
    if tool == "search":
        phrase = rng.random() < _PHRASES if arguments is None else " " in arguments["query"]
        return "quoted" if phrase else "word"
    if tool == "read_file":
        return "path"
    project = rng.random() < _PROJECT if arguments is None else arguments["path"] == "."
    return "project" if project else "path"


def _shape(tool: ToolName, rng: random.Random) -> slots.Shape:
    if tool not in _SHAPES:
        return "name"
    shapes, weights = zip(*_SHAPES[tool], strict=True)
    return rng.choices(shapes, weights)[0]


def _fill(
    tool: ToolName,
    text: str,
    shape: slots.Shape,
    rng: random.Random,
    real: tuple[str, ...],
    arguments: dict[str, str] | None,
    provenance: str,
) -> Request:
    text = registers.dress(text, rng)
    if tool == "git_status":
        return Request(text, tool, {}, provenance)
    if tool == "search":
        query = arguments["query"] if arguments else _query(shape, rng)
        often = 0.0 if any(f"{mark}{{query}}" in text for mark in "`'\"") else 0.22
        shown = slots.quoted(query, rng, often=1.0 if " " in query and often else often)
        if shown == query and query.isidentifier() and rng.random() < 0.06:
            shown += "()"
        return Request(text.replace("{query}", shown), tool, {"query": query}, provenance)
    if "{path}" not in text:
        return Request(text, tool, {"path": "."}, provenance)
    path = arguments["path"] if arguments else slots.path(shape, rng, real)
    return Request(
        text.replace("{path}", _shown(path, text, rng)), tool, {"path": path}, provenance
    )


def _query(shape: slots.Shape, rng: random.Random) -> str:
    return slots.phrase(rng) if shape == "phrase" else slots.name(rng)


def _shown(path: str, text: str, rng: random.Random) -> str:
    """Write a path as people do: quoted, with a slash behind a folder."""
    if any(f"{mark}{{path}}" in text for mark in "`'\"("):
        return path
    folder = "." not in path.rsplit("/", 1)[-1]
    if folder and rng.random() < 0.3:
        path += "/"
    if rng.random() < 0.03:
        return f"({path})"
    return slots.quoted(path, rng, often=0.24)
