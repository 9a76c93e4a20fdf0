"""`python -m punie.acp check|inspect -- COMMAND`: tools for whoever builds an agent or a client."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from punie.acp.errors import AgentStartError

_EPILOG = "Exit codes: 0 clean, 1 a requirement is violated, 2 usage."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m punie.acp", description="Tools for the Agent Client Protocol."
    )
    commands = parser.add_subparsers(dest="tool", required=True)
    check = commands.add_parser(
        "check", help="hold an agent to the protocol, requirement by requirement", epilog=_EPILOG
    )
    check.add_argument("--prompts", type=Path, metavar="FILE", help="TOML: short, long, write")
    check.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="for an answer (default 30)"
    )
    check.add_argument(
        "--only", action="append", metavar="ID", help="check this requirement; may be repeated"
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    inspect = commands.add_parser(
        "inspect", help="stand between a client and an agent, and show on stderr what they say"
    )
    inspect.add_argument("--record", type=Path, metavar="FILE", help="write a recording, too")
    for tool in (check, inspect):
        tool.add_argument("command", nargs="+", metavar="-- COMMAND", help="starts the agent")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the tools.

    Args:
        arguments: In place of those of this process.

    Returns:
        The exit code.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.tool == "inspect":
            from punie.acp.inspect import inspect

            return inspect(options.command, record=options.record)
        from punie.acp.check import check

        return check(
            options.command,
            prompts=options.prompts,
            timeout=options.timeout,
            only=options.only,
            as_json=options.json,
        )
    except (AgentStartError, OSError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
