"""The append-only record of what was scored: one JSON line per evaluation, never rewritten.

`MODEL_PERFORMANCE_TRACKER.md` is written from it. Which figures an entry has is its writer's matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from punie.train.errors import TrainError

LEDGER = "ledger.jsonl"
"""Its name, beside the folders of the runs."""
_WHAT = ("Date", "Phase", "Model", "Fingerprint", "Chose")
"""Columns that tell what was measured; the last, whether the suite had chosen the checkpoint."""


class Rate(Struct, frozen=True, kw_only=True):
    """A share with its 95 % interval."""

    value: float
    ci95: tuple[float, float]


class Entry(Struct, frozen=True, kw_only=True):
    """One evaluation."""

    made: str
    """Date and time, UTC."""
    phase: str
    """Empty for a model that no phase made."""
    model: str
    """The spec that was asked."""
    fingerprint: str
    """Of what answered."""
    suite: str
    n: int
    shares: dict[str, Rate]
    seconds: float
    commit: str
    machine: str
    chose: bool | None = None
    """Whether the score on this suite had chosen the checkpoint; entries of old do not say."""


def append(path: Path, entry: Entry) -> None:
    """Add an entry; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # One write of a whole line: two runs that end together do not mix theirs.
        file.write(msgspec.json.encode(entry) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Entry]:
    """Read all entries, oldest first.

    Raises:
        TrainError: There is no ledger, or a line is damaged; the message names the line. A last
            line that a killed process left unfinished is skipped.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise TrainError(f"{path} is missing: nothing has been evaluated there yet") from error
    entries: list[Entry] = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except msgspec.DecodeError as error:
            raise TrainError(f"{path}, line {number}: {error}") from error
    return entries


def to_markdown(entries: Sequence[Entry], *, phases: Mapping[str, str]) -> str:
    """Write the tracker: a table for each suite, newest first, then the phases that are in none.

    Args:
        entries: As `read` gives them.
        phases: What each known phase is, by its name.
    """
    parts = [
        "# Model performance tracker\n",
        "Written by `punie-train report` from the ledger of evaluations; do not edit. Shares are over all\n"
        "cases of a run, with Wilson's 95 % interval. A fingerprint names weights and adapter. Where the suite chose the\n"
        "checkpoint, the best of several by its score on the same cases, the share is a little too good: an honest\n"
        "figure is that of a suite that did not choose.\n",
    ]
    for suite in sorted({entry.suite for entry in entries}):
        chosen = [entry for entry in reversed(entries) if entry.suite == suite]
        names = list(dict.fromkeys(name for entry in chosen for name in entry.shares))
        head = [*_WHAT, "n", *names, "s per case", "Commit"]
        rows = [_row(entry, names) for entry in chosen]
        parts.append(f"## {suite}\n")
        parts.append("\n".join(table(head, rows)) + "\n")
    missing = sorted(phases.keys() - {entry.phase for entry in entries})
    if missing:
        parts.append("## Not evaluated yet\n")
        parts.append("".join(f"- `{name}`: {phases[name]}\n" for name in missing))
    return "\n".join(parts)


def _row(entry: Entry, names: Sequence[str]) -> list[str]:
    return [
        entry.made[:10],
        entry.phase or "-",
        entry.model.rsplit("/", 1)[-1],
        f"`{entry.fingerprint[:12]}`",
        "-" if entry.chose is None else "yes" if entry.chose else "no",
        str(entry.n),
        *(percent(entry.shares[name]) if name in entry.shares else "-" for name in names),
        f"{entry.seconds / entry.n:.2f}",
        f"`{entry.commit[:8]}`" if entry.commit else "-",
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table, Markdown, one line each."""
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def percent(share: Rate) -> str:
    """Write a share for people.

    Example:
        >>> percent(Rate(value=0.9467, ci95=(0.9149, 0.967)))
        '94.7 % (91.5-96.7)'
    """
    low, high = share.ci95
    return f"{100 * share.value:.1f} % ({100 * low:.1f}-{100 * high:.1f})"
