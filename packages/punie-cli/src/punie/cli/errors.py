"""What can go wrong in punie-cli itself, named for what happened.

Errors of commands are their packages' own; `punie.cli.exits` maps them without importing them.
"""


class CliError(Exception):
    """Base of the errors of punie-cli: one clear sentence each."""

    exit_code: int = 1


class BrokenPluginError(CliError):
    """A command is declared by an installed distribution but cannot be loaded."""

    def __init__(self, name: str, distribution: str, reason: str) -> None:
        super().__init__(
            f"the command {name!r} of {distribution} cannot be loaded: {reason}. "
            f"Reinstall {distribution}; `punie plugins` lists what is broken"
        )
        self.name = name
        self.distribution = distribution
        self.reason = reason
