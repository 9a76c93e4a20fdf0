"""Tokens per second of one model in the forms in which it can be served; mlx-lm's own generation.

On a CPU all forms compute in float32, as the embedded engine does. Nothing here says whether answers are good.
"""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.utils import dequantize_model, load_adapters, load_model


class Speed(NamedTuple):
    """Of one run."""

    prompt: float
    """Tokens read per second."""
    generated: float
    """Tokens written per second, the first one not counted."""


def open_form(folder: Path, *, adapter: Path | None = None, multiplied_out: bool = False) -> Any:
    """Open a model as it is to be measured.

    Args:
        folder: An MLX folder.
        adapter: A LoRA folder, which stays beside the weights.
        multiplied_out: Whether rounded weights become floating point again.
    """
    model, _ = load_model(folder)
    if adapter is not None:
        load_adapters(model, str(adapter))
    if not mx.metal.is_available():
        model.set_dtype(mx.float32)
    if multiplied_out:
        dequantize_model(model)
    model.eval()
    mx.eval(model.parameters())
    return model


def measure(model: Any, *, prompt: int, new: int, seed: int) -> Speed:
    """Let a model read random ids and write on, greedily, without an end.

    Args:
        model: From `open_form`.
        prompt: Tokens to read.
        new: Tokens to write after the first one.
        seed: Decides the ids.
    """
    mx.random.seed(seed)
    ids = mx.random.randint(3, model.args.vocab_size, (prompt,))
    mx.eval(ids)
    start = time.perf_counter()
    steps = generate_step(ids, model, max_tokens=new + 1)
    next(steps)
    first = time.perf_counter()
    written = sum(1 for _ in steps)
    return Speed(prompt / (first - start), written / (time.perf_counter() - first))
