"""What the stages share: where they work, and how they speak of progress. Heavy imports are theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from punie.train.data.checks import Wording
from punie.train.evals.case import suite
from punie.train.phases.spec import Phase

Say = Callable[[str], None]
"""Shows where a stage stands: one line that replaces the one before."""


class Work(NamedTuple):
    """A phase and the folder of its artefacts."""

    phase: Phase
    folder: Path
    say: Say

    def path(self, name: str) -> Path:
        """Name an artefact."""
        return self.folder / name


class Outcome(Struct, frozen=True, kw_only=True):
    """What a stage did."""

    outputs: tuple[str, ...]
    """Files in the folder."""
    figures: dict[str, Any] = {}


class Served(NamedTuple):
    """How the base model is served, which is how it is trained."""

    model: Path
    instructions: str
    tools: list[dict[str, Any]]
    result_limit: int


def served(phase: Phase) -> Served:
    """Take folder, instructions and tools from the spec of the phase's base model.

    Raises:
        PhaseError: The base is not known.
        ModelUnavailableError: The weights cannot be fetched or converted.
    """
    from punie.agent.models.embedded.convert import ensure_embedded_model
    from punie.agent.models.embedded.spec import embedded_spec
    from punie.train.errors import PhaseError

    if phase.base != "embedded":
        raise PhaseError(f"phase {phase.name}: the only base that can be trained is `embedded`")
    spec = embedded_spec()
    return Served(
        ensure_embedded_model(),
        spec.instructions,
        tool_specs(spec.tools),
        spec.result_limit,
    )


def tool_specs(names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe catalog tools as the chat template takes them."""
    from punie.agent.tools import catalog

    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            },
        }
        for tool in catalog.select(names)
    ]


def wordings(phase: Phase) -> list[Wording]:
    """List the prompts that the phase's data must not share."""
    return [case.wording for name in phase.data.suites for case in suite(name)]
