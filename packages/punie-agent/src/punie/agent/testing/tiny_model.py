"""A random model of the embedded one's shape, made in well under a second: tests without weights.

It speaks nonsense, but its tokenizer, chat template and files are real. Needs the extra
`embedded` for the tokenizer and to be loaded, not to be imported.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from punie.agent.prompts.chat_template import embedded_template

_HIDDEN, _LAYERS, _HEADS, _INNER = 32, 2, 2, 64
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_CORPUS = (
    "Run the tests in tests/acp and tell me how many passed.",
    "Call one as <tool_call>, or answer. <tool_response> tool_call tool_response",
    '{"name": "run_tests", "arguments": {"path": "src/punie"}} read_file search lint git_status',
    "5 passed, 1 failed in 0.42 s; 3 findings; what is a fixture? who is it for?",
)


def make_tiny_model(folder: Path, *, seed: int = 0, template: str | None = None) -> Path:
    """Write an MLX folder of a Llama with random weights.

    Args:
        folder: Created; must not hold a model yet.
        seed: Another seed, another nonsense.
        template: The chat template; the embedded model's by default.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    vocab: int = tokenizer.get_vocab_size()
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|im_end|>",
            "model_max_length": 8192,
            "clean_up_tokenization_spaces": False,
            "chat_template": template or embedded_template(),
        },
    )
    _write_json(
        folder / "config.json",
        {
            "model_type": "llama",
            "hidden_size": _HIDDEN,
            "num_hidden_layers": _LAYERS,
            "intermediate_size": _INNER,
            "num_attention_heads": _HEADS,
            "num_key_value_heads": _HEADS,
            "rms_norm_eps": 1e-5,
            "vocab_size": vocab,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
            "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        },
    )
    _write_weights(folder / "model.safetensors", vocab, seed)
    return folder


def make_tiny_adapter(folder: Path, *, seed: int = 1) -> Path:
    """Write a LoRA of rank 4 with random weights for the tiny model, as mlx-lm writes one."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = ["self_attn.q_proj", "self_attn.v_proj"]
    _write_json(
        folder / "adapter_config.json",
        {
            "fine_tune_type": "lora",
            "num_layers": _LAYERS,
            "lora_parameters": {"rank": 4, "scale": 2.0, "dropout": 0.0, "keys": keys},
        },
    )
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(_LAYERS):
        for key in keys:
            shapes[f"model.layers.{layer}.{key}.lora_a"] = (_HIDDEN, 4)
            shapes[f"model.layers.{layer}.{key}.lora_b"] = (4, _HIDDEN)
    _write_random(folder / "adapters.safetensors", shapes, seed)
    return folder


def _tokenizer() -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in _SPECIAL])
    return tokenizer


def _write_weights(path: Path, vocab: int, seed: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocab, _HIDDEN),
        "model.norm.weight": (_HIDDEN,),
    }
    for layer in range(_LAYERS):
        prefix = f"model.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            shapes[f"{prefix}.self_attn.{name}.weight"] = (_HIDDEN, _HIDDEN)
        shapes[f"{prefix}.mlp.gate_proj.weight"] = (_INNER, _HIDDEN)
        shapes[f"{prefix}.mlp.up_proj.weight"] = (_INNER, _HIDDEN)
        shapes[f"{prefix}.mlp.down_proj.weight"] = (_HIDDEN, _INNER)
        shapes[f"{prefix}.input_layernorm.weight"] = (_HIDDEN,)
        shapes[f"{prefix}.post_attention_layernorm.weight"] = (_HIDDEN,)
    _write_random(path, shapes, seed)


def _write_random(path: Path, shapes: dict[str, tuple[int, ...]], seed: int) -> None:
    """Write float32 tensors as a safetensors file: header length, JSON header, data."""
    import numpy as np

    random = np.random.default_rng(seed)
    header: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    body = bytearray()
    for name, shape in shapes.items():
        data = random.normal(0, 0.3, shape).astype(np.float32).tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": offsets}
        body += data
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
