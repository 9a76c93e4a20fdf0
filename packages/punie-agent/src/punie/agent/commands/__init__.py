"""Slash commands: what a person types at the prompt that is for Punie and not for the model."""

from punie.agent.commands.base import Command, Desk, find, prompt
from punie.agent.commands.builtin import COMMANDS

__all__ = ["COMMANDS", "Command", "Desk", "find", "prompt"]
