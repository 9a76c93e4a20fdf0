"""What was found, requirement by requirement, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from punie.acp.check.requirements import REQUIREMENTS, Requirement

Outcome: TypeAlias = Literal["held", "violated", "skipped"]
_MARKS: dict[Outcome, str] = {"held": "ok  ", "violated": "FAIL", "skipped": "skip"}


class Finding(Struct, frozen=True):
    """What one look at one requirement gave."""

    id: str
    outcome: Outcome
    expected: str
    seen: str
    """What came; of something skipped, the reason."""


class Report:
    """Collects findings. A requirement is violated when any finding on it is."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def expect(self, requirement: str, held: bool, *, expected: str, seen: str) -> None:
        """Note whether a requirement held."""
        outcome: Outcome = "held" if held else "violated"
        self.findings.append(Finding(requirement, outcome, expected, seen))

    def skip(self, requirements: Iterable[str], reason: str) -> None:
        """Note that requirements could not be looked at."""
        self.findings += [Finding(one, "skipped", "", reason) for one in requirements]

    def verdicts(self, only: Sequence[str] = ()) -> list[Finding]:
        """The finding that decides each requirement, in the order of the manifest.

        Args:
            only: Ids of the requirements that were asked for; all by default.
        """
        wanted = [one for one in REQUIREMENTS if not only or one.id in only]
        return [self._verdict(requirement) for requirement in wanted]

    def _verdict(self, requirement: Requirement) -> Finding:
        findings = [finding for finding in self.findings if finding.id == requirement.id]
        for outcome in ("violated", "held", "skipped"):
            for finding in findings:
                if finding.outcome == outcome:
                    return finding
        return Finding(requirement.id, "skipped", "", "the check did not get this far")


def as_text(verdicts: Sequence[Finding]) -> str:
    """The report for people."""
    known = {requirement.id: requirement for requirement in REQUIREMENTS}
    lines: list[str] = []
    for verdict in verdicts:
        requirement = known[verdict.id]
        lines.append(f"{_MARKS[verdict.outcome]}  {verdict.id:26}{requirement.title}")
        if verdict.outcome == "violated":
            lines += [
                f"      expected  {verdict.expected}",
                f"      seen      {verdict.seen}",
                f"      source    {requirement.source}",
            ]
        else:
            lines.append(f"      {verdict.seen}")
    counts = {mark: sum(one.outcome == mark for one in verdicts) for mark in _MARKS}
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return "\n".join([*lines, "", f"{len(verdicts)} requirements: {summary}", ""])


def as_json(verdicts: Sequence[Finding]) -> str:
    """The report for programs: one object with a list `requirements`."""
    known = {requirement.id: requirement for requirement in REQUIREMENTS}
    rows = [
        msgspec.structs.asdict(known[verdict.id]) | msgspec.structs.asdict(verdict)
        for verdict in verdicts
    ]
    return msgspec.json.encode({"requirements": rows}).decode() + "\n"
