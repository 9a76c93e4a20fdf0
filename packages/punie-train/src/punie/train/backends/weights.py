"""Weights on disk: written whole or not at all, and read with one sentence when they are damaged.

MLX does not tell that a disk was full: it leaves a file that is too short. So what was written is measured.
"""

# mlx ships no types that strict mode accepts.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx

from punie.train.errors import TrainError

DAMAGED = (OSError, ValueError, KeyError, TypeError, RuntimeError)
"""What mlx and mlx-lm raise when a file is missing, damaged or belongs to something else."""


def save(weights: dict[str, Any], path: Path) -> None:
    """Write a safetensors file in one step.

    Args:
        weights: Arrays by name.
        path: Replaced.

    Raises:
        TrainError: The disk is full; what was there before still is.
    """
    partial = path.with_name(f"partial-{path.name}")
    try:
        # In one order: what was restored and goes on must give the same bytes.
        mx.save_safetensors(str(partial), dict(sorted(weights.items())), metadata={"format": "mlx"})
        check_whole(partial)
    except (RuntimeError, TrainError) as error:
        partial.unlink(missing_ok=True)
        raise TrainError(not_written(path)) from error
    partial.replace(path)


def check_whole(path: Path) -> None:
    """Measure a file that was just written.

    Raises:
        TrainError: It ends before its last array does.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        whole = path.stat().st_size == 8 + length + max(ends, default=0)
    except DAMAGED:
        whole = False
    if not whole:
        raise TrainError(not_written(path))


def not_written(path: Path) -> str:
    """Say that a file could not be written, and what to do."""
    return f"{path} could not be written whole: make room on that disk, then run the same again"
