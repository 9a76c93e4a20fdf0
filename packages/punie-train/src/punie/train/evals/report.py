"""What an evaluation says: shares with intervals, which model answered, and every failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from punie.train import manifest
from punie.train.evals.figures import FiguresReport, ModelSeen
from punie.train.evals.run import Answered, Subject
from punie.train.evals.scorers import rate, score
from punie.train.ledger import Entry, Rate, percent


class Failure(Struct, frozen=True, kw_only=True):
    """One case that was not exact."""

    id: str
    prompt: str
    expected: dict[str, Any]
    got: dict[str, Any]


class EvalReport(Struct, frozen=True, kw_only=True):
    """The result of one run. All three shares are over all `n` cases."""

    model: ModelSeen
    n: int
    tool_or_answer: Rate
    """A tool was called if and only if one was expected."""
    tool: Rate
    """The right tool, or an answer where none was expected."""
    exact: Rate
    """That, with exactly the expected arguments."""
    failures: tuple[Failure, ...]


def evaluate(subject: Subject, answered: Sequence[Answered]) -> EvalReport:
    """Sum up a run.

    Args:
        subject: The model that answered.
        answered: At least one case.
    """
    scores = [score(case, step) for case, step in answered]
    n = len(scores)
    return EvalReport(
        model=ModelSeen(spec=subject.spec, fingerprint=subject.fingerprint),
        n=n,
        tool_or_answer=rate(sum(one.tool_or_answer for one in scores), n),
        tool=rate(sum(one.tool for one in scores), n),
        exact=rate(sum(one.exact for one in scores), n),
        failures=tuple(
            _failure(one) for one, scored in zip(answered, scores, strict=True) if not scored.exact
        ),
    )


def _failure(one: Answered) -> Failure:
    case, step = one
    got: dict[str, Any] = {"tool": step.tool}
    if step.tool is not None:
        got["arguments"] = step.arguments
    got |= {name: value for name in ("text", "error") if (value := getattr(step, name))}
    expected: dict[str, Any] = {"tool": case.expect.tool}
    if case.expect.tool is not None:
        expected["arguments"] = case.expect.arguments
    return Failure(id=case.id, prompt=case.prompt, expected=expected, got=got)


def to_text(report: EvalReport | FiguresReport) -> str:
    """Write a report for people: the figures, then each failure on a line."""
    lines = [
        f"model           {report.model.spec} ({report.model.fingerprint[:12]})",
        f"cases           {report.n}",
        *(f"{name:<15} {percent(share)}" for name, share in shares(report).items()),
    ]
    if isinstance(report, FiguresReport):
        lines += [f"  {f.id} {f.tool}: {f.headline!r} got {f.got!r}" for f in report.failures]
    else:
        lines += [
            f"  {f.id}: {f.prompt!r} expected {f.expected} got {f.got}" for f in report.failures
        ]
    return "\n".join(lines)


def shares(report: EvalReport | FiguresReport) -> dict[str, Rate]:
    """Name the figures of a report."""
    if isinstance(report, FiguresReport):
        return {"figures": report.figures, **report.by_tool}
    return {
        "tool_or_answer": report.tool_or_answer,
        "tool": report.tool,
        "exact": report.exact,
    }


def compare(before: EvalReport, after: EvalReport) -> str:
    """Set two reports side by side, for people.

    A difference is called one only when the intervals do not overlap; that is stricter than a test.

    Args:
        before: One report.
        after: Another, best on the same suite.
    """
    lines = [
        f"before  {before.model.spec} ({before.model.fingerprint[:12]}), {before.n} cases",
        f"after   {after.model.spec} ({after.model.fingerprint[:12]}), {after.n} cases",
    ]
    others = shares(after)
    for name, old in shares(before).items():
        new = others[name]
        apart = old.ci95[1] < new.ci95[0] or new.ci95[1] < old.ci95[0]
        points = 100 * (new.value - old.value)
        verdict = f"{points:+.1f} points" + ("" if apart else ", within the intervals")
        lines.append(f"{name:<15} {percent(old)} -> {percent(new)}: {verdict}")
    was = {failure.id for failure in before.failures}
    now = {failure.id for failure in after.failures}
    lines += [f"newly wrong     {' '.join(sorted(now - was)) or '-'}"]
    lines += [f"newly right     {' '.join(sorted(was - now)) or '-'}"]
    return "\n".join(lines)


def entry(
    report: EvalReport | FiguresReport, *, phase: str, suite: str, seconds: float, chose: bool
) -> Entry:
    """Write a report as a line of the ledger.

    Args:
        report: What was measured.
        phase: The phase that made the model; empty when none did.
        suite: What it was measured on.
        seconds: How long it took.
        chose: Whether the score on this suite had chosen the checkpoint.
    """
    about = manifest.surroundings()
    return Entry(
        made=about.made,
        phase=phase,
        model=report.model.spec,
        fingerprint=report.model.fingerprint,
        suite=suite,
        n=report.n,
        shares=shares(report),
        seconds=round(seconds, 1),
        commit=about.commit,
        machine=about.machine,
        chose=chose,
    )
