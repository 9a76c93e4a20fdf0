"""From one MLX model folder to another: an adapter merged in, weights rounded.

Both write a whole folder or none. Tokenizer and chat template are copied byte for byte, so that
what was trained with is what is served.
"""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.convert import mixed_quant_predicate_builder
from mlx_lm.utils import (
    dequantize_model,
    load_adapters,
    load_model,
    quantize_model,
    save_config,
    save_model,
)

from punie.train.backends.weights import check_whole, not_written
from punie.train.data.tokens import Tokens
from punie.train.errors import TrainError
from punie.train.files import replacing
from punie.train.phases.spec import Quantize

SPEC = "punie.toml"
"""How a folder is served, as `punie.agent.models.registry` reads it."""
_OWN = {"config.json", "model.safetensors.index.json", SPEC, "README.md", ".gitattributes"}
"""Files that are made anew or belong to the old folder alone."""


def fuse(base: Path, adapter: Path | None, target: Path) -> None:
    """Merge an adapter into its base at full precision; the result is float16.

    A quantized base is dequantized first: fused into rounded weights, an adapter is rounded away.

    Args:
        base: The model that was trained.
        adapter: Its LoRA folder; `None` only brings the base to full precision.
        target: Replaced as a whole.

    Raises:
        TrainError: A file is missing or damaged, or the adapter does not fit the base.
    """
    model, config = _open(base)
    try:
        if adapter is not None:
            load_adapters(model, str(adapter))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TrainError(f"the adapter {adapter} does not fit {base}: {error}") from error
    merged = [(n, m.fuse(dequantize=True)) for n, m in model.named_modules() if hasattr(m, "fuse")]
    model.update_modules(tree_unflatten(merged))
    model = dequantize_model(model)
    for name in ("quantization", "quantization_config"):
        config.pop(name, None)
    model.set_dtype(mx.float16)
    _write(model, config, base, target)


def quantize(
    source: Path, target: Path, spec: Quantize, *, examples: Sequence[Tokens] = ()
) -> float:
    """Round the weights of a folder.

    Args:
        source: A model in floating point.
        target: Replaced as a whole.
        spec: Bits, group size, what stays, by which method.
        examples: What a method other than `round` looks at.

    Returns:
        Bits per weight over the whole model, scales included.

    Raises:
        TrainError: The folder is damaged, or no layer can be rounded this way.
    """
    from mlx_lm.utils import compute_bits_per_weight

    model, config = _open(source)
    with contextlib.redirect_stdout(sys.stderr):  # mlx_lm prints
        if spec.method == "round":
            model, config = _rounded(model, config, spec)
        else:
            from punie.train.backends.calibrated import calibrate

            plain = functools.partial(_rounded, spec=spec)
            model, config = calibrate(model, config, spec, examples, plain=plain)
    if not any(isinstance(module, nn.QuantizedLinear) for _, module in model.named_modules()):
        raise TrainError(
            f"no layer of {source} was rounded: its widths are no multiples of the group size "
            f"{spec.group_size}, or `keep` names all of them"
        )
    model.set_dtype(mx.float16)
    bits = float(compute_bits_per_weight(model))
    _write(model, config, source, target)
    return round(bits, 3)


def _rounded(model: Any, config: dict[str, Any], spec: Quantize) -> tuple[Any, dict[str, Any]]:
    """Round to the nearest value."""
    mixture: Any = None
    bits = spec.bits
    if isinstance(bits, str):
        mixture = mixed_quant_predicate_builder(bits, model, spec.group_size)
        bits = int(bits.split("_")[1])

    def how(name: str, module: Any) -> Any:
        if any(part in name for part in spec.keep):
            return False
        return True if mixture is None else mixture(name, module)

    return quantize_model(model, config, spec.group_size, bits, quant_predicate=how)


def _open(folder: Path) -> tuple[Any, dict[str, Any]]:
    try:
        return load_model(folder, lazy=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise TrainError(f"{folder} cannot be loaded: {error}") from error


def _write(model: Any, config: dict[str, Any], source: Path, target: Path) -> None:
    with replacing(target) as partial:
        try:
            save_model(partial, model)
        except RuntimeError as error:
            raise TrainError(not_written(partial)) from error
        for file in partial.glob("*.safetensors"):
            check_whole(file)
        save_config(config, config_path=partial / "config.json")
        for file in source.iterdir():
            if file.is_file() and file.suffix != ".safetensors" and file.name not in _OWN:
                shutil.copyfile(file, partial / file.name)
