"""The stages that need a model: train, evaluate."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from punie.train import ledger
from punie.train.backends import memory
from punie.train.data.example import load as load_examples
from punie.train.errors import GateError, TrainError
from punie.train.files import as_json, write_whole
from punie.train.phases.spec import NO_ADAPTER, Phase
from punie.train.stages import bases, curves, prepare
from punie.train.stages.base import Outcome, Work

if TYPE_CHECKING:
    from punie.train.evals.report import EvalReport

ADAPTER, FUSED, QUANTIZED = "adapter", "fused", "quantized"
REPORT = "report.json"
CURVE = "loss.png"
WEIGHTS, CONFIG = "adapters.safetensors", "adapter_config.json"
ADAPTER_FILES = (f"{ADAPTER}/{WEIGHTS}", f"{ADAPTER}/{CONFIG}")


def train(work: Work) -> Outcome:
    """Train the adapter; an interrupted run goes on at its last checkpoint."""
    if work.phase.adapter:
        return _take_given(work)
    from punie.agent.models.embedded.blas import preload_fast_blas

    blas = preload_fast_blas()
    phase = work.phase
    rows = prepare.tokens(work, load_examples(work.path(prepare.EXAMPLES)))
    needed = memory.estimate(
        bases.shape(phase, work.folder),
        phase.lora,
        phase.schedule,
        longest=max(len(row.ids) for row in rows),
    )
    memory.check(needed)
    from punie.train.backends import adapters, loss, mlx
    from punie.train.backends.base import Progress
    from punie.train.backends.checkpoints import Checkpoints

    mlx.keep_memory()
    model = mlx.load(bases.base_folder(phase, work.folder))
    parameters = mlx.add_lora(model, phase.lora, seed=phase.schedule.seed)
    if (start := bases.start_adapter(phase)) is not None:
        adapters.load(model, start, phase.lora)
    checkpoints = Checkpoints(work.path("checkpoints"), key=work.key)

    def report(at: Progress) -> None:
        minutes = at.seconds_left / 60
        work.say(f"step {at.step}/{at.steps}, loss {at.loss:.3f}, {minutes:.0f} min left")

    cases = prepare.held_out(work)
    _, losses, scores = mlx.train(
        model,
        rows,
        schedule=phase.schedule,
        checkpoints=checkpoints,
        score=lambda trained: loss.share_right(trained, cases),
        report=report,
    )
    mlx.save_adapter(model, work.path(ADAPTER), phase.lora)
    curves.draw(losses, scores, work.path(CURVE), every=phase.schedule.checkpoint)
    tail = losses[-min(20, len(losses)) :]
    figures: dict[str, Any] = {
        "trainable_parameters": parameters,
        "estimated_memory": needed.total,
        "first_loss": round(losses[0], 4),
        "last_losses_mean": round(sum(tail) / len(tail), 4),
        "scores": [round(score, 4) for score in scores],
        "scored": f"{len(cases)} cases of {phase.evaluation.suite}, no grammar, at every checkpoint",
        "blas": blas or "",
    }
    return Outcome(outputs=(*ADAPTER_FILES, CURVE), figures=figures)


def _take_given(work: Work) -> Outcome:
    if work.phase.adapter == NO_ADAPTER:
        return Outcome(outputs=())
    source = bases.given_adapter(work.phase)
    work.path(ADAPTER).mkdir(exist_ok=True)
    for name in ADAPTER_FILES:
        work.path(name).unlink(missing_ok=True)  # it may be another run's, too
        shutil.copyfile(source / Path(name).name, work.path(name))
    return Outcome(outputs=ADAPTER_FILES, figures={"given": work.phase.adapter})


def chose(phase: Phase, suite: str) -> bool:
    """Tell whether a suite chose the checkpoint that is scored; a given adapter was not chosen here."""
    return suite == phase.evaluation.suite and not phase.adapter


def evaluate(work: Work) -> Outcome:
    """Score what the phase ends with, through the engine that serves it; the ledger has it too."""
    from punie.train.evals.report import entry

    phase, book = work.phase, work.folder.parent / ledger.LEDGER
    first, *others = asyncio.run(_evaluate(work))
    for one in (first, *others):
        write_whole(work.path(_report_file(phase, one.suite)), as_json(one.report))
        selected = chose(phase, one.suite)
        ledger.append(book, entry(phase=phase.name, chose=selected, **one._asdict()))
    figures = _figures(first.report)
    if others:
        figures["chose"] = first.suite if chose(phase, first.suite) else ""
        figures["reported"] = {one.suite: _figures(one.report) for one in others}
    outputs = tuple(_report_file(phase, name) for name in phase.evaluation.asked)
    return Outcome(outputs=outputs, figures=figures)


class _Measured(NamedTuple):
    report: EvalReport
    suite: str
    seconds: float


def _report_file(phase: Phase, suite: str) -> str:
    return REPORT if suite == phase.evaluation.suite else f"report-{suite}.json"


def _figures(report: EvalReport) -> dict[str, Any]:
    from punie.train.evals.report import shares

    return {"n": report.n, **{n: msgspec.to_builtins(r) for n, r in shares(report).items()}}


async def _evaluate(work: Work) -> list[_Measured]:
    from punie.train.evals.case import suite
    from punie.train.evals.report import evaluate as sum_up
    from punie.train.evals.run import open_subject, run

    how = work.phase.evaluation
    name, adapter = served(work)
    measured: list[_Measured] = []
    async with open_subject(name, adapter=adapter, grammar=how.grammar) as subject:
        for one in how.asked:

            def told(done: int, total: int, one: str = one) -> None:
                work.say(f"{one}: case {done} of {total}")

            start = time.monotonic()
            answered = await run(subject, suite(one)[: how.cases or None], told=told)
            seconds = time.monotonic() - start
            measured.append(_Measured(sum_up(subject, answered), one, seconds))
    return measured


def adapter_of(work: Work) -> Path | None:
    """The adapter on top of the base; `None` where the phase takes none."""
    return None if work.phase.adapter == NO_ADAPTER else work.path(ADAPTER)


def served(work: Work) -> tuple[str, Path | None]:
    """Name what a phase ends with: a model spec and, for `embedded`, the adapter on top of it."""
    folder = served_folder(work)
    return (f"mlx:{folder}", None) if folder else ("embedded", work.path(ADAPTER))


def served_folder(work: Work) -> Path | None:
    """The model folder that a phase ends with; `None` when it is an adapter on `embedded`."""
    if work.phase.quantize is not None:
        return work.path(QUANTIZED)
    return work.path(FUSED) if work.phase.fuse else None


def read_report(path: Path) -> EvalReport:
    """Read what `evaluate` wrote.

    Raises:
        TrainError: It is missing or damaged.
    """
    from punie.train.evals.report import EvalReport

    if not path.is_file():
        raise TrainError(f"{path} is missing: run the stage `evaluate` first")
    try:
        return msgspec.json.decode(path.read_bytes(), type=EvalReport)
    except msgspec.DecodeError as error:
        raise TrainError(f"{path} is damaged ({error}): run the stage `evaluate` again") from error


def check_gates(phase: Phase, path: Path) -> None:
    """Refuse a model that stays below a gate.

    Raises:
        GateError: The message names the figure and the gate.
        TrainError: There is no report.
    """
    report = read_report(path)
    for name, gate in msgspec.structs.asdict(phase.gates).items():
        value = getattr(report, name).value
        if value < gate:
            raise GateError(
                f"{name} is {value:.1%} on {report.n} cases, the gate of phase {phase.name} is "
                f"{gate:.1%}: nothing was promoted"
            )
