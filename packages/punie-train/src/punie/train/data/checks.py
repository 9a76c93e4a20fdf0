"""Rules that data must keep before anything is trained on it. Pure functions over examples.

The leak check compares with every suite twice: by the normalised prompt, and by its frame, that is
the prompt with the arguments of the expected call taken out, word triples compared. So a wording
of a suite is not in the data even around another path.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from punie.agent.tools import catalog
from punie.train.data.example import Example
from punie.train.errors import DataError

NEAR = 0.6
"""Share of common word triples from which on two frames count as the same wording."""
DIRECT_SHARE = (0.3, 0.4)

_WORD = re.compile(r"[\w'*]+")
_PATH = re.compile(r"\S*[\w.]/\S+|\S+\.\w{1,5}\b")


class Wording(NamedTuple):
    """A prompt of a suite."""

    prompt: str
    arguments: tuple[str, ...]
    """Of the call that it expects."""


class Report(Struct, frozen=True, kw_only=True):
    """What the checks found."""

    examples: int
    direct_share: float
    by_tool: dict[str, int]
    with_result: int
    duplicates: int
    leaks: int
    """Examples taken out because a suite has the same or nearly the same wording."""


def normalised(prompt: str) -> str:
    """Reduce a prompt to its words in lower case."""
    return " ".join(_WORD.findall(prompt.lower()))


def frame(prompt: str, arguments: Iterable[str]) -> str:
    """Take the arguments and everything that looks like a path out of a prompt."""
    for argument in sorted(arguments, key=len, reverse=True):
        if argument != ".":
            prompt = prompt.replace(argument, " _ ")
    return normalised(_PATH.sub(" _ ", prompt))


def deduplicated(examples: Sequence[Example]) -> list[Example]:
    """Keep the first example of each normalised prompt."""
    seen: dict[str, Example] = {}
    for example in examples:
        seen.setdefault(normalised(example.prompt), example)
    return list(seen.values())


def without_leaks(examples: Sequence[Example], suites: Sequence[Wording]) -> list[Example]:
    """Take out examples whose wording a suite has too."""
    suite = _Suite(suites)
    return [example for example in examples if not suite.has(example)]


class _Suite:
    """Wordings of suites, indexed by their word triples."""

    def __init__(self, suites: Sequence[Wording]) -> None:
        self._prompts = {normalised(one.prompt) for one in suites}
        self._frames = {frame(one.prompt, one.arguments) for one in suites}
        self._triples: dict[tuple[str, ...], set[int]] = defaultdict(set)
        self._sizes: list[int] = []
        for text in self._frames:
            triples = _triples(text)
            for triple in triples:
                self._triples[triple].add(len(self._sizes))
            self._sizes.append(len(triples))

    def has(self, example: Example) -> bool:
        text = frame(example.prompt, map(str, example.arguments.values()))
        if normalised(example.prompt) in self._prompts or text in self._frames:
            return True
        triples = _triples(text)
        common = Counter(i for triple in triples for i in self._triples.get(triple, ()))
        return any(
            count / (len(triples) + self._sizes[i] - count) >= NEAR for i, count in common.items()
        )


def _triples(text: str) -> set[tuple[str, ...]]:
    words = ["^", *text.split(), "$"]
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def check(examples: Sequence[Example], *, tools: Sequence[str]) -> Report:
    """Hold the data to its rules.

    Args:
        examples: All of them.
        tools: Names of the tools that may be called.

    Raises:
        DataError: A rule is broken; the message names the example.
    """
    if not examples:
        raise DataError("there are no examples")
    prompts: set[str] = set()
    for example in examples:
        _check_one(example, set(tools))
        key = normalised(example.prompt)
        if key in prompts:
            raise DataError(f"example {example.id} repeats a prompt: {example.prompt!r}")
        prompts.add(key)
    counts = Counter(example.tool or "answer" for example in examples)
    share = counts["answer"] / len(examples)
    low, high = DIRECT_SHARE
    if not low <= share <= high:
        raise DataError(f"{share:.0%} of the examples are direct answers, not {low:.0%}-{high:.0%}")
    if missing := [tool for tool in tools if not counts[tool]]:
        raise DataError(f"no example calls {', '.join(missing)}")
    return Report(
        examples=len(examples),
        direct_share=round(share, 4),
        by_tool=dict(sorted(counts.items())),
        with_result=sum(any(m.role == "tool" for m in e.messages) for e in examples),
        duplicates=0,
        leaks=0,
    )


def check_results(examples: Sequence[Example], ran: Collection[tuple[str, str]]) -> None:
    """Hold every result in generated examples to what a tool returned; a trace brings its own.

    Args:
        examples: All of them.
        ran: Tool and rendered result of each recorded run.

    Raises:
        DataError: A result was not returned by the tool that was called.
    """
    for example in examples:
        for call, message in zip(example.messages, example.messages[1:], strict=False):
            given = message.role == "tool" and not example.traced
            if given and (call.call, message.content) not in ran:
                raise DataError(f"example {example.id} has a result that {call.call} never gave")


def _check_one(example: Example, tools: set[str]) -> None:
    roles = [message.role for message in example.messages]
    if roles[0] != "user" or roles[-1] != "assistant":
        raise DataError(f"example {example.id} does not go from the user to the assistant")
    for before, message in zip(example.messages, example.messages[1:], strict=False):
        if message.role == "tool" and not before.call:
            raise DataError(f"example {example.id} has a result that nothing called for")
    last = example.messages[-1]
    if not last.call and not last.content.strip():
        raise DataError(f"example {example.id} ends with an empty answer")
    if example.tool:
        _check_call(example, tools)


def _check_call(example: Example, tools: set[str]) -> None:
    if example.tool not in tools:
        raise DataError(f"example {example.id} calls {example.tool}, which is not offered")
    catalog.select([example.tool])[0].parse(example.arguments)
    for value in example.arguments.values():
        if value != "." and str(value) not in example.prompt:
            raise DataError(f"example {example.id}: {value!r} does not stand in the prompt")
