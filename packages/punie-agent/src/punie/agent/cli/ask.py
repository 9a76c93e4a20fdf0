"""`punie ask`: one prompt here and now, the answer on stdout, everything else on stderr.

This module only reads the command line; `cli.asking` does the work and is loaded when it is run.
"""

from __future__ import annotations

from pathlib import Path

import click

MODES = ("ask", "edit", "plan", "read-only", "bypass")


@click.command(short_help="Answer one prompt here and now.")
@click.argument("prompt")
@click.option("--model", metavar="SPEC", help="The model: local, embedded, openai:NAME, ...")
@click.option(
    "--cwd",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The project's folder; the current one by default.",
)
@click.option("--mode", type=click.Choice(MODES), help="How much it may do without asking.")
@click.option("--yes", is_flag=True, help="Allow everything that would be asked.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON line per event.")
def ask(
    prompt: str, model: str | None, cwd: Path, mode: str | None, yes: bool, as_json: bool
) -> None:
    """Answer PROMPT with the tools of the project in the current folder.

    The answer goes to stdout, everything else to stderr. Exit codes: 0 answered, 1 the turn failed,
    2 usage, 3 no model, 4 permission denied, 130 cancelled.
    """
    from punie.agent.cli.asking import Question, run

    question = Question(
        prompt=prompt, model=model, cwd=cwd.absolute(), mode=mode, yes=yes, as_json=as_json
    )
    click.get_current_context().exit(run(question))
