"""The stage that asks the model before and the one after the same, and refuses one that became worse."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from punie.train import manifest
from punie.train.errors import GateError, TrainError
from punie.train.files import as_json, write_whole
from punie.train.phases.spec import Phase, Replaces
from punie.train.stages import fit
from punie.train.stages.base import Outcome, Work

if TYPE_CHECKING:
    from punie.train.evals.paired import Pair, PairedReport
    from punie.train.evals.run import Subject

PAIRED = "paired.json"


def compares(phase: Phase) -> bool:
    """Tell whether a phase takes the place of a model that is in use."""
    return phase.replaces is not None


def inputs(work: Work) -> dict[str, str]:
    """What decides the outcome, beside the model after: the model before, the suites, their cases."""
    from punie.train.evals.case import suite, suites

    spec = work.phase.replaces
    assert spec is not None
    data = [suite(name) for name in spec.suites if name in suites()]
    return {"before": _fingerprint(spec.model), "suites": manifest.digest([spec, data])}


def _fingerprint(model: str) -> str:
    """Identify what is in use now, where that is known before it is opened."""
    from punie.train.stages import bases

    if model == "embedded":
        from punie.agent.models.embedded.spec import embedded_spec

        return embedded_spec().fingerprint
    kind, _, rest = model.partition(":")
    folder = Path(rest).expanduser()
    return bases.folder_fingerprint(folder) if kind == "mlx" and folder.is_dir() else model


def compare(work: Work) -> Outcome:
    """Ask both models all suites."""
    report = asyncio.run(_compare(work))
    write_whole(work.path(PAIRED), as_json(report))
    figures = {one.suite: _figures(one) for one in report.pairs}
    return Outcome(outputs=(PAIRED,), figures=figures)


def _figures(one: Pair) -> dict[str, Any]:
    from punie.train.evals.paired import seen_loss

    figures: dict[str, Any] = {"difference": one.difference, "ci95": one.ci95}
    if one.kind == "executed":
        return figures
    return figures | {"p": round(one.p, 4), "seen_loss": seen_loss(one.n)}


async def _compare(work: Work) -> PairedReport:
    from punie.train.evals.figures import ModelSeen
    from punie.train.evals.paired import PairedReport, pair, together
    from punie.train.evals.run import open_subject

    spec = work.phase.replaces
    assert spec is not None
    after_name, adapter = fit.served(work)
    seen: list[ModelSeen] = []
    answers: list[dict[str, _Wrong]] = []
    for when, name, on_top in (("before", spec.model, None), ("after", after_name, adapter)):
        async with open_subject(name, adapter=on_top) as subject:
            seen.append(ModelSeen(spec=subject.spec, fingerprint=subject.fingerprint))
            answers.append({suite: await _ask(work, subject, suite, when) for suite in spec.suites})
    before, after = answers
    for name in spec.suites:
        if before[name].n != after[name].n:
            raise TrainError(
                f"{name} judged {before[name].n} cases of {spec.model} and {after[name].n} of the model "
                "after: those that are missing cannot be compared"
            )
    pairs = {
        name: pair(name, before[name].n, before[name].ids, after[name].ids, kind=before[name].kind)
        for name in spec.suites
    }
    apart = [pairs[name] for name in _apart(spec)]
    added = [together(apart)] if len(apart) > 1 else []
    return PairedReport(before=seen[0], after=seen[1], pairs=(*pairs.values(), *added))


def _apart(spec: Replaces) -> list[str]:
    """Name the suites of cases that share no prompt with one before: their cases may be added up."""
    from punie.train.evals.case import suite, suites

    names: list[str] = []
    asked: set[str] = set()
    for name in spec.suites:
        prompts = {case.prompt for case in suite(name)} if name in suites() else set[str]()
        if prompts and not prompts & asked:
            names.append(name)
            asked |= prompts
    return names


class _Wrong(msgspec.Struct, frozen=True):
    """What a model got wrong in one suite."""

    kind: Literal["cases", "executed"]
    n: int
    ids: frozenset[str]


async def _ask(work: Work, subject: Subject, name: str, when: str) -> _Wrong:
    from punie.train.evals import executed
    from punie.train.evals.case import suite
    from punie.train.evals.run import run
    from punie.train.evals.scorers import score

    spec = work.phase.replaces
    assert spec is not None

    def told(done: int, total: int) -> None:
        work.say(f"{when}, {name}: case {done} of {total}")

    if name in executed.executed_suites():
        verdicts = await executed.executed_suite(name)(subject, told)
        wrong = frozenset(one.id for one in verdicts if not one.passed)
        return _Wrong("executed", len(verdicts), wrong)
    answered = await run(subject, suite(name)[: spec.cases or None], told=told)
    wrong = frozenset(one.case.id for one in answered if not score(one.case, one.step).exact)
    return _Wrong("cases", len(answered), wrong)


def check(work: Work) -> None:
    """Refuse a model that became worse.

    Raises:
        GateError: The message names the suite and the cases.
        TrainError: Both have not been compared.
    """
    from punie.train.evals.paired import PairedReport

    path = work.path(PAIRED)
    try:
        report = msgspec.json.decode(path.read_bytes(), type=PairedReport)
    except FileNotFoundError as error:
        raise TrainError(f"{path} is missing: run the stage `compare` first") from error
    except msgspec.DecodeError as error:
        raise TrainError(f"{path} is damaged ({error}): run the stage `compare` again") from error
    for one in report.worse:
        cases = ", ".join(one.newly_wrong[:5]) + (" and more" if len(one.newly_wrong) > 5 else "")
        raise GateError(f"worse than {report.before.spec} on {one}: {cases}; nothing was promoted")
