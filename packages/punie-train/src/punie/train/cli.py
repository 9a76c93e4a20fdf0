"""`punie-train`, which is also `punie train`: run phases, score models.

Only click is imported here; every command loads what it needs. Results go to stdout, progress and
errors to stderr.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from punie.train.evals.case import Case
    from punie.train.evals.figures import FiguresReport
    from punie.train.evals.report import EvalReport
    from punie.train.phases.spec import Phase

INTERRUPTED = 130
_LOG_EVERY = 60.0
"""Seconds between two lines of progress where no terminal shows it."""

_output = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the artefacts; runs/PHASE by default.",
)


def _opened(phase: str, output: Path | None) -> tuple[Phase, Path]:
    """Read a phase, and name the folder of its artefacts."""
    from punie.train.phases import load_phase

    chosen = load_phase(phase)
    return chosen, output or Path("runs", chosen.name)


@click.group()
def train() -> None:
    """Make small models for a domain, and measure them."""


@train.command()
def phases() -> None:
    """List the phases that can be run."""
    from punie.train.phases import load_phase, phase_names

    for name in phase_names():
        click.echo(f"{name:<12} {load_phase(name).description}")


@train.command()
@click.argument("phase")
@_output
@click.option("--dry-run", is_flag=True, help="Make the data, say what training would take, stop.")
def run(phase: str, output: Path | None, dry_run: bool) -> None:
    """Run every stage of PHASE whose inputs changed, then check its gates."""
    from punie.train import pipeline

    chosen, folder = _opened(phase, output)
    with _Progress() as say:
        if not dry_run:
            pipeline.run(chosen, folder, say=say, done=say.line)
            return
        lines = pipeline.plan(chosen, folder, say=say, done=say.line)
    click.echo("\n".join(lines))


@train.command()
@click.argument("stage")
@click.argument("phase")
@_output
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where `promote` puts the adapter or model.",
)
def stage(stage: str, phase: str, output: Path | None, to: Path | None) -> None:
    """Run one STAGE of PHASE, such as `train`, or `promote`; also when nothing changed."""
    from punie.train import pipeline

    chosen, folder = _opened(phase, output)
    with _Progress() as say:
        if stage != "promote":
            named = pipeline.stage_named(stage)
            pipeline.run_stage(named, chosen, folder, say=say, done=say.line, force=True)
            return
        if to is None:
            raise click.UsageError("promote needs --to DIR")
        pipeline.promote_to(chosen, folder, to, say=say)
        say.line(f"promoted to {to}")


@train.command()
@click.argument("phase")
@_output
def status(phase: str, output: Path | None) -> None:
    """Tell which stages of PHASE have run, and which are stale and why."""
    from punie.train import pipeline

    for name, state in pipeline.status(*_opened(phase, output)):
        click.echo(f"{name:<10} {state}")


@train.command()
@click.argument("phase")
@click.option(
    "--over",
    multiple=True,
    required=True,
    metavar="KEY=VALUE,VALUE",
    help="What is varied, by its key in the phase file; may be given again.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the sweep; runs/sweep-PHASE by default.",
)
def sweep(phase: str, over: tuple[str, ...], output: Path | None) -> None:
    """Run PHASE with every combination of values, and write one table.

    `punie-train sweep shipped --over quantize.bits=8,6,5,4,3`
    """
    from punie.train import sweep as sweeping
    from punie.train.phases import load_phase

    chosen = load_phase(phase)
    folder = output or Path("runs", f"sweep-{chosen.name}")
    with _Progress() as say:
        made = sweeping.run(chosen, over, folder, say=say, done=say.line)
    click.echo(made, nl=False)


@train.command()
@click.argument("phase")
@_output
@click.option("--rounds", default=20, show_default=True, help="Measurements of each form.")
@click.option("--prompt", default=64, show_default=True, help="Tokens to read.")
@click.option("--new", default=32, show_default=True, help="Tokens to write.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(
    phase: str, output: Path | None, rounds: int, prompt: int, new: int, as_json: bool
) -> None:
    """Tokens per second of what PHASE has made: adapter, fused, quantized."""
    import msgspec

    from punie.train import bench as benching

    chosen, folder = _opened(phase, output)
    with _Progress() as say:
        forms = benching.run(chosen, folder, rounds=rounds, prompt=prompt, new=new, say=say)
    text = benching.to_text(forms, rounds=rounds)
    click.echo(msgspec.json.encode(forms).decode() if as_json else text)


@train.command()
@click.argument("phase")
@_output
@click.option(
    "--bits", multiple=True, type=click.Choice(["8", "6", "5", "4", "3"]), help="All by default."
)
@click.option(
    "--group-size", multiple=True, type=click.Choice(["32", "64", "128"]), help="64 by default."
)
def bits(
    phase: str, output: Path | None, bits: tuple[str, ...], group_size: tuple[str, ...]
) -> None:
    """How few bits keep what PHASE has trained: size, divergence, right answers."""
    from punie.train import rounding

    chosen, folder = _opened(phase, output)
    numbers = [int(one) for one in bits] or rounding.BITS
    sizes = [int(one) for one in group_size] or [64]
    with _Progress() as say:
        found = rounding.run(chosen, folder, bits=numbers, group_sizes=sizes, say=say)
    click.echo(rounding.to_text(found))


@train.command()
@click.argument("before", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.argument("after", type=click.Path(file_okay=False, exists=True, path_type=Path))
def compare(before: Path, after: Path) -> None:
    """Set the evaluations of two runs side by side; BEFORE and AFTER are folders of artefacts."""
    from punie.train.evals.report import compare as side_by_side
    from punie.train.stages.fit import REPORT, read_report

    click.echo(side_by_side(read_report(before / REPORT), read_report(after / REPORT)))


@train.command()
@click.option(
    "--ledger",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("runs/ledger.jsonl"),
    show_default=True,
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("MODEL_PERFORMANCE_TRACKER.md"),
    show_default=True,
)
def report(path: Path, output: Path) -> None:
    """Write the performance tracker from the ledger of evaluations."""
    from punie.train import ledger
    from punie.train.phases import load_phase, phase_names

    entries = ledger.read(path)
    known = {name: load_phase(name).description for name in phase_names()}
    output.write_text(ledger.to_markdown(entries, phases=known), encoding="utf-8")
    click.echo(f"{output}: {len(entries)} evaluations", err=True)


@train.command("eval")
@click.option("--model", "name", default="embedded", show_default=True, help="A model spec.")
@click.option(
    "--cases",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Cases from outside, one JSON object a line.",
)
@click.option("--suite", "suite_name", default="embedded-dev", show_default=True)
@click.option("--reports", is_flag=True, help="Score reports on tool results instead of calls.")
@click.option(
    "--adapter",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Score `embedded` with this adapter instead of the shipped one.",
)
@click.option(
    "--no-grammar", is_flag=True, help="Do not hold a model in this process to its grammar."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    name: str,
    cases: Path | None,
    suite_name: str,
    reports: bool,
    adapter: Path | None,
    no_grammar: bool,
    as_json: bool,
) -> None:
    """Score a model: the right tool, with the right arguments, or an answer.

    `--model null` and `--model oracle` are the controls: the floor and 100 %.
    """
    with _Progress() as say:
        grammar = not no_grammar
        if reports:
            figures = asyncio.run(_score_reports(name, adapter, grammar=grammar, say=say))
            _print(figures, as_json=as_json)
            return
        from punie.train.evals.case import read_cases, suite

        chosen = read_cases(cases) if cases is not None else suite(suite_name)
        _print(
            asyncio.run(_score(name, chosen, adapter, grammar=grammar, say=say)), as_json=as_json
        )


async def _score(
    name: str,
    cases: list[Case],
    adapter: Path | None,
    *,
    grammar: bool,
    say: Callable[[str], None],
) -> EvalReport:
    from punie.train.evals import run as running
    from punie.train.evals.report import evaluate as sum_up

    async with running.open_subject(name, adapter=adapter, grammar=grammar) as subject:
        answered = await running.run(
            subject, cases, told=lambda done, total: say(f"case {done} of {total}")
        )
        return sum_up(subject, answered)


async def _score_reports(
    name: str, adapter: Path | None, *, grammar: bool, say: Callable[[str], None]
) -> FiguresReport:
    from punie.train.evals import figures
    from punie.train.evals import run as running

    async with running.open_subject(name, adapter=adapter, grammar=grammar) as subject:
        return await figures.score_reports(
            subject, told=lambda done, total: say(f"report {done} of {total}")
        )


def _print(report: EvalReport | FiguresReport, *, as_json: bool) -> None:
    import msgspec

    from punie.train.evals.report import to_text

    click.echo(msgspec.json.encode(report).decode() if as_json else to_text(report))


class _Progress:
    """One line on stderr that is written over; without a terminal, such as in a log, one a minute."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._told = time.monotonic()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, text: str) -> None:
        if self._live:
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        elif time.monotonic() - self._told > _LOG_EVERY:
            self._told = time.monotonic()
            click.echo(text, err=True)

    def line(self, text: str) -> None:
        """Write a line that stays."""
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)
        click.echo(text, err=True)


def main() -> NoReturn:
    """Run `punie-train` with the process's arguments and exit."""
    try:
        code = train.main(prog_name="punie-train", standalone_mode=False)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the process edge: every error becomes a code
        sys.exit(_exit_code(error))
    sys.exit(code if isinstance(code, int) else 0)


def _exit_code(error: BaseException) -> int:
    """Tell a person what happened in one sentence; the error knows its code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    code = getattr(error, "exit_code", None)
    if not isinstance(code, int):
        raise error
    click.echo(f"Error: {error}", err=True)
    return code
