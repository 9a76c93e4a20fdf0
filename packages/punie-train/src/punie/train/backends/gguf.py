"""From an MLX folder to one GGUF file, for llama.cpp, LM Studio and Ollama.

mlx-lm's own export (`mlx_lm.fuse --export-gguf`) writes every tokenizer as a SentencePiece one without
merges, which is wrong for byte-level BPE, SmolLM2's kind. This writes Llamas with such a tokenizer, in
float16, with the chat template. Anything else is refused with the command of llama.cpp that converts it;
fewer bits are llama.cpp's matter, too.

Source:
    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; llama.cpp's convert_hf_to_gguf.py
    permutes the rows of q and k, and names the split of digits before byte-level BPE `smollm`.
"""

# mlx and mlx_lm ship no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model

from punie.train.backends.weights import not_written
from punie.train.errors import TrainError

_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4
"""llama.cpp's types of tokens."""
_FLOAT16 = 1
"""llama.cpp's type of file: mostly float16."""
_NAMES = {
    "model.layers.": "blk.",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def export(folder: Path, target: Path) -> None:
    """Write a model folder as one file.

    Args:
        folder: A Llama in floating point, with a byte-level BPE tokenizer.
        target: Replaced in one step; its name ends in `.gguf`.

    Raises:
        TrainError: It is another kind of model or tokenizer; the message has llama.cpp's command. Or the
            disk is full.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    if config["model_type"] != "llama" or config.get("rope_scaling"):
        raise _other(folder, target, f"models of the kind {config['model_type']}")
    if "quantization" in config:
        raise TrainError(f"{folder} is rounded: export the fused folder it was made from")
    split = _split(tokenizer)
    if tokenizer["model"]["type"] != "BPE" or split is None:
        raise _other(folder, target, "this kind of tokenizer")
    model, _ = load_model(folder, lazy=True)
    weights: dict[str, Any] = {}
    parameters: dict[str, Any] = dict(tree_flatten(model.parameters()))
    for name, value in parameters.items():
        if "q_proj" in name:
            value = _permuted(value, config["num_attention_heads"])
        if "k_proj" in name:
            value = _permuted(value, config["num_key_value_heads"])
        weights[_renamed(name)] = value.astype(mx.float32 if value.ndim == 1 else mx.float16)
    metadata = {**_shape(config), **_words(folder, config, tokenizer), "tokenizer.ggml.pre": split}
    partial = target.with_name(f"partial-{target.name}")
    try:
        mx.save_gguf(str(partial), weights, metadata)
        whole = partial.stat().st_size > sum(array.nbytes for array in weights.values())
    except (RuntimeError, OSError):
        whole = False
    if not whole:
        partial.unlink(missing_ok=True)
        raise TrainError(not_written(target))
    partial.replace(target)


def _other(folder: Path, target: Path, what: str) -> TrainError:
    return TrainError(
        f"no GGUF is written here for {what}: in a checkout of llama.cpp run "
        f"`python convert_hf_to_gguf.py {folder} --outfile {target}`"
    )


def _renamed(name: str) -> str:
    for ours, theirs in _NAMES.items():
        name = name.replace(ours, theirs)
    return name


def _permuted(value: Any, heads: int) -> Any:
    """Put the rows of a projection into llama.cpp's rotary order, shape `(out, in)`."""
    rows, columns = value.shape
    return (
        value.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    )


def _split(tokenizer: dict[str, Any]) -> str | None:
    """Give llama.cpp's name for how text is split before merging; `None` for ways not known here."""
    before = tokenizer.get("pre_tokenizer") or {}
    parts = before.get("pretokenizers", [before])
    kinds = [part.get("type") for part in parts]
    if kinds[-1:] != ["ByteLevel"] or not parts[-1].get("use_regex", True):
        return None
    if kinds == ["ByteLevel"]:
        return "gpt-2"
    digits = kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits")
    return "smollm" if digits else None


def _number(value: int) -> Any:
    return mx.array(value, dtype=mx.uint32)


def _shape(config: dict[str, Any]) -> dict[str, Any]:
    heads = config["num_attention_heads"]
    numbers = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "rope.dimension_count": config.get("head_dim") or config["hidden_size"] // heads,
        "attention.head_count": heads,
        "attention.head_count_kv": config["num_key_value_heads"],
        "vocab_size": config["vocab_size"],
    }
    return {
        "general.architecture": "llama",
        "general.file_type": _number(_FLOAT16),
        **{f"llama.{name}": _number(value) for name, value in numbers.items()},
        "llama.attention.layer_norm_rms_epsilon": mx.array(config["rms_norm_eps"]),
        "llama.rope.freq_base": mx.array(float(config.get("rope_theta", 10_000.0))),
    }


def _words(folder: Path, config: dict[str, Any], tokenizer: dict[str, Any]) -> dict[str, Any]:
    own = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = dict(tokenizer["model"]["vocab"])
    kinds = [_NORMAL] * config["vocab_size"]
    for token in tokenizer["added_tokens"]:
        vocabulary[token["content"]] = token["id"]
        kinds[token["id"]] = _CONTROL if token["special"] else _USER_DEFINED
    words = {number: text for text, number in vocabulary.items()}
    merges = tokenizer["model"]["merges"]
    template = folder / "chat_template.jinja"
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [words.get(i, f"[PAD{i}]") for i in range(config["vocab_size"])],
        "tokenizer.ggml.token_type": mx.array(kinds, dtype=mx.int32),
        "tokenizer.ggml.merges": [m if isinstance(m, str) else " ".join(m) for m in merges],
        "tokenizer.ggml.add_bos_token": mx.array(False),
        **{
            f"tokenizer.ggml.{name}_token_id": _number(vocabulary[own[f"{name}_token"]])
            for name in ("bos", "eos")
        },
        "tokenizer.chat_template": _plain(
            own.get("chat_template") or template.read_text(encoding="utf-8")
        ),
    }


def _plain(template: str) -> str:
    """Say in the embedded model's template what llama.cpp does not understand: joining a mapping."""
    return template.replace("properties or {}) | join", "properties or {}).keys() | join")
