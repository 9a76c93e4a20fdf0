"""The stages that make data: run tools, put examples together, check what a model would read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from punie.train.backends.base import trained_from
from punie.train.data import card, checks, dataset, learned, traces
from punie.train.data.example import Example, called, example, load, said
from punie.train.data.generators import harvest, results
from punie.train.data.render import Renderer
from punie.train.data.tokens import DIRECT, Tokens
from punie.train.errors import EmptyTargetError
from punie.train.evals.case import Case, suite
from punie.train.files import as_lines, write_whole
from punie.train.phases.spec import Phase
from punie.train.stages import bases
from punie.train.stages.base import Outcome, Work, wordings

RECORDED = "recorded.jsonl"
EXAMPLES = "examples.jsonl"
CARD = "data.md"
_ANY_TOOL = "git_status"
"""Stands in for the call that a direct answer must not begin: all calls begin alike."""


def needs_examples(phase: Phase) -> bool:
    """Tell whether anything in a phase looks at examples."""
    looks = phase.quantize is not None and phase.quantize.method != "round"
    return not phase.adapter or looks


def run_tools(work: Work) -> Outcome:
    """Run the tools of the catalog in real projects and keep their results."""
    data = work.phase.data
    recorded = asyncio.run(
        harvest.harvest(
            data.harvest,
            seed=data.seed,
            limit=bases.serving(work.phase).result_limit,
            told=lambda project, count: work.say(f"{count} results, last from {project}"),
        )
    )
    results.save(recorded, work.path(RECORDED))
    return Outcome(outputs=(RECORDED,), figures={"results": len(recorded)})


def generate(work: Work) -> Outcome:
    """Put the examples together and hold them to the rules of `data.checks`."""
    data = work.phase.data
    made = dataset.generate(
        data.mix,
        seed=data.seed,
        recorded=results.load(work.path(RECORDED)),
        suites=wordings(work.phase),
        limit=data.limit,
    )
    examples, figures = made.examples, msgspec.to_builtins(made.report)
    if data.traces is not None:
        examples, learnt = _learned(work, made.examples)
        figures["traces"] = msgspec.to_builtins(learnt)
    write_whole(work.path(EXAMPLES), as_lines(examples))
    card.write(work.phase, examples, figures, work.path(CARD))
    return Outcome(outputs=(EXAMPLES, CARD), figures=figures)


def _learned(work: Work, generated: list[Example]) -> learned.Mixed:
    """Add what the person's own sessions teach."""
    from punie.agent.tools import catalog

    spec = work.phase.data.traces
    assert spec is not None
    tools = catalog.select(bases.serving(work.phase).tools)
    found = traces.read(spec, bases.traces_folder(work.phase), tools=tools)
    renderer = _renderer(work)

    def fits(one: Example) -> bool:
        try:
            renderer.tokens(one)
        except EmptyTargetError:
            return False
        return True

    return learned.mixed(found, generated, suites=wordings(work.phase), fits=fits)


def validate(work: Work) -> Outcome:
    """Check that results came from tools, and that training sees the tokens that serving sends."""
    examples = load(work.path(EXAMPLES))
    recorded = results.load(work.path(RECORDED))
    checks.check_results(examples, {(one.tool, one.rendered) for one in recorded})
    rows = tokens(work, examples)
    trained = sum(sum(weight > 0 for weight in row.weights) for row in rows)
    figures = {
        "examples": len(rows),
        "longest": max(len(row.ids) for row in rows),
        "tokens": sum(len(row.ids) for row in rows),
        "trained_tokens": trained,
    }
    return Outcome(outputs=(), figures=figures)


def tokens(work: Work, examples: list[Example]) -> list[Tokens]:
    """Render examples for training.

    Raises:
        EmptyTargetError: An example has nothing to train on within the phase's limit.
        DataError: Training and serving tokens differ.
    """
    renderer = _renderer(work)
    return [renderer.tokens(example) for example in examples]


def held_out(work: Work) -> list[Tokens]:
    """Render the cases that a phase is evaluated on, as `backends.loss.right` takes them."""
    evaluation = work.phase.evaluation
    return expected(work, suite(evaluation.suite)[: evaluation.cases or None])


def expected(work: Work, cases: Sequence[Case]) -> list[Tokens]:
    """Render cases with the call that is right, as `backends.loss.right` takes them."""
    renderer = _renderer(work)
    rows: list[Tokens] = []
    for case in cases:
        tool, arguments = case.expect.tool, case.expect.arguments
        call = called(tool or _ANY_TOOL, {n: str(value) for n, value in arguments.items()})
        earlier = [msgspec.structs.replace(one, trained=False) for one in case.earlier]
        whole = example((*earlier, said(case.prompt), call), provenance=case.id)
        row = renderer.tokens(whole)
        if tool is None:
            start = trained_from(row) + 1
            row = Tokens(ids=row.ids[:start], weights=row.weights[:start], kind=DIRECT)
        rows.append(row)
    return rows


def _renderer(work: Work) -> Renderer:
    from punie.train.backends.tokenizer import load_tokenizer

    phase, how = work.phase, bases.serving(work.phase)
    learnt = phase.data.traces
    return Renderer(
        load_tokenizer(bases.base_folder(phase, work.folder)),
        instructions=how.instructions,
        tools=bases.tool_specs(how.tools),
        weights=phase.weights,
        max_tokens=phase.max_tokens,
        trace_weight=1.0 if learnt is None else learnt.weight,
    )
