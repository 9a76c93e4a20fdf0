"""Slash commands.

https://agentclientprotocol.com/protocol/v2/slash-commands
"""

from __future__ import annotations

from typing import TypeAlias

from punie.acp.schema._base import Wire
from punie.acp.schema.v2._base import UnknownVariant


class TextCommandInput(Wire, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A command takes the text after its name."""

    hint: str


AvailableCommandInput: TypeAlias = TextCommandInput | UnknownVariant


class Command(Wire, frozen=True, kw_only=True, tag_field="type", tag="command"):
    """A command that a prompt can begin with."""

    name: str
    description: str
    input: AvailableCommandInput | None = None


AvailableCommand: TypeAlias = Command | UnknownVariant
