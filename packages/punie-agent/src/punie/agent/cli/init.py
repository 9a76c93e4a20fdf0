"""`punie init`: tell the IDE about Punie.

This module only reads the command line; `cli.editors` knows the files.
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Tell the IDE about Punie.")
@click.option("--model", metavar="SPEC", help="The model that the IDE's agent shall use.")
@click.option("--zed", is_flag=True, help="Zed's settings instead of JetBrains'.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Another file than the editor's own.",
)
@click.option("--dry-run", is_flag=True, help="Print what would change, as a diff; write nothing.")
def init(model: str | None, zed: bool, output: Path | None, dry_run: bool) -> None:
    """Merge Punie into ~/.jetbrains/acp.json, the list of agents of JetBrains IDEs.

    Other agents and unknown keys stay as they are. A file that cannot be read as JSON is left
    alone: exit code 2.
    """
    from punie.agent.cli import editors

    editor = editors.zed() if zed else editors.jetbrains()
    change = editors.merge(editor, output or editor.file, model=model)
    if not change.differs:
        click.echo(f"{change.path} already lists Punie; nothing to do")
    elif dry_run:
        click.echo(change.diff(), nl=False)
    else:
        change.write()
        click.echo(f"{change.path} lists Punie now; {editor.next_step}")
