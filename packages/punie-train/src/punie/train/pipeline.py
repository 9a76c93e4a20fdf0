"""Runs the stages of a phase whose inputs changed, and nothing else.

Artefacts lie in one folder, `runs/PHASE` by default. A stage writes its manifest last, so what was
interrupted runs again; training goes on at its last checkpoint.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from punie.train import manifest
from punie.train.backends import memory
from punie.train.data.example import load as load_examples
from punie.train.errors import PhaseError, TrainError
from punie.train.evals.case import suite
from punie.train.phases.spec import NO_ADAPTER, Phase
from punie.train.stages import bases, compress, fit, paired, prepare, promote
from punie.train.stages.base import Outcome, Say, Work, wordings

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when there is no room for a file."""
MEASURING = {"evaluate", "compare"}
"""Stages whose results decide whether a model is promoted."""
CURRENT = "current"
"""Begins the state of a stage that need not run."""


class Stage(NamedTuple):
    """One step: what decides it, what it does."""

    name: str
    inputs: Callable[[Work], dict[str, str]]
    run: Callable[[Work], Outcome]
    applies: Callable[[Phase], bool] = lambda _: True
    """Whether a phase has this stage."""


def _harvest_inputs(work: Work) -> dict[str, str]:
    data = work.phase.data
    return {"plan": manifest.digest([data.harvest, data.seed])}


def _generate_inputs(work: Work) -> dict[str, str]:
    recorded = manifest.file_digest(work.path(prepare.RECORDED))
    inputs = {
        "data": manifest.digest(work.phase.data),
        "generators": manifest.data_digest(),
        "recorded": recorded,
        "suites": manifest.digest(wordings(work.phase)),
    }
    if work.phase.data.traces is None:
        return inputs
    files = sorted(bases.traces_folder(work.phase).glob("*.jsonl"))
    return inputs | {"traces": manifest.digest([manifest.file_digest(file) for file in files])}


def _examples(work: Work) -> dict[str, str]:
    spec = bases.serving(work.phase)
    return {
        "examples": manifest.file_digest(work.path(prepare.EXAMPLES)),
        "base": bases.base_fingerprint(work.phase, work.folder),
        "serving": manifest.digest([spec.instructions, spec.tools, work.phase.max_tokens]),
        "weights": manifest.digest(_weights(work.phase)),
    }


def _weights(phase: Phase) -> object:
    learnt = phase.data.traces
    return phase.weights if learnt is None else [phase.weights, learnt.weight]


def _train_inputs(work: Work) -> dict[str, str]:
    if work.phase.adapter == NO_ADAPTER:
        return {"adapter": NO_ADAPTER}
    if work.phase.adapter:
        return {"adapter": manifest.file_digest(bases.given_adapter(work.phase) / fit.WEIGHTS)}
    how = manifest.digest([work.phase.lora, work.phase.schedule])
    start = bases.start_adapter(work.phase)
    before = {} if start is None else {"start": manifest.file_digest(start / fit.WEIGHTS)}
    return {**_examples(work), **before, "hyperparameters": how}


def _fuse_inputs(work: Work) -> dict[str, str]:
    return {
        "adapter": _adapter(work),
        "base": bases.base_fingerprint(work.phase, work.folder),
    }


def _adapter(work: Work) -> str:
    if work.phase.adapter == NO_ADAPTER:
        return NO_ADAPTER
    return manifest.file_digest(work.path(fit.ADAPTER_FILES[0]))


def _quantize_inputs(work: Work) -> dict[str, str]:
    spec = work.phase.quantize
    inputs = {
        "fused": _fingerprint(work.path(fit.FUSED)),
        "rounding": manifest.digest(spec),
        "suite": manifest.digest([work.phase.evaluation.suite, work.phase.evaluation.cases]),
    }
    if spec is not None and spec.method != "round":
        inputs["examples"] = manifest.file_digest(work.path(prepare.EXAMPLES))
    return inputs


def _export_inputs(work: Work) -> dict[str, str]:
    return {"fused": _fingerprint(work.path(fit.FUSED))}


def _evaluate_inputs(work: Work) -> dict[str, str]:
    folder, evaluation = fit.served_folder(work), work.phase.evaluation
    return {
        "model": _fingerprint(folder) if folder else _adapter(work),
        "suite": manifest.digest([evaluation, *map(suite, evaluation.asked)]),
    }


def _compare_inputs(work: Work) -> dict[str, str]:
    return {"after": _evaluate_inputs(work)["model"], **paired.inputs(work)}


def _fingerprint(folder: Path) -> str:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(errno.ENOENT, "no model folder", str(folder))
    return bases.folder_fingerprint(folder)


STAGES = (
    Stage("harvest", _harvest_inputs, prepare.run_tools, prepare.needs_examples),
    Stage("generate", _generate_inputs, prepare.generate, prepare.needs_examples),
    Stage("validate", _examples, prepare.validate, prepare.needs_examples),
    Stage("train", _train_inputs, fit.train),
    Stage("fuse", _fuse_inputs, compress.fuse, compress.fuses),
    Stage("quantize", _quantize_inputs, compress.quantize, compress.quantizes),
    Stage("export", _export_inputs, compress.export, compress.exports),
    Stage("evaluate", _evaluate_inputs, fit.evaluate),
    Stage("compare", _compare_inputs, paired.compare, paired.compares),
)


def run(phase: Phase, folder: Path, *, say: Say, done: Say) -> None:
    """Run every stale stage of a phase in order, then hold the result to its gates.

    Args:
        phase: What to do.
        folder: Where its artefacts lie; made when it is missing.
        say: Shows progress within a stage.
        done: Told one line per stage.

    Raises:
        TrainError: A stage failed; the stages before it stand.
        GateError: The trained model stays below a gate.
    """
    run_stages(phase, folder, say=say, done=done)
    promote.check_gates(Work(phase, folder, say))


def promote_to(phase: Phase, folder: Path, to: Path, *, say: Say) -> None:
    """Promote what a phase ends with, if it is what was measured.

    Args:
        phase: What was run.
        folder: Where its artefacts lie.
        to: As `stages.promote.promote` takes it.
        say: Shows progress.

    Raises:
        GateError: The evaluation stayed below a gate, or the model is worse than the one in use.
        TrainError: A stage before has not run, or the model changed since it was measured.
    """
    work = Work(phase, folder, say)
    for stage in STAGES:
        if stage.name in MEASURING and stage.applies(phase):
            state = _state(stage, work)
            if not state.startswith(CURRENT):
                raise TrainError(
                    f"the stage `{stage.name}` is {state}, so nothing was promoted: run "
                    f"`punie-train run {phase.name}` first"
                )
    promote.promote(work, to)


def run_stages(
    phase: Phase, folder: Path, *, say: Say, done: Say, others: Sequence[Path] = ()
) -> None:
    """Run every stale stage of a phase in order; whatever is measured is no failure.

    Args:
        phase: What to do.
        folder: Where its artefacts lie; made when it is missing.
        say: Shows progress within a stage.
        done: Told one line per stage.
        others: Folders of other runs; what a stage made there from the same inputs is taken over.

    Raises:
        TrainError: A stage failed; the stages before it stand.
    """
    for stage in STAGES:
        if stage.applies(phase):
            run_stage(stage, phase, folder, say=say, done=done, others=others)


def plan(phase: Phase, folder: Path, *, say: Say, done: Say) -> list[str]:
    """Make the data of a phase and say what the rest would take; trains nothing.

    Args:
        phase: What is planned.
        folder: Where its artefacts lie; the data made here is used by a later `run`.
        say: Shows progress within a stage.
        done: Told one line per stage.

    Returns:
        Lines for people: examples, memory, and the commands that do the rest.
    """
    if phase.adapter:
        return ["trains      nothing: the adapter is given", "to run it", *_commands(phase, folder)]
    for stage in STAGES[:2]:
        run_stage(stage, phase, folder, say=say, done=done)
    examples = load_examples(folder / prepare.EXAMPLES)
    needed = memory.estimate(
        bases.shape(phase, folder), phase.lora, phase.schedule, longest=phase.max_tokens
    )
    parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in needed._asdict().items())
    return [
        f"examples   {len(examples)}, {sum(not e.tool for e in examples)} of them without a tool",
        f"steps      {phase.schedule.steps}, at most {phase.schedule.batch_size} examples each",
        f"memory     about {needed.total / 1e9:.1f} GB ({parts}); "
        f"this machine has {memory.machine_memory() / 1e9:.1f} GB",
        "to run it",
        *(f"  {line}" for line in _commands(phase, folder)),
    ]


def _commands(phase: Phase, folder: Path) -> list[str]:
    served = fit.served_folder(Work(phase, folder, _silent))
    fetch = [] if phase.shape is None else [f"hf download {phase.base}"]
    if served is None:
        return [*fetch, f"punie-train run {phase.name}"]
    return [
        *fetch,
        f"punie-train run {phase.name}",
        f"python -m mlx_lm.server --model {served} --port 8080",
        "punie serve --model local",
    ]


def run_stage(
    stage: Stage,
    phase: Phase,
    folder: Path,
    *,
    say: Say,
    done: Say,
    force: bool = False,
    others: Sequence[Path] = (),
) -> None:
    """Run one stage unless its manifest says that nothing changed, or another run has done it."""
    folder.mkdir(parents=True, exist_ok=True)

    def say_more(text: str) -> None:
        say(f"{stage.name}: {text}")

    work = Work(phase, folder, say_more)
    path = _manifest_path(stage, folder)
    try:
        inputs = stage.inputs(work)
    except FileNotFoundError as error:
        raise PhaseError(
            f"stage {stage.name} of phase {phase.name} needs {error.filename}: run the stages "
            "before it first"
        ) from error
    if not force and manifest.holds(manifest.read(path), inputs, folder):
        done(f"{stage.name}: unchanged")
        return
    for other in others:
        made = manifest.read(_manifest_path(stage, other))
        if made is not None and manifest.holds(made, inputs, other):
            manifest.take_over(made, other, folder)
            manifest.write(made, path)
            done(f"{stage.name}: taken over from {other.name}")
            return
    try:
        made = _made(stage, work._replace(key=manifest.digest(inputs)), inputs)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise TrainError(
            f"stage {stage.name} could not write below {folder}: {error.strerror}; make room on that "
            "disk, then run the same again"
        ) from error
    figures = ", ".join(f"{key} {value}" for key, value in made.figures.items())
    done(f"{stage.name}: done in {made.seconds} s; {figures}")


def _made(stage: Stage, work: Work, inputs: dict[str, str]) -> manifest.Manifest:
    """Run a stage and write its manifest, last."""
    start = time.monotonic()
    outcome = stage.run(work)
    made = manifest.make(
        phase=work.phase.name,
        stage=stage.name,
        inputs=inputs,
        outputs={name: work.path(name) for name in outcome.outputs},
        figures=outcome.figures,
        seconds=time.monotonic() - start,
    )
    manifest.write(made, _manifest_path(stage, work.folder))
    return made


def status(phase: Phase, folder: Path) -> list[tuple[str, str]]:
    """Tell of each stage whether it has run and still holds.

    Args:
        phase: Its stages, those that apply.
        folder: Where its artefacts lie.

    Returns:
        Name and state: `not run`, `current` with date and time taken, or `stale` with the inputs
        that changed.
    """
    work = Work(phase, folder, _silent)
    return [(stage.name, _state(stage, work)) for stage in STAGES if stage.applies(phase)]


def _state(stage: Stage, work: Work) -> str:
    made = manifest.read(_manifest_path(stage, work.folder))
    if made is None:
        return "not run"
    try:
        inputs = stage.inputs(work)
    except FileNotFoundError as error:
        return f"stale: {error.filename} is missing"
    changed = sorted(k for k, value in inputs.items() if made.inputs.get(k) != value)
    if changed:
        return f"stale: {', '.join(changed)} changed"
    if not manifest.holds(made, inputs, work.folder):
        return "stale: its files are not as it left them"
    return f"{CURRENT}: {made.made}, {made.seconds} s"


def _silent(_text: str) -> None:
    pass


def _manifest_path(stage: Stage, folder: Path) -> Path:
    return folder / f"{stage.name}.manifest.json"


def stage_named(name: str) -> Stage:
    """Find a stage.

    Raises:
        PhaseError: There is none of that name.
    """
    for stage in STAGES:
        if stage.name == name:
            return stage
    names = ", ".join([*(stage.name for stage in STAGES), "promote"])
    raise PhaseError(f"there is no stage {name!r}; there are {names}")
