"""Hand what a phase made to the agent, if its gates let it: the last step, and the only way out."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from punie.train import manifest
from punie.train.errors import TrainError
from punie.train.files import as_json, replacing
from punie.train.stages import fit, paired
from punie.train.stages.base import Work

MANIFEST = "manifest.json"
_OURS = (MANIFEST, "config.json", fit.CONFIG)
"""What a folder holds, one of them, that may be replaced."""


def check_gates(work: Work) -> None:
    """Refuse a model that stays below a gate of its phase, or is worse than the one in use.

    Raises:
        GateError: The message names the figure.
        TrainError: It was not measured.
    """
    fit.check_gates(work.phase, work.path(fit.REPORT))
    if paired.compares(work.phase):
        paired.check(work)


def promote(work: Work, to: Path) -> None:
    """Copy what a phase ends with, and the manifests of its stages, to where the agent finds it.

    That is the model folder of a phase that fuses, for `mlx:FOLDER`; else the adapter in half precision.

    Args:
        work: The phase.
        to: Folder; replaced as a whole.

    Raises:
        GateError: The evaluation stayed below a gate, or the model is worse than the one in use.
        TrainError: A stage before has not run.
    """
    check_gates(work)
    folder = fit.served_folder(work)
    if to.exists() and any(to.iterdir()) and not any((to / name).exists() for name in _OURS):
        raise TrainError(f"{to} holds something else than a model: promote to a new folder")
    with replacing(to) as partial:
        if folder is None:
            _adapter(work, partial)
        elif (folder / "config.json").is_file():
            shutil.copytree(folder, partial, dirs_exist_ok=True)
        else:
            raise TrainError(
                f"{folder} holds no model: run `punie-train run {work.phase.name}` first"
            )
        (partial / MANIFEST).write_bytes(_manifest(work))


def _adapter(work: Work, target: Path) -> None:
    source = work.path(fit.ADAPTER)
    trained = manifest.read(work.path("train.manifest.json"))
    if trained is None or not (source / fit.WEIGHTS).is_file():
        raise TrainError(f"{source} holds no trained adapter: run the stage `train` first")
    from punie.agent.models.embedded.blas import preload_fast_blas

    preload_fast_blas()
    from punie.train.backends import mlx

    mlx.halve(source, target)


def _manifest(work: Work) -> bytes:
    stages = {
        name.name.removesuffix(".manifest.json"): msgspec.to_builtins(manifest.read(name))
        for name in sorted(work.folder.glob("*.manifest.json"))
    }
    told = {"phase": msgspec.to_builtins(work.phase), "stages": stages}
    return as_json(told)
