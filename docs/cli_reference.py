"""Writes docs/reference/cli.md from the help that the commands print themselves.

uv run python docs/cli_reference.py           write the page
uv run python docs/cli_reference.py --check   exit 1 when the page is out of date
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click

from punie.cli.commands import punie

PAGE = Path(__file__).parent / "reference" / "cli.md"

INTRO = """\
# Command line

<!-- Written by docs/cli_reference.py; change the commands' help instead. -->

`punie` is one script whose commands come from the installed distributions. `punie-train` is a second
script with the same commands as `punie train`.

Exit codes: 0 done, 1 it failed, 2 usage or configuration, 3 no model answers, 4 permission denied, 130
cancelled.
"""


def sections(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[str]:
    """One section per command, depth first, in the order that help lists them."""
    settings = {**command.context_settings, "terminal_width": 88}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    path = context.command_path
    yield f"## `{path}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            loaded = command.get_command(context, child)
            if loaded is not None and path != "punie train" and not loaded.hidden:
                yield from sections(loaded, child, context)


def page() -> str:
    """The whole page."""
    (script,) = entry_points(group="punie.commands", name="train")
    parts = [INTRO, *sections(punie, "punie"), *sections(script.load(), "punie-train")]
    return "\n".join(parts)


def main() -> None:
    """Write the page or compare it."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        raise SystemExit(f"{PAGE} is out of date: run python docs/cli_reference.py")


if __name__ == "__main__":
    main()
