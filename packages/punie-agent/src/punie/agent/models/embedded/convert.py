"""Convert the GGUF of the embedded model into an MLX folder, once, in the cache.

The folder holds float16 weights, the tokenizer and Punie's own chat template. A manifest says what
it was made from; a different converter, template or file means converting again.

Source:
    llama.cpp's convert_hf_to_gguf.py permutes the rows of q and k; that is undone here.
"""

# mlx has no types that strict mode accepts
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from punie.agent.errors import ModelUnavailableError
from punie.agent.events import Progress
from punie.agent.models.cache import (
    Cancelled,
    IsCancelled,
    OnProgress,
    ignore_progress,
    locked,
    models_folder,
    never_cancelled,
    scratch,
)
from punie.agent.models.embedded.blas import preload_fast_blas
from punie.agent.models.weights import SMOLLM2, fetch
from punie.agent.prompts.chat_template import embedded_template, embedded_template_sha256

CONVERTER_VERSION = 1
"""Raised whenever the same GGUF would give a different folder."""

FOLDER_NAME = "SmolLM2-135M-Instruct"

_Array: TypeAlias = Any
"""An `mlx.core.array`."""

_LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
_Q4_GROUP = 32
"""Weights that share one scale in llama.cpp's 4-bit blocks."""
_CONTROL_TOKEN = 3
"""llama.cpp's token type for special tokens."""


class Manifest(Struct, frozen=True, kw_only=True):
    """What a converted folder was made from, and how long its files are."""

    converter: int
    gguf_sha256: str
    template_sha256: str
    files: dict[str, int]
    """Bytes by name."""


def ensure_embedded_model(
    *,
    folder: Path | None = None,
    on_progress: OnProgress = ignore_progress,
    cancelled: IsCancelled = never_cancelled,
) -> Path:
    """Give the MLX folder of the embedded model; fetch and convert when needed.

    Args:
        folder: The cache; `models_folder()` by default.
        on_progress: Told about `download` (bytes) and `convert` (tensors).
        cancelled: Asked between pieces of work.

    Returns:
        A folder that mlx-lm loads.

    Raises:
        ModelUnavailableError: It cannot be fetched or written.
        Cancelled: `cancelled` said so; nothing half-written stays.
    """
    folder = folder or models_folder()
    target = folder / FOLDER_NAME
    if is_current(target):
        return target
    gguf = fetch(folder=folder, on_progress=on_progress, cancelled=cancelled)
    with locked(folder):
        if not is_current(target):  # else another process was faster
            with scratch(folder) as place:
                made = place / FOLDER_NAME
                convert(gguf, made, on_progress=on_progress, cancelled=cancelled)
                if target.exists():
                    target.replace(place / "old")
                made.replace(target)
    return target


def is_current(target: Path) -> bool:
    """Tell whether a folder was converted by this version and none of its files changed length."""
    try:
        manifest = msgspec.json.decode((target / "manifest.json").read_bytes(), type=Manifest)
        sizes = {name: (target / name).stat().st_size for name in manifest.files}
    except (OSError, msgspec.DecodeError):
        return False
    return manifest == _manifest(sizes)


def fingerprint(adapter: Path | None = None) -> str:
    """Identify what answers: SHA-256 over weights, converter, template and adapter."""
    digest = hashlib.sha256()
    made_from = (SMOLLM2.sha256, str(CONVERTER_VERSION), embedded_template_sha256())
    digest.update("\n".join(made_from).encode())
    if adapter is not None:
        for name in ("adapter_config.json", "adapters.safetensors"):
            digest.update((adapter / name).read_bytes())
    return digest.hexdigest()


def convert(
    gguf: Path,
    target: Path,
    *,
    on_progress: OnProgress = ignore_progress,
    cancelled: IsCancelled = never_cancelled,
) -> None:
    """Write an MLX folder from a GGUF file of a Llama-shaped model.

    Args:
        gguf: Verified weights.
        target: A folder that does not exist yet.
        on_progress: Told `convert`, in tensors.
        cancelled: Asked after each tensor.

    Raises:
        ModelUnavailableError: The file is no GGUF of a Llama.
        Cancelled: `cancelled` said so.
    """
    preload_fast_blas()
    import mlx.core as mx

    try:
        loaded: Any = mx.load(str(gguf), return_metadata=True)
        tensors, meta = loaded
        config = _config(meta)
    except (RuntimeError, KeyError) as error:
        raise ModelUnavailableError(f"{gguf} is not a GGUF file of a Llama: {error}") from error
    target.mkdir(parents=True)
    weights: dict[str, _Array] = {}
    bases = sorted({name.rsplit(".", 1)[0] for name in tensors})
    for done, base in enumerate(bases, start=1):
        if cancelled():
            raise Cancelled
        name, tensor = _tensor(base, tensors, config)
        weights[f"{name}.weight"] = tensor.astype(mx.float16)
        mx.eval(weights[f"{name}.weight"])
        on_progress(Progress(what="convert", done=done, total=len(bases), unit="tensors"))
    mx.save_safetensors(str(target / "model.safetensors"), weights, metadata={"format": "mlx"})
    _write_json(target / "config.json", config)
    _write_tokenizer(meta, target)
    sizes = {path.name: path.stat().st_size for path in target.iterdir()}
    (target / "manifest.json").write_bytes(msgspec.json.encode(_manifest(sizes)))


def _manifest(sizes: dict[str, int]) -> Manifest:
    return Manifest(
        converter=CONVERTER_VERSION,
        gguf_sha256=SMOLLM2.sha256,
        template_sha256=embedded_template_sha256(),
        files=sizes,
    )


def _config(meta: Mapping[str, Any]) -> dict[str, Any]:
    def number(key: str) -> int:
        return int(meta[f"llama.{key}"].item())

    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": number("embedding_length"),
        "num_hidden_layers": number("block_count"),
        "intermediate_size": number("feed_forward_length"),
        "num_attention_heads": number("attention.head_count"),
        "num_key_value_heads": number("attention.head_count_kv"),
        "rms_norm_eps": float(meta["llama.attention.layer_norm_rms_epsilon"].item()),
        "vocab_size": number("vocab_size"),
        "rope_theta": float(meta["llama.rope.freq_base"].item()),
        "rope_traditional": False,
        "max_position_embeddings": number("context_length"),
        "tie_word_embeddings": True,
        "bos_token_id": int(meta["tokenizer.ggml.bos_token_id"].item()),
        "eos_token_id": int(meta["tokenizer.ggml.eos_token_id"].item()),
        "torch_dtype": "float16",
    }


def _tensor(
    base: str, tensors: Mapping[str, _Array], config: Mapping[str, Any]
) -> tuple[str, _Array]:
    """Give a tensor's name in mlx-lm and its values in float32."""
    import mlx.core as mx

    value = tensors[f"{base}.weight"]
    if f"{base}.scales" in tensors:
        scales = tensors[f"{base}.scales"]
        bits = value.shape[1] * 32 // (scales.shape[1] * _Q4_GROUP)
        value = mx.dequantize(
            value, scales, tensors[f"{base}.biases"], group_size=_Q4_GROUP, bits=bits
        )
    value = value.astype(mx.float32)
    if base in _TOP_NAMES:
        return _TOP_NAMES[base], value
    _, layer, kind = base.split(".")
    if kind == "attn_q":
        value = _unpermuted(value, config["num_attention_heads"])
    if kind == "attn_k":
        value = _unpermuted(value, config["num_key_value_heads"])
    return f"model.layers.{layer}.{_LAYER_NAMES[kind]}", value


def _unpermuted(value: _Array, heads: int) -> _Array:
    """Bring the rows of a projection back from llama.cpp's rotary order, shape `(out, in)`."""
    rows, columns = value.shape
    pairs = value.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _write_tokenizer(meta: Mapping[str, Any], target: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    texts: list[str] = meta["tokenizer.ggml.tokens"]
    pairs = [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({text: i for i, text in enumerate(texts)}, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = meta["tokenizer.ggml.token_type"].tolist()
    tokenizer.add_special_tokens([
        AddedToken(text, normalized=False, special=True)
        for text, kind in zip(texts, kinds, strict=True)
        if kind == _CONTROL_TOKEN
    ])
    tokenizer.save(str(target / "tokenizer.json"))
    named = {
        key: texts[int(meta[f"tokenizer.ggml.{key}_token_id"].item())] for key in ("bos", "eos")
    }
    _write_json(
        target / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": named["bos"],
            "eos_token": named["eos"],
            "pad_token": named["eos"],
            "model_max_length": int(meta["llama.context_length"].item()),
            "clean_up_tokenization_spaces": False,
            "chat_template": embedded_template(),
        },
    )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
