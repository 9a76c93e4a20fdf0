"""Load an MLX folder: tokenizer, weights in the dtype that suits the machine, adapter fused.

Runs on the engine's thread. On Linux everything is computed in float32, the only dtype that a CPU
does fast, and a small model's rounded weights are multiplied out once, to the same numbers: MLX's
products with rounded weights are some fifty times slower there. On Apple silicon MLX's own choice stays.
"""

# mlx and mlx_lm have no types that strict mode accepts
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from punie.agent.errors import ModelUnavailableError
from punie.agent.models.embedded.blas import preload_fast_blas

WIDE = 4_000_000_000
"""Bytes in float32 up to which a rounded model is multiplied out on a CPU."""


class Loaded(NamedTuple):
    """A model that can be run."""

    model: Any
    """An `mlx_lm` model: `model(ids, cache=...)` gives logits, shape `(1, tokens, vocab)`."""
    tokenizer: Any
    """An `mlx_lm.tokenizer_utils.TokenizerWrapper`."""
    vocab_size: int
    """Width of the logits."""


def load(folder: Path, *, adapter: Path | None = None) -> Loaded:
    """Load a model folder.

    Args:
        folder: As `mlx_lm` writes it: config.json, safetensors, tokenizer.
        adapter: A LoRA folder: adapter_config.json and adapters.safetensors.

    Raises:
        ModelUnavailableError: A file is missing or damaged, or the adapter does not fit.
    """
    preload_fast_blas()
    from mlx_lm.utils import load_adapters, load_model, load_tokenizer

    if not (folder / "config.json").is_file():
        raise ModelUnavailableError(f"{folder} is no MLX model folder: it has no config.json")
    try:
        model, config = load_model(folder)
        tokenizer = load_tokenizer(folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelUnavailableError(f"{folder} cannot be loaded: {error}") from error
    _set_dtype(model)
    _multiply_out(model)
    if adapter is not None:
        try:
            load_adapters(model, str(adapter))
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelUnavailableError(f"the adapter {adapter} cannot be used: {error}") from error
        _set_dtype(model)
        fuse(model)
    model.eval()
    _evaluate(model)
    return Loaded(model, tokenizer, int(config["vocab_size"]))


def fuse(model: Any) -> None:
    """Merge LoRA layers into the weights in memory, so that they cost nothing per token.

    Quantized layers keep their adapter apart: rounding would lose it.
    """
    from mlx.utils import tree_unflatten

    fused = [
        (name, module.fuse())
        for name, module in model.named_modules()
        if hasattr(module, "fuse") and not hasattr(getattr(module, "linear", None), "scales")
    ]
    if fused:
        model.update_modules(tree_unflatten(fused))


def _set_dtype(model: Any) -> None:
    import mlx.core as mx

    if sys.platform == "linux":
        model.set_dtype(mx.float32)


def _multiply_out(model: Any) -> None:
    from mlx_lm.utils import dequantize_model, get_total_parameters

    if sys.platform == "linux" and 4 * get_total_parameters(model) <= WIDE:
        dequantize_model(model)


def _evaluate(model: Any) -> None:
    import mlx.core as mx

    mx.eval(model.parameters())
