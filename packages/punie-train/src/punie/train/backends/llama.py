"""The forward pass of llama-shaped models, laid out for training on a CPU.

The same numbers as mlx-lm's `LlamaModel`, tested against it, in a quarter of the time on an x86
machine, for two reasons. The CPU build of MLX computes exponentials one at a time (15 ns each), so
that softmax and SiLU cost more than all matrix products: here numpy's vectorised `exp` does it.
And queries meet the keys of the shared prefix in one product for the whole batch.

Nothing here knows about losses, LoRA or data; the layers of the given model are used as they are.
"""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownLambdaType=false

from __future__ import annotations

from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

LARGEST = 60.0
"""Exponents are kept below this: `exp` stays finite, and so does its gradient."""


class KeysValues(NamedTuple):
    """Keys and values of one layer, `[b x h x s x d]`: batch, heads, positions, head size."""

    keys: Any
    values: Any


def _exp(x: Any) -> Any:
    return mx.array(np.exp(np.array(x, copy=False)))


def _exp_gradient(_primals: Any, cotangent: Any, output: Any) -> Any:
    return cotangent * output


exp: Any = mx.custom_function(_exp)
"""`e**x` by numpy, which uses the vector unit where MLX's CPU build does not."""
exp.vjp(_exp_gradient)


def fits(model: Any) -> bool:
    """Tell whether `hidden` computes what this model computes."""
    args = getattr(model, "args", None)
    return (
        getattr(args, "model_type", "") == "llama"
        and model.model.swa_idx is None
        and not mx.metal.is_available()
    )


def hidden(model: Any, prefix: Any, ids: Any) -> Any:
    """Run the layers.

    Args:
        model: An mlx-lm llama.
        prefix: `[p]`: ids in front of every row; may be empty.
        ids: `[b x s]`.

    Returns:
        `[b x s x width]`: normalised states of the rows, the prefix left out.
    """
    core = model.model
    h = core.embed_tokens(ids)
    first = core.embed_tokens(prefix[None]) if prefix.size else None
    for layer in core.layers:
        before = None
        if first is not None:
            first, before = _block(layer, first, None)
        h, _ = _block(layer, h, before)
    return core.norm(h)


def _block(layer: Any, x: Any, before: KeysValues | None) -> tuple[Any, KeysValues]:
    attended, own = _attend(layer.self_attn, layer.input_layernorm(x), before)
    h = x + attended
    inner = layer.post_attention_layernorm(h)
    gate = layer.mlp.gate_proj(inner)
    activated = gate / (1.0 + exp(mx.minimum(-gate, LARGEST))) * layer.mlp.up_proj(inner)
    return h + layer.mlp.down_proj(activated), own


def _attend(attention: Any, x: Any, before: KeysValues | None) -> tuple[Any, KeysValues]:
    """Attend to the prefix and, causally, to the row itself."""
    b, s, _ = x.shape
    heads, shared = attention.n_heads, attention.n_kv_heads
    group = heads // shared
    start = 0 if before is None else before.keys.shape[2]

    def split(projected: Any, n: int) -> Any:
        return projected.reshape(b, s, n, -1).transpose(0, 2, 1, 3)

    queries = attention.rope(split(attention.q_proj(x), heads), offset=start) * attention.scale
    keys = attention.rope(split(attention.k_proj(x), shared), offset=start)
    values = split(attention.v_proj(x), shared)
    # Query heads of one key head stand below each other: [b x shared x group*s x d].
    rows = queries.reshape(b, shared, group * s, -1)
    causal = mx.tile(mx.arange(s)[:, None] >= mx.arange(s)[None], (group, 1))
    own = mx.where(causal, rows @ keys.swapaxes(-1, -2), -1e9)
    highest = own.max(-1, keepdims=True)
    if before is None:
        highest = mx.stop_gradient(highest)
        weights = exp(own - highest)
        out, total = weights @ values, weights.sum(-1, keepdims=True)
    else:
        # One product for all rows: [shared x b*group*s x d].
        joined = rows.transpose(1, 0, 2, 3).reshape(shared, b * group * s, -1)
        scores = joined @ before.keys[0].swapaxes(-1, -2)
        top = scores.max(-1, keepdims=True)

        def apart(array: Any) -> Any:
            return array.reshape(shared, b, group * s, -1).transpose(1, 0, 2, 3)

        highest = mx.stop_gradient(mx.maximum(highest, apart(top)))
        flat = highest.transpose(1, 0, 2, 3).reshape(shared, b * group * s, 1)
        weights, outside = exp(own - highest), exp(scores - flat)
        out = weights @ values + apart(outside @ before.values[0])
        total = weights.sum(-1, keepdims=True) + apart(outside.sum(-1, keepdims=True))
    merged = (out / total).reshape(b, heads, s, -1).transpose(0, 2, 1, 3).reshape(b, s, -1)
    return attention.o_proj(merged), KeysValues(keys, values)


def cross_entropy(logits: Any, targets: Any) -> Any:
    """Compute the cross entropy of each row.

    Args:
        logits: `[t x vocabulary]`.
        targets: `[t]`.
    """
    highest = mx.stop_gradient(logits.max(-1, keepdims=True))
    total = mx.log(exp(logits - highest).sum(-1)) + highest[:, 0]
    return total - mx.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
