"""The second score: does the sentence about a tool's result state the figures of that result?

The results are recorded runs in projects that no training data came from. The model is shown the
call and the real result and writes its report; every number of the result's headline must stand in
it. Whether the sentence reads well is not scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec
from msgspec import Struct

from punie.train.data.generators.results import Recorded
from punie.train.evals.run import Subject, Told
from punie.train.evals.scorers import rate, states_figures
from punie.train.ledger import Rate


class ReportCase(Struct, frozen=True, kw_only=True):
    """A prompt, the call it led to, and what the tool really returned."""

    id: str
    prompt: str
    recorded: Recorded


class ModelSeen(Struct, frozen=True, kw_only=True):
    """Which model answered."""

    spec: str
    fingerprint: str


class ReportFailure(Struct, frozen=True, kw_only=True):
    """A report that leaves out a figure."""

    id: str
    tool: str
    headline: str
    got: str


class FiguresReport(Struct, frozen=True, kw_only=True):
    """The result of one run."""

    model: ModelSeen
    n: int
    figures: Rate
    """Every number of the headline stands in the report."""
    by_tool: dict[str, Rate]
    failures: tuple[ReportFailure, ...]


def report_cases() -> list[ReportCase]:
    """Read the recorded results that ship with this package."""
    file = resources.files("punie.train.evals").joinpath("reports/embedded.jsonl")
    return [msgspec.json.decode(line, type=ReportCase) for line in file.read_bytes().splitlines()]


async def score_reports(
    subject: Subject, cases: Sequence[ReportCase] | None = None, *, told: Told
) -> FiguresReport:
    """Let a model report on results and look for the figures.

    Args:
        subject: The model.
        cases: What it reports on; the shipped ones by default.
        told: Called after each.
    """
    chosen = report_cases() if cases is None else cases
    judged: list[tuple[ReportCase, str, bool]] = []
    for case in chosen:
        sentence = await subject.report(case.prompt, case.recorded)
        judged.append((case, sentence, states_figures(case.recorded.headline, sentence)))
        told(len(judged), len(chosen))
    tools = sorted({case.recorded.tool for case, _, _ in judged})
    return FiguresReport(
        model=ModelSeen(spec=subject.spec, fingerprint=subject.fingerprint),
        n=len(judged),
        figures=_share(judged),
        by_tool={tool: _share([j for j in judged if j[0].recorded.tool == tool]) for tool in tools},
        failures=tuple(
            ReportFailure(
                id=case.id, tool=case.recorded.tool, headline=case.recorded.headline, got=got
            )
            for case, got, right in judged
            if not right
        ),
    )


def _share(judged: Sequence[tuple[Any, str, bool]]) -> Rate:
    return rate(sum(right for _, _, right in judged), len(judged))
