"""The `punie` script: chooses the command, runs it, ends with an exit code.

What a command does is its package's business; how an error becomes an exit code is
`punie.cli.exits`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from punie.cli import log
from punie.cli.commands import punie
from punie.cli.exits import exit_code_of


def main() -> NoReturn:
    """Run `punie` with the process's arguments and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run `punie` with the given arguments.

    Args:
        arguments: What follows `punie` on the command line. With none, an IDE that starts a bare
            `punie` gets the agent, a person at a terminal gets help.

    Returns:
        The exit code.
    """
    chosen = list(arguments) or (["--help"] if _at_terminal() else ["acp"])
    log.install()
    try:
        code = punie.main(chosen, prog_name="punie", standalone_mode=False)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 (the process edge: every error becomes a code)
        return exit_code_of(error)
    return code if isinstance(code, int) else 0


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]
