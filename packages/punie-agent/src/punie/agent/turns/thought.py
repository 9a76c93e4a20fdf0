"""How much a model is to reason before it answers: what a chosen level becomes in a request.

Which levels there are, and how they are said, is declared by the model's spec; nothing is guessed.
"""

from __future__ import annotations

from typing import assert_never, cast

from pydantic_ai.settings import ModelSettings, ThinkingLevel

from punie.agent.models.spec import ModelSpec

OFF = "off"
"""The level at which a model is not to reason."""
SWITCH = " /no_think"
"""What ends a prompt then, for models that were trained on it."""


def level_in(spec: ModelSpec, chosen: str) -> str:
    """Give the level that was chosen, if the model has it; empty leaves it to the model."""
    return chosen if chosen in spec.thought_levels else ""


def level_settings(spec: ModelSpec, level: str) -> ModelSettings:
    """Write a level as settings of a request.

    Args:
        spec: The model.
        level: One of its levels; empty leaves it to the model.
    """
    if not level:
        return ModelSettings()
    match spec.thought_by:
        case "reasoning_effort":
            return ModelSettings(extra_body={"reasoning_effort": level})
        case "provider":
            return ModelSettings(thinking=False if level == OFF else cast("ThinkingLevel", level))
        case "no_think":
            return ModelSettings()
        case _ as never:
            assert_never(never)


def with_switch(text: str, spec: ModelSpec, level: str) -> str:
    """End a prompt with the switch, where the spec says that the model has one.

    Args:
        text: The prompt.
        spec: The model.
        level: One of its levels; empty leaves it to the model.
    """
    return text + SWITCH if spec.thought_by == "no_think" and level == OFF else text
