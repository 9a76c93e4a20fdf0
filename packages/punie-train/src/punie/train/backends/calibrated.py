"""Rounding that looks at data: mlx-lm's AWQ, GPTQ and DWQ, calibrated on the phase's own examples.

AWQ scales and clips weights so that a layer's output changes least; GPTQ rounds one column after the
other and lets the next ones make up for the error; DWQ leaves the rounded weights and trains the
rest, their scales and offsets above all, so that the model's distribution over tokens comes near the original's. All three
are mlx-lm's: here is only what they are shown and what they are asked for. Their own commands fetch a
public text to calibrate on; the examples of the phase are nearer to what the model will read.
"""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.quant.awq import AWQ_MODEL_CONFIGS, awq_quantize, update_config
from mlx_lm.quant.dwq import dwq_quantize
from mlx_lm.quant.gptq import gptq_quantize

from punie.train.data.tokens import Tokens
from punie.train.errors import TrainError
from punie.train.phases.spec import Quantize

PIECE = 512
"""Tokens of a piece of text that a method looks at, as in mlx-lm's commands."""
_OTHER_BITS, _OTHER_GROUP = 6, 32
"""How AWQ and GPTQ round what they do not treat: embeddings and the output layer."""
_RATE = 1e-6
"""Learning rate of DWQ, mlx-lm's."""

Round = Callable[[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]
"""Rounds a model plainly; gives model and config."""


def pieces(rows: Sequence[Tokens], count: int, *, seed: int) -> Any:
    """Cut examples, one behind the other, into pieces of equal length.

    Args:
        rows: At least two ids altogether.
        count: Most pieces.
        seed: Which examples come first.

    Returns:
        Ids, `[pieces x PIECE]`; shorter ones when there is less than one piece.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    ids: list[int] = []
    for i in order:
        ids.extend(rows[i].ids)
        if len(ids) >= count * PIECE:
            break
    length = min(PIECE, len(ids))
    whole = min(count, len(ids) // length)
    return mx.array(ids[: whole * length], dtype=mx.int32).reshape(whole, length)


def calibrate(
    model: Any, config: dict[str, Any], spec: Quantize, rows: Sequence[Tokens], *, plain: Round
) -> tuple[Any, dict[str, Any]]:
    """Round a model by a method that looks at data.

    Args:
        model: In floating point; changed in place or left behind.
        config: Its config.json.
        spec: Method, bits, group size, pieces.
        rows: The phase's examples.
        plain: Rounds without looking, for the method that starts from that.

    Returns:
        The rounded model and its config.

    Raises:
        TrainError: The method does not know this kind of model.
    """
    if not mx.metal.is_available():
        model.set_dtype(mx.float32)
    mx.random.seed(0)
    text = pieces(rows, spec.samples, seed=0)
    if spec.method == "awq":
        return _awq(model, config, spec, text)
    if spec.method == "gptq":
        made, rounding = gptq_quantize(
            model, text, int(spec.bits), spec.group_size, _OTHER_BITS, _OTHER_GROUP
        )
        return made, {**config, "quantization": rounding, "quantization_config": rounding}
    return _dwq(model, config, text, plain)


def _awq(
    model: Any, config: dict[str, Any], spec: Quantize, text: Any
) -> tuple[Any, dict[str, Any]]:
    kind = config["model_type"]
    if kind not in AWQ_MODEL_CONFIGS:
        raise TrainError(
            f"mlx-lm's AWQ knows no models of the kind {kind}, only "
            f"{', '.join(sorted(AWQ_MODEL_CONFIGS))}: choose `dwq`, `gptq` or `round`"
        )
    awq_quantize(
        model, text, AWQ_MODEL_CONFIGS[kind], bits=int(spec.bits), group_size=spec.group_size,
        embed_bits=_OTHER_BITS, embed_group_size=_OTHER_GROUP,
    )  # fmt: skip
    config = update_config(model, config)
    return model, {**config, "quantization_config": config["quantization"]}


def _dwq(model: Any, config: dict[str, Any], text: Any, plain: Round) -> tuple[Any, dict[str, Any]]:
    """Train on all pieces but the last, which mlx-lm looks at to say whether it helped."""
    import mlx.optimizers as optim

    student, config = plain(copy.deepcopy(model), config)

    def teach(batch: Any, _step: int, split: str) -> Any:
        del split  # mlx-lm names it: train or valid
        return model(batch)

    listed = [(piece, 0) for piece in text.tolist()]
    wide = mx.float16 if mx.metal.is_available() else mx.float32
    dwq_quantize(
        student,
        teach,
        optim.Adam(learning_rate=_RATE, bias_correction=True),
        listed[:-1] or listed,
        listed[-1:],
        batch_size=1,
        max_seq_length=PIECE + 1,
        seed=0,
        dtype=wide,
    )
    return student, config
