"""Questions and remarks that need no tool, with short answers; some mention tools and paths."""

from __future__ import annotations

import functools
import importlib
import inspect
import random
from typing import NamedTuple

from punie.train.data.generators import handwritten, registers, slots, wordings

_MODULES = [
    "builtins",
    "os",
    "os.path",
    "shutil",
    "json",
    "re",
    "math",
    "itertools",
    "functools",
    "collections",
    "random",
    "statistics",
    "textwrap",
    "string",
    "datetime",
    "time",
    "subprocess",
    "tempfile",
    "glob",
    "fnmatch",
    "hashlib",
    "base64",
    "copy",
    "bisect",
    "heapq",
    "operator",
    "contextlib",
    "inspect",
    "traceback",
    "logging",
    "asyncio",
    "threading",
    "queue",
    "csv",
    "socket",
    "struct",
    "secrets",
]
_KINDS = (
    ("handwritten", 0.4),
    ("direct", 0.2),
    ("glossary", 0.13),
    ("comparison", 0.08),
    ("docs", 0.04),
    ("sum", 0.03),
    ("remark", 0.05),
    ("negated", 0.04),
    ("mention", 0.03),
)
"""What is asked, and how often. The hand-written questions have the most topics."""
_REMARK_ANSWERS = (
    "Noted. Tell me when I shall do something.",
    "All right. What shall I do next?",
    "Thanks for telling me. Just say what you need.",
    "Understood. Say the word and I will help.",
)
_NEGATED_ANSWERS = (
    "All right, I leave it alone.",
    "Understood, I do nothing there.",
    "Good, then I will not touch it.",
)


class Direct(NamedTuple):
    """A prompt and its answer."""

    prompt: str
    answer: str
    provenance: str


def direct(rng: random.Random) -> Direct:
    """Make one question, remark or refusal with its answer."""
    kinds, weights = zip(*_KINDS, strict=True)
    kind: str = rng.choices(kinds, weights)[0]
    text, answer = _MAKERS[kind](rng)
    return Direct(text, answer, f"direct/{kind}")


def _glossary(rng: random.Random) -> tuple[str, str]:
    names, answer = rng.choice(_table("glossary"))
    text = wordings.load("questions").expand("define", rng)
    return _dressed(text, rng, x=rng.choice(names)), answer


def _mention(rng: random.Random) -> tuple[str, str]:
    """Ask for a term next to a path that is only mentioned."""
    names, answer = rng.choice(_table("glossary"))
    text = wordings.load("questions").expand("define", rng)
    before = registers.fill_context(
        rng.choice((
            "I was reading {other}.",
            "There is something in {other} that I do not know.",
            "{other} uses it.",
            "In {other} it comes up twice.",
            "I touched {other} today.",
            "I just ran the tests in {other}.",
            "{other} is lint clean by now.",
            "No need to open {other}.",
            "{name} uses it.",
            "My types in {other} are fine.",
            "I committed {other}.",
        )),
        rng,
    )
    return f"{before} {_dressed(text, rng, context=0.0, x=rng.choice(names))}", answer


def _comparison(rng: random.Random) -> tuple[str, str]:
    pairs, answer = rng.choice(_table("comparisons"))
    a, b = (pairs[0], pairs[1]) if rng.random() < 0.5 else (pairs[1], pairs[0])
    text = wordings.load("questions").expand("compare", rng)
    return _dressed(text, rng, a=a, b=b), answer


def _docs(rng: random.Random) -> tuple[str, str]:
    name, answer = rng.choice(documented())
    text = wordings.load("questions").expand("docs", rng)
    return _dressed(text, rng, f=slots.quoted(name, rng, often=0.2)), answer


def _sum(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randrange(2, 100), rng.randrange(2, 60)
    sums = (
        (f"{a} * {b}", a * b),
        (f"{a} + {b}", a + b),
        (f"{a * b} - {b}", a * b - b),
        (f"{a * b} / {b}", a),
        (f"{a} times {b}", a * b),
        (f"{a} plus {b}", a + b),
        (f"{b} percent of {a * 100}", a * b),
        (f"2 ** {b % 12}", 2 ** (b % 12)),
        (f"{a * b} minus {a}", a * b - a),
        (f"hex {a:#x} in decimal", a),
        (f"{a} in hex", f"{a:#x}"),
        (f"{b} in binary", f"{b:b}"),
        (f"{b} KiB in bytes", b * 1024),
        (f"{b} minutes in seconds", b * 60),
    )
    sum_, result = rng.choice(sums)
    frames = ("what is {s}?", "{s} = ?", "{s}", "how much is {s}?", "compute {s}", "{s}, quick",
              "calculate {s} please", "can you tell me {s}?", "I need {s}", "{s} is what?")  # fmt: skip
    return rng.choice(frames).replace("{s}", sum_), f"{result}."


def _direct(rng: random.Random) -> tuple[str, str]:
    ways, answer = rng.choice(_table("direct"))
    return _with_path(rng.choice(ways), answer, rng)


def _handwritten(rng: random.Random) -> tuple[str, str]:
    rows = handwritten.answers()
    if not rows:
        return _direct(rng)
    row = rng.choice(rows)
    return _with_path(rng.choice(row.prompts), row.answer, rng)


def _with_path(text: str, answer: str, rng: random.Random) -> tuple[str, str]:
    shape: slots.Shape = rng.choice(("code", "test", "file", "dir"))
    path = slots.path(shape, rng)
    text = registers.dress(text, rng, context=0.12)
    return (
        text.replace("{path}", slots.quoted(path, rng, often=0.2)),
        answer.replace("{path}", path),
    )


def _remark(rng: random.Random) -> tuple[str, str]:
    text = registers.context_sentence(rng)
    if rng.random() < 0.3:
        text += " " + registers.context_sentence(rng)
    return (text[:1].upper() + text[1:] if rng.random() < 0.5 else text), rng.choice(
        _REMARK_ANSWERS
    )


def _negated(rng: random.Random) -> tuple[str, str]:
    """Refuse a tool, alone or before a question."""
    refusal = wordings.load("questions").expand("negated", rng)
    if rng.random() < 0.5:
        text, answer = _glossary(rng)
        joined = f"{refusal}{rng.choice(('. ', ', just ', '; ', ' - '))}{text}"
        return _with_path(joined, answer, rng)
    return _with_path(refusal, rng.choice(_NEGATED_ANSWERS), rng)


def _dressed(text: str, rng: random.Random, *, context: float = 0.18, **filled: str) -> str:
    text = registers.dress(text, rng, context=context)
    for slot, value in filled.items():
        text = text.replace(f"{{{slot}}}", value)
    return text


@functools.cache
def _table(name: str) -> list[tuple[list[str], str]]:
    return wordings.table(name)


@functools.cache
def documented() -> tuple[tuple[str, str], ...]:
    """List functions of the standard library with the first sentence of their documentation."""
    found: dict[str, str] = {}
    for module_name in _MODULES:
        module = importlib.import_module(module_name)
        for name, value in sorted(vars(module).items()):
            if name.startswith("_") or not callable(value):
                continue
            first = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").strip()
            if 25 < len(first) < 110 and first.endswith(".") and "->" not in first:
                prefix = "" if module_name == "builtins" else f"{module_name}."
                found[f"{prefix}{name}"] = first
    return tuple(found.items())


_MAKERS = {
    "glossary": _glossary,
    "comparison": _comparison,
    "docs": _docs,
    "sum": _sum,
    "direct": _direct,
    "handwritten": _handwritten,
    "remark": _remark,
    "negated": _negated,
    "mention": _mention,
}
