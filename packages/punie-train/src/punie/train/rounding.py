"""How few bits keep what was trained? One model rounded in each way that is asked for, against itself unrounded.

Nothing is generated: a case is right when greedy decoding, held to no grammar, would say exactly the expected
call, or begin none (`backends.loss.right`), which one pass over the cases tells. Nothing is left on disk but
`bits.json`. What the engine makes of a rounded model is for the stage `evaluate`.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from punie.train import ledger
from punie.train.errors import TrainError
from punie.train.evals.case import suite
from punie.train.evals.paired import Pair, pair
from punie.train.evals.scorers import rate
from punie.train.files import as_json, write_whole
from punie.train.ledger import Rate, percent
from punie.train.phases.spec import Phase, Quantize
from punie.train.stages import bases, fit, prepare
from punie.train.stages.base import Work

BITS = (8, 6, 5, 4, 3)
REPORT = "bits.json"

_COMPARED = 96
"""Cases, evenly from all suites, on which distributions are at least compared: two thousand tokens or more."""


class Rounded(Struct, frozen=True, kw_only=True):
    """The model at some number of bits."""

    bits: int
    group_size: int
    bits_per_weight: float
    """Scales included."""
    size: int
    """Bytes of the weights' files."""
    kl: float
    """Divergence from the unrounded model, nats per token of the expected answers."""
    right: Rate
    against_unrounded: Pair


class Roundings(Struct, frozen=True, kw_only=True):
    """One model, rounded in several ways."""

    phase: str
    fingerprint: str
    """Of the unrounded model."""
    suites: tuple[str, ...]
    n: int
    """Cases of all suites."""
    compared: int
    """Those whose distributions were compared."""
    unrounded: Rate
    """Share right of the model in float16."""
    models: tuple[Rounded, ...]


def run(
    phase: Phase,
    folder: Path,
    *,
    bits: Sequence[int],
    group_sizes: Sequence[int],
    say: Callable[[str], None],
) -> Roundings:
    """Round what a phase has trained, and measure what that costs.

    Args:
        phase: Its suites are asked: those that its data keeps clear of, else the one it is evaluated on.
        folder: Of its artefacts; `bits.json` is written there.
        bits: Of the roundings.
        group_sizes: Weights that share a scale; each is combined with each number of bits.
        say: Shows progress.

    Raises:
        TrainError: Nothing is trained there yet, or layers cannot be rounded in this way.
    """
    work = Work(phase, folder, say)
    adapter = fit.adapter_of(work)
    if adapter is not None and not (adapter / "adapters.safetensors").is_file():
        raise TrainError(f"{folder} holds no adapter: punie-train run {phase.name}")
    from punie.agent.models.embedded.blas import preload_fast_blas

    preload_fast_blas()
    from punie.agent.models.embedded.loading import load
    from punie.train.backends import folders
    from punie.train.backends.distance import divergence
    from punie.train.backends.loss import right

    suites = phase.data.suites or (phase.evaluation.suite,)
    asked = {f"{name}/{case.id}": case for name in suites for case in suite(name)}
    rows = prepare.expected(work, list(asked.values()))
    compared = rows[:: max(1, len(rows) // _COMPARED)]

    def wrong(model: Any) -> set[str]:
        answers = zip(asked, right(model, rows), strict=True)
        return {name for name, is_right in answers if not is_right}

    def share(wrong: set[str]) -> Rate:
        return rate(len(rows) - len(wrong), len(rows))

    found: list[Rounded] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix="partial-bits-") as place:
        fused, target = Path(place, "fused"), Path(place, "rounded")
        say("unrounded")
        folders.fuse(bases.base_folder(phase, folder), adapter, fused)
        fingerprint = bases.folder_fingerprint(fused)
        model = load(fused).model
        before = wrong(model)
        for number, size in itertools.product(bits, group_sizes):
            say(f"{number} bits in groups of {size}")
            how = msgspec.convert({"bits": number, "group_size": size}, Quantize)
            width = folders.quantize(fused, target, how)
            rounded = load(target).model
            after = wrong(rounded)
            found.append(
                Rounded(
                    bits=number,
                    group_size=size,
                    bits_per_weight=width,
                    size=sum(path.stat().st_size for path in target.glob("*.safetensors")),
                    kl=round(divergence(model, rounded, compared), 5),
                    right=share(after),
                    against_unrounded=pair(
                        f"{number} bits", len(rows), before, after, kind="cases"
                    ),
                )
            )
    report = Roundings(
        phase=phase.name,
        fingerprint=fingerprint,
        suites=suites,
        n=len(rows),
        compared=len(compared),
        unrounded=share(before),
        models=tuple(found),
    )
    write_whole(folder / REPORT, as_json(report))
    return report


def to_text(report: Roundings) -> str:
    """Write it for people, Markdown."""
    head = ["bits", "groups of", "bits per weight", "MB", "KL", "right", "against unrounded"]
    rows = [["16", "-", "16", "-", "-", percent(report.unrounded), "-"]]
    for one in report.models:
        figures = (one.bits, one.group_size, one.bits_per_weight, f"{one.size / 1e6:.1f}", one.kl)
        rows.append([*map(str, figures), percent(one.right), str(one.against_unrounded)])
    asked = f"\n{report.n} cases of {', '.join(report.suites)}, KL on {report.compared} of them"
    return "\n".join([*ledger.table(head, rows), f"{asked}; 95 % intervals"])
