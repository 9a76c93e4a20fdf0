"""What the stages share: where they work, and how they speak of progress. Heavy imports are theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from punie.train.data.checks import Wording
from punie.train.evals.case import suite, suites
from punie.train.phases.spec import Phase

Say = Callable[[str], None]
"""Shows where a stage stands: one line that replaces the one before."""


class Work(NamedTuple):
    """A phase and the folder of its artefacts."""

    phase: Phase
    folder: Path
    say: Say
    key: str = ""
    """What the running stage is made from: the digest of its inputs."""

    def path(self, name: str) -> Path:
        """Name an artefact."""
        return self.folder / name


class Outcome(Struct, frozen=True, kw_only=True):
    """What a stage did."""

    outputs: tuple[str, ...]
    """Files in the folder."""
    figures: dict[str, Any] = {}


def wordings(phase: Phase) -> list[Wording]:
    """List the prompts that the phase's data must not share: also of all that it is measured on."""
    compared = () if phase.replaces is None else phase.replaces.suites
    measured = [name for name in compared if name in suites()]  # others judge themselves
    names = dict.fromkeys((*phase.data.suites, *phase.evaluation.asked, *measured))
    return [case.wording for name in names for case in suite(name)]
