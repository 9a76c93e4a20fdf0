"""Sentences that report a tool's result, written from its typed fields.

Every figure of the headline is stated, failures are named, nothing else is claimed.
"""

from __future__ import annotations

import random
import re
from typing import Any

from punie.train.data.generators.results import Recorded

_DEFINED = re.compile(r"^(?:async )?(?:def|class) (\w+)", re.MULTILINE)
_DOCSTRING = re.compile(r'^"""([^"\n]{4,90})', re.MULTILINE)


def report(one: Recorded, rng: random.Random) -> str:
    """Write the report of a recorded result."""
    if one.fields.get("error"):
        return _failed(one, rng)
    text = _WRITERS[one.tool](one, rng)
    return "T" + text[1:] if text.startswith("the project") else text


def place(path: str) -> str:
    """Name what a path argument means."""
    return "the project" if path in {"", "."} else path


def _failed(one: Recorded, rng: random.Random) -> str:
    what = {
        "run_tests": "The tests could not be run",
        "lint": "The linter gave no result",
        "typecheck": "The type checker gave no result",
        "read_file": "The file could not be read",
        "search": "The search gave no result",
        "git_status": "The git status could not be read",
    }[one.tool]
    error = one.headline.rstrip(".")
    return rng.choice((f"{what}: {error}.", f"{what}, because of this error: {error}."))


def _tests(one: Recorded, rng: random.Random) -> str:
    where, head = place(one.arguments["path"]), one.headline
    failures: list[dict[str, Any]] = one.fields.get("failures", [])
    if not failures:
        return rng.choice((
            f"All tests in {where} pass: {head}.",
            f"{head}; no test failed in {where}.",
            f"The tests in {where} are green: {head}.",
            f"Nothing failed in {where}: {head}.",
        ))  # fmt: skip
    names = [_short(failure["test"]) for failure in failures if _visible(failure["test"], one)]
    text = rng.choice((
        f"{head} in {where}.",
        f"The tests in {where} are not green: {head}.",
        f"I ran {where}: {head}.",
        f"Result for {where}: {head}.",
    ))  # fmt: skip
    if not names:
        return text
    named = ", ".join(names[:3])
    more = " and others" if len(failures) > len(names[:3]) else ""
    return f"{text} {rng.choice(('Failing', 'Not passing', 'These failed'))}: {named}{more}."


def _lint(one: Recorded, rng: random.Random) -> str:
    where, head = place(one.arguments["path"]), one.headline
    findings: list[dict[str, Any]] = one.fields.get("findings", [])
    if not findings:
        return rng.choice((
            f"ruff found {head} in {where}.",
            f"{where} is clean: {head}.",
            f"There are {head} in {where}.",
        ))  # fmt: skip
    text = rng.choice((
        f"ruff found {head}.",
        f"The linter reports {head} for {where}.",
        f"{where} is not clean: {head}.",
    ))  # fmt: skip
    first = findings[0]
    return text + rng.choice((
        f" The first is {first['code']} in {first['path']}, line {first['line']}.",
        f" It starts with {first['code']} in {first['path']}:{first['line']}.",
        f" First: {first['path']}:{first['line']}, {first['code']}.",
    ))  # fmt: skip


def _typecheck(one: Recorded, rng: random.Random) -> str:
    where, head = place(one.arguments["path"]), one.headline
    findings: list[dict[str, Any]] = one.fields.get("findings", [])
    if not findings:
        return rng.choice((
            f"The type checker found {head} in {where}.",
            f"The types in {where} are fine: {head}.",
            f"There are {head} in {where}.",
        ))  # fmt: skip
    text = rng.choice((
        f"The type checker found {head} in {where}.",
        f"The types in {where} do not hold: {head}.",
        f"Result for {where}: {head}.",
    ))  # fmt: skip
    first = findings[0]
    return text + rng.choice((
        f" The first is in {first['path']}, line {first['line']}: {first['code']}.",
        f" It starts in {first['path']}:{first['line']} with {first['code']}.",
        f" First: {first['path']}:{first['line']}, {first['code']}.",
    ))  # fmt: skip


def _search(one: Recorded, rng: random.Random) -> str:
    query, head = one.arguments["query"], one.headline
    hits: list[dict[str, Any]] = one.fields.get("hits", [])
    if not hits:
        return rng.choice((
            f"I found {head} for {query}.",
            f"{query} does not occur: {head}.",
            f"The search for {query} found {head}.",
        ))  # fmt: skip
    first = hits[0]
    text = rng.choice((
        f"{query}: {head}.",
        f"I found {head} for {query}.",
        f"The search for {query} found {head}.",
    ))  # fmt: skip
    return text + rng.choice((
        f" The first is {first['path']}, line {first['line']}.",
        f" It starts with {first['path']}:{first['line']}.",
        f" First: {first['path']}:{first['line']}.",
    ))  # fmt: skip


def _read(one: Recorded, rng: random.Random) -> str:
    head = one.headline
    text = rng.choice((f"{head}.", f"I read {head}.", f"Here is {head}."))
    shown = one.rendered.partition("\n")[2]
    if (found := _DOCSTRING.search(shown)) and not re.search(r"\d", found[1]):
        return f"{text} It says: {found[1].strip()}"
    names = [name for name in dict.fromkeys(_DEFINED.findall(shown)) if not re.search(r"\d", name)]
    if names:
        return f"{text} It defines {', '.join(names[:3])}."
    first = next((line.strip() for line in shown.splitlines() if len(line.strip()) > 3), "")
    return f"{text} It starts with: {first}" if 3 < len(first) < 60 else text


def _status(one: Recorded, rng: random.Random) -> str:
    head = one.headline
    entries: list[dict[str, Any]] = one.fields.get("entries", [])
    if not entries:
        return rng.choice((
            f"The working tree is clean: {head}.",
            f"Nothing has changed: {head}.",
            f"There is nothing to commit: {head}.",
        ))  # fmt: skip
    text = rng.choice((f"git says: {head}.", f"On {head}.", f"Status: {head}."))
    names = ", ".join(entry["path"] for entry in entries[:3])
    more = " and others" if len(entries) > 3 else ""
    return f"{text} {rng.choice(('Changed', 'Files', 'In detail'))}: {names}{more}."


def _short(test: str) -> str:
    """Name a test without its file, a file by its own name."""
    return test.rsplit("::", 1)[-1]


def _visible(test: str, one: Recorded) -> bool:
    return test in one.rendered


_WRITERS = {
    "run_tests": _tests,
    "lint": _lint,
    "typecheck": _typecheck,
    "search": _search,
    "read_file": _read,
    "git_status": _status,
}
