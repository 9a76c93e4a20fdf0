"""The `punie` group: its commands are entry points, loaded when they are named.

Only the module of the command that runs is imported; help imports all of them, so a command's
module must be light (heavy imports go inside its functions). No sibling package is named here.
"""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from typing import Any

import click

from punie.cli.errors import BrokenPluginError
from punie.cli.plugins import COMMANDS, NOT_A_COMMAND, declared, distribution_of, load


class EntryPointGroup(click.Group):
    """A click group over the entry points of `punie.commands`."""

    @cached_property
    def declared(self) -> dict[str, EntryPoint]:
        """The commands that installed distributions declare, by name."""
        return declared(COMMANDS)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every declared name, broken ones included."""
        return list(self.declared)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command.

        Raises:
            BrokenPluginError: It is declared but does not load.
        """
        entry = self.declared.get(cmd_name)
        if entry is None:
            return None
        command, reason = load(entry)
        if isinstance(command, click.Command):
            return command
        raise BrokenPluginError(cmd_name, distribution_of(entry)[0], reason or NOT_A_COMMAND)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their short help; a broken one with its reason."""
        rows = [(name, self._summary(ctx, name)) for name in self.declared]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl([row for row in rows if row[1] is not None])  # pyright: ignore[reportArgumentType]

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; what it returns is dropped, so only `Exit` sets an exit code."""
        super().invoke(ctx)

    def _summary(self, ctx: click.Context, name: str) -> str | None:
        try:
            command = self.get_command(ctx, name)
        except BrokenPluginError as error:
            return f"(broken: {error.reason})"
        return None if command is None or command.hidden else command.get_short_help_str(80)


def installed_version() -> str:
    """What `punie --version` prints: the meta distribution when it is here, else punie-cli."""
    try:
        return f"punie {version('punie')}"
    except PackageNotFoundError:
        return f"punie-cli {version('punie-cli')}"


def _print_version(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(installed_version())
        ctx.exit()


@click.group(
    cls=EntryPointGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="With no command and no terminal on stdin, `punie` is `punie acp`.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def punie() -> None:
    """A tiny Python coding agent for local models."""
