"""The data card of a phase: what the examples are, where they come from, what was taken out. For people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from punie.train.data.example import Example
from punie.train.files import write_whole

if TYPE_CHECKING:
    from punie.train.phases.spec import Phase


def write(
    phase: Phase, examples: Sequence[Example], figures: Mapping[str, Any], path: Path
) -> None:
    """Write the card of a data set; the same data give the same bytes.

    Args:
        phase: Whose data.
        examples: All of them.
        figures: What the checks counted, and under `traces` what became of the traces.
        path: The Markdown file.
    """
    write_whole(path, _text(phase, examples, figures).encode())


def _text(phase: Phase, examples: Sequence[Example], figures: Mapping[str, Any]) -> str:
    total = len(examples)
    direct = sum(not one.tool for one in examples)
    parts = [
        f"# Data of phase {phase.name}\n",
        f"{phase.description}. {total} examples, {direct} of them without a tool "
        f"({direct / total:.0%}). Written by the stage `generate`.\n",
        _table("First step", Counter(one.tool or "answer" for one in examples)),
        _table("Source", Counter(_source(one) for one in examples)),
        f"- shares no wording with {', '.join(phase.data.suites) or 'no suite'} and "
        f"{phase.evaluation.suite}: {figures['leaks']} generated examples were taken out for that",
        f"- {figures['duplicates']} generated examples repeated a prompt and were taken out",
        f"- {sum(any(m.role == 'tool' for m in one.messages) for one in examples)} examples hold a "
        "tool's result; all of them came from running the tool",
        f"- {sum(_turns(one) > 1 for one in examples)} have an earlier exchange in front",
        f"- {sum(any(_read_only(one)) for one in examples)} have a turn of the assistant that is only "
        "read, not learnt\n",
    ]
    if (traces := figures.get("traces")) is not None:
        parts += [
            f"## The person's own sessions\n\n{traces['turns']} turns were read, with secrets and home "
            f"folders taken out. {traces['examples']} examples came of them; {traces['leaks']} were "
            f"left out for a wording of a suite, {traces['too_long']} for their length; "
            f"{traces['replaced']} generated examples gave way to them.\n",
            _table("Teaches", traces["taught"]),
            _table("Turns that teach nothing", traces["left_out"]),
        ]
    return "\n".join(parts)


def _source(one: Example) -> str:
    return one.provenance.split(";")[0]


def _turns(one: Example) -> int:
    return sum(message.role == "user" for message in one.messages)


def _read_only(one: Example) -> list[bool]:
    return [message.role == "assistant" and not message.trained for message in one.messages]


def _table(head: str, counts: Mapping[str, int]) -> str:
    rows = [f"| {name.replace('|', '/')} | {counts[name]} |" for name in sorted(counts)]
    return "\n".join([f"| {head} | n |", "|---|---|", *rows]) + "\n"
