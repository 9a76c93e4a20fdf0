"""Trained LoRA matrices to go on from, and how their layers are described. Training is in `mlx`."""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from punie.train.errors import TrainError
from punie.train.phases.spec import LoraSpec

WEIGHTS = "adapters.safetensors"
CONFIG = "adapter_config.json"


def load(model: Any, folder: Path, spec: LoraSpec) -> None:
    """Put trained matrices into a model that has LoRA layers, to go on from them.

    Args:
        model: As `add_lora` left it.
        folder: The adapter.
        spec: What `add_lora` was given.

    Raises:
        TrainError: It is damaged, or was trained with other layers, rank or scale.
    """
    try:
        had = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = mx.load(str(folder / WEIGHTS))
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainError(f"the adapter {folder} cannot be read: {error}") from error
    assert isinstance(weights, dict)
    if had != config(model, spec):
        raise TrainError(
            f"the adapter {folder} was trained with {json.dumps(had)}: write the same into `[lora]`"
        )
    wanted = dict(tree_flatten(model.trainable_parameters()))
    if {n: a.shape for n, a in weights.items()} != {n: a.shape for n, a in wanted.items()}:
        raise TrainError(f"the adapter {folder} belongs to another model")
    model.load_weights([(n, a.astype(mx.float32)) for n, a in weights.items()], strict=False)


def config(model: Any, spec: LoraSpec) -> dict[str, Any]:
    """Describe a model's LoRA layers as mlx-lm reads it."""
    return {
        "fine_tune_type": "lora",
        "num_layers": spec.layers if spec.layers > 0 else len(model.layers),
        "lora_parameters": parameters(spec),
    }


def parameters(spec: LoraSpec) -> dict[str, Any]:
    """Describe the matrices beside each projection."""
    return {
        "rank": spec.rank,
        "scale": spec.scale,
        "dropout": spec.dropout,
        "keys": list(spec.keys),
    }
