"""Puts a data set together: requests, reports on recorded results, direct answers, all checked.

Deterministic: the same mix, seed and recorded results give the same examples in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from punie.train.data import checks
from punie.train.data.example import (
    Example,
    answered,
    called,
    example,
    returned,
    said,
)
from punie.train.data.generators import direct, reports, requests
from punie.train.data.generators.results import Recorded
from punie.train.errors import DataError

_TRIES = 40
"""Attempts per wanted example before giving up on finding new wordings."""


class Mix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many examples of each kind."""

    calls: dict[str, int]
    """By tool: requests that end with the call."""
    reports: dict[str, int]
    """By tool: requests with the call, a recorded result and the report on it."""
    direct: int
    follow_ups: float = 0.06
    """Share of examples with an earlier exchange in front."""


class Dataset(NamedTuple):
    """Examples and what the checks said about them."""

    examples: list[Example]
    report: checks.Report


def generate(
    mix: Mix,
    *,
    seed: int,
    recorded: Sequence[Recorded],
    suites: Sequence[checks.Wording],
    limit: int = 0,
) -> Dataset:
    """Make a data set.

    Args:
        mix: Counts.
        seed: Decides everything.
        recorded: Results of real tool runs.
        suites: Prompts that the data must share no wording with.
        limit: Examples to keep, the first ones of those that are made; 0 keeps all.

    Raises:
        DataError: A rule of `checks` is broken, or there are not enough wordings.
    """
    rng = random.Random(seed)
    real = tuple(sorted({p for r in recorded for p in r.paths}))
    made = [*_calls(mix, rng, real), *_reports(mix, rng, recorded), *_direct(mix, rng)]
    rng.shuffle(made)
    unique = checks.deduplicated(made)
    clean = checks.without_leaks(unique, suites)
    kept = [_with_earlier(one, clean, rng, mix.follow_ups) for one in clean]
    if limit:
        kept = first(kept, limit)
    report = msgspec.structs.replace(
        checks.check(kept, tools=requests.TOOLS),
        duplicates=len(made) - len(unique),
        leaks=len(unique) - len(clean),
    )
    return Dataset(kept, report)


def first(examples: Sequence[Example], limit: int) -> list[Example]:
    """Take fewer examples, in their order, with the same share of direct answers.

    Args:
        examples: At least one.
        limit: How many; a larger limit keeps all that a smaller one keeps.
    """
    answers = sum(not one.tool for one in examples)
    room = {False: round(limit * answers / len(examples))}
    room[True] = limit - room[False]
    kept: list[Example] = []
    for one in examples:
        if room[bool(one.tool)] > 0:
            room[bool(one.tool)] -= 1
            kept.append(one)
    return kept


def _calls(mix: Mix, rng: random.Random, real: tuple[str, ...]) -> Iterator[Example]:
    for tool, count in mix.calls.items():
        yield from _new(count, lambda tool=tool: _call(_tool(tool), rng, real), tool)


def _call(tool: requests.ToolName, rng: random.Random, real: tuple[str, ...]) -> Example:
    made = requests.request(tool, rng, real=real)
    messages = (said(made.prompt), called(made.tool, made.arguments))
    return example(messages, provenance=made.provenance)


def _reports(mix: Mix, rng: random.Random, recorded: Sequence[Recorded]) -> Iterator[Example]:
    for tool, count in mix.reports.items():
        results = [one for one in recorded if one.tool == tool]
        if not count:
            continue
        if not results:
            raise DataError(f"no recorded result of {tool}")
        order = iter(_cycled(results, rng))
        yield from _new(count, lambda order=order: _report(next(order), rng), tool)


def _report(one: Recorded, rng: random.Random) -> Example:
    made = requests.request(_tool(one.tool), rng, arguments=one.arguments)
    messages = (
        said(made.prompt),
        called(made.tool, made.arguments),
        returned(one.rendered),
        answered(reports.report(one, rng)),
    )
    return example(messages, provenance=f"{made.provenance}; {one.repository}")


def _direct(mix: Mix, rng: random.Random) -> Iterator[Example]:
    def one() -> Example:
        made = direct.direct(rng)
        return example((said(made.prompt), answered(made.answer)), provenance=made.provenance)

    return _new(mix.direct, one, "direct answers")


def _new(count: int, make: Callable[[], Example], what: str) -> Iterator[Example]:
    """Make until there are `count` different prompts."""
    seen: set[str] = set()
    for _ in range(count * _TRIES + 1):
        if len(seen) == count:
            return
        one = make()
        key = checks.normalised(one.prompt)
        if key not in seen:
            seen.add(key)
            yield one
    raise DataError(f"only {len(seen)} of {count} different wordings for {what}")


def _cycled(results: Sequence[Recorded], rng: random.Random) -> Iterator[Recorded]:
    while True:
        yield from rng.sample(results, len(results))


def _with_earlier(
    one: Example, pool: Sequence[Example], rng: random.Random, share: float
) -> Example:
    """Put an earlier exchange in front, so that a session's second prompt is nothing new."""
    if rng.random() >= share:
        return one
    earlier = rng.choice(pool)
    if earlier.messages[-1].call or earlier.prompt == one.prompt:
        return one
    return msgspec.structs.replace(one, messages=(*earlier.messages, *one.messages))


def _tool(name: str) -> requests.ToolName:
    for tool in requests.TOOLS:
        if tool == name:
            return tool
    raise DataError(f"there are no wordings for the tool {name}")
