"""The slash commands as a client lists them."""

from __future__ import annotations

from punie.acp.schema import v2
from punie.agent.commands import COMMANDS


def available() -> list[v2.AvailableCommand]:
    """List them."""
    return [
        v2.Command(
            name=command.name,
            description=command.description,
            input=v2.TextCommandInput(hint=command.hint) if command.hint else None,
        )
        for command in COMMANDS.values()
    ]
