"""Which models a person can choose between, as a list for a menu.

What is written in settings and what this process can do is known at once; which servers of this machine
answer takes a look, which `look_around` does and which leaves the machine never. A chosen model is
opened, and refused, by `models.registry` when a turn needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from punie.agent.errors import ModelUnavailableError
from punie.agent.models import registry, servers

DEFAULT = "default"
"""Stands for no choice: what the settings lead to."""


class ModelChoice(NamedTuple):
    """One line of the menu."""

    value: str
    """What `--model` would take, or `DEFAULT`."""
    name: str
    description: str = ""


def written(flag: str | None, cwd: Path, environ: Mapping[str, str]) -> list[ModelChoice]:
    """List what is known without looking around: the default, the settings' models, the embedded.

    Args:
        flag: What `--model` said.
        cwd: The session's folder.
        environ: Environment variables.

    Raises:
        ConfigError: A settings file cannot be used.
    """
    named = list(registry.named(flag, cwd, environ))
    if named:
        default = f"{named[0].name}, from {named[0].source}"
    else:
        default = "a server of this machine that answers, else the embedded model"
    choices = [ModelChoice(DEFAULT, "Default", default)]
    choices += [ModelChoice(one.name, one.name, f"From {one.source}") for one in named]
    try:
        registry.check_mlx()
    except ModelUnavailableError:
        return unique(choices)
    embedded = ModelChoice("embedded", "Embedded", "The small model in this process, no server")
    return unique([*choices, embedded])


def look_around() -> list[ModelChoice]:
    """List what the model servers of this machine serve; takes half a second at most."""
    return [
        ModelChoice(f"local:{server.url}/{model}", model, f"Served at {server.url}")
        for server in servers.look()
        for model in server.models
    ]


def unique(choices: Iterable[ModelChoice]) -> list[ModelChoice]:
    """Leave out later choices of the same model."""
    return list({choice.value: choice for choice in reversed(list(choices))}.values())[::-1]
