"""A phase over a small grid: every combination of values is a run of its own, and one table tells all.

Each run has its folder and its manifests, so a killed sweep goes on where it was. What a stage has made
from the same inputs in another run of the sweep is taken over: a grid over bits trains once. The runs'
evaluations are in a ledger of the sweep's own; gates do not apply, since a low score is a result here.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from punie.train import ledger, manifest, pipeline
from punie.train.errors import PhaseError, TrainError
from punie.train.files import write_whole
from punie.train.ledger import Rate, percent
from punie.train.phases.spec import Phase
from punie.train.stages import fit
from punie.train.stages.base import Say

TABLE = "table.md"
_SEED = "seed"


class Point(NamedTuple):
    """One combination."""

    values: dict[str, str]
    """What is set, by its key in the phase file, such as `quantize.bits`."""
    phase: Phase

    @property
    def name(self) -> str:
        """Of its folder."""
        return ",".join(f"{key}={value}" for key, value in self.values.items())


def grid(phase: Phase, over: Sequence[str]) -> list[Point]:
    """Combine values.

    Args:
        phase: Gives all that is not set.
        over: `KEY=VALUE,VALUE`, the key with dots as in a phase file; a value is TOML, or a word.

    Returns:
        Every combination, the last key changing fastest.

    Raises:
        PhaseError: There is no such key, or a value does not fit it.

    Example:
        >>> from punie.train.phases import load_phase
        >>> points = grid(load_phase("smoke"), ["quantize.bits=8,4", "schedule.seed=1,2"])
        >>> [point.name for point in points][1:3]
        ['quantize.bits=8,schedule.seed=2', 'quantize.bits=4,schedule.seed=1']
    """
    axes: list[list[tuple[str, str]]] = []
    for one in over:
        key, equals, values = one.partition("=")
        if not equals or not all(values.split(",")):
            raise PhaseError(f"{one!r} is not KEY=VALUE,VALUE, such as quantize.bits=8,5,4")
        axes.append([(key, value) for value in values.split(",")])
    return [Point(dict(values), _set(phase, dict(values))) for values in itertools.product(*axes)]


def _set(phase: Phase, values: dict[str, str]) -> Phase:
    tree: dict[str, Any] = msgspec.to_builtins(phase)
    for key, value in values.items():
        *tables, last = key.split(".")
        place = tree
        for table in tables:
            inner: Any = place.get(table) or {}
            if not isinstance(inner, dict):
                raise PhaseError(f"{key}: `{table}` is no table of a phase")
            place[table] = place = cast("dict[str, Any]", inner)
        place[last] = _value(value)
    try:
        return msgspec.convert(tree, Phase)
    except msgspec.ValidationError as error:
        raise PhaseError(f"phase {phase.name} with {values}: {error}") from error


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def run(phase: Phase, over: Sequence[str], folder: Path, *, say: Say, done: Say) -> str:
    """Run a grid.

    Args:
        phase: What is varied.
        over: As `grid` takes it.
        folder: Of the sweep; the table in it is written anew after every run.
        say: Shows progress within a stage.
        done: Told one line per stage.

    Returns:
        The table, Markdown.

    Raises:
        TrainError: A run failed; those before it stand.
    """
    points = grid(phase, over)
    for number, point in enumerate(points, 1):
        done(f"{point.name} ({number} of {len(points)})")
        others = [folder / other.name for other in points if other.name != point.name]
        pipeline.run_stages(point.phase, folder / point.name, say=say, done=done, others=others)
        write_whole(folder / TABLE, table(points, folder).encode())
    return table(points, folder)


def table(points: Sequence[Point], folder: Path) -> str:
    """Tell what the runs of a grid came to, those that are done.

    Args:
        points: The grid.
        folder: Of the sweep.

    Returns:
        Markdown: a row for each run with its shares and their intervals; below it, where a seed was
        varied, for each other combination the mean, lowest and highest share over the seeds.
    """
    keys = list(points[0].values)
    rows = [(point, found) for point in points if (found := _found(folder / point.name))]
    head = [*keys, "n", "tool or answer", "exact", "MB", "bits per weight", "KL"]
    cells = [[*point.values.values(), *_cells(found)] for point, found in rows]
    return "\n".join([*ledger.table(head, cells), *_over_seeds(keys, rows)]) + "\n"


class _Found(NamedTuple):
    n: int
    tool_or_answer: Rate
    exact: Rate
    figures: dict[str, Any]


def _cells(found: _Found) -> list[str]:
    size = [found.figures.get(name) for name in ("megabytes", "bits_per_weight", "kl")]
    return [
        str(found.n),
        percent(found.tool_or_answer),
        percent(found.exact),
        *("-" if figure is None else str(figure) for figure in size),
    ]


def _found(run: Path) -> _Found | None:
    try:
        report = fit.read_report(run / fit.REPORT)
    except TrainError:
        return None
    rounded = manifest.read(run / "quantize.manifest.json")
    figures = {} if rounded is None else rounded.figures
    return _Found(report.n, report.tool_or_answer, report.exact, figures)


def _over_seeds(keys: Sequence[str], rows: Sequence[tuple[Point, _Found]]) -> list[str]:
    fixed = [key for key in keys if key.rpartition(".")[2] != _SEED]
    if len(fixed) == len(keys):
        return []
    groups: dict[tuple[str, ...], list[float]] = {}
    for point, found in rows:
        groups.setdefault(tuple(point.values[k] for k in fixed), []).append(found.exact.value)
    head = [*fixed, "runs", "exact: mean", "lowest", "highest"]
    cells: list[list[str]] = []
    for values, shares in groups.items():
        spread = (sum(shares) / len(shares), min(shares), max(shares))
        cells.append([*values, str(len(shares)), *(f"{100 * share:.1f} %" for share in spread)])
    return ["", *ledger.table(head, cells)]
