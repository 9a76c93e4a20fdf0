"""The stages between training and evaluation: merge the adapter, round the weights, export.

Each writes a folder that serves alone, with a `punie.toml` that says how.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import tomli_w

from punie.train.data.example import load as load_examples
from punie.train.data.tokens import Tokens
from punie.train.errors import PhaseError
from punie.train.phases.spec import Phase
from punie.train.stages import bases, prepare
from punie.train.stages.base import Outcome, Work
from punie.train.stages.fit import FUSED, QUANTIZED, adapter_of

GGUF = "gguf"
"""A folder of its own, so that its `punie.toml` lies beside the file."""

_LOOKED_AT = 48
"""Cases of the suite on which two models are compared token by token: about a thousand tokens."""


def fuses(phase: Phase) -> bool:
    """Tell whether a phase merges its adapter."""
    return phase.fuse


def quantizes(phase: Phase) -> bool:
    """Tell whether a phase rounds its weights."""
    return phase.quantize is not None


def fuse(work: Work) -> Outcome:
    """Merge the adapter into the base."""
    _preload()
    from punie.train.backends import folders

    target = work.path(FUSED)
    base = bases.base_folder(work.phase, work.folder)
    folders.fuse(base, adapter_of(work), target)
    return _outcome(work, target, {})


def quantize(work: Work) -> Outcome:
    """Round the fused weights."""
    _preload()
    from punie.train.backends import folders

    spec = work.phase.quantize
    if spec is None:
        raise PhaseError(f"phase {work.phase.name} has no table `quantize`")
    target = work.path(QUANTIZED)
    rows: list[Tokens] = []
    if spec.method != "round":
        rows = prepare.tokens(work, load_examples(work.path(prepare.EXAMPLES)))
    bits = folders.quantize(work.path(FUSED), target, spec, examples=rows)
    return _outcome(work, target, {"bits_per_weight": bits, **_divergence(work)})


def _divergence(work: Work) -> dict[str, float]:
    """How far rounding moved the model, where both fit: on the answers that the suite expects."""
    from punie.agent.models.embedded.loading import WIDE, load
    from punie.train.backends.distance import divergence

    before = work.path(FUSED)
    if sum(path.stat().st_size for path in before.glob("*.safetensors")) > WIDE / 2:
        return {}
    rows = prepare.held_out(work)[:_LOOKED_AT]
    models = [load(folder).model for folder in (before, work.path(QUANTIZED))]
    return {"kl": round(divergence(models[0], models[1], rows), 5)}


def exports(phase: Phase) -> bool:
    """Tell whether a phase ends with a GGUF file, too."""
    return phase.gguf


def export(work: Work) -> Outcome:
    """Write the fused weights as one file for other programs."""
    _preload()
    from punie.train.backends import gguf

    target = work.path(GGUF)
    target.mkdir(exist_ok=True)
    gguf.export(work.path(FUSED), target / "model.gguf")
    return _outcome(work, target, {})


def _outcome(work: Work, folder: Path, figures: dict[str, float]) -> Outcome:
    spec = msgspec.structs.replace(
        bases.serving(work.phase),
        spec=f"mlx:{folder.name}",
        name=f"{work.phase.name} {folder.name}",
        fingerprint=bases.folder_fingerprint(folder),
    )
    partial = folder / "partial-punie.toml"
    partial.write_text(tomli_w.dumps(msgspec.to_builtins(spec)), encoding="utf-8")
    Path(partial).replace(folder / "punie.toml")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    size = sum(path.stat().st_size for path in files)
    return Outcome(
        outputs=tuple(f"{folder.name}/{path.name}" for path in files),
        figures={"megabytes": round(size / 1e6, 1), **figures},
    )


def _preload() -> None:
    from punie.agent.models.embedded.blas import preload_fast_blas

    preload_fast_blas()
