"""Merging and rounding: what the folder that comes out answers, and what is refused."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from punie.agent.models.embedded.blas import preload_fast_blas
from punie.agent.testing.tiny_model import make_tiny_adapter
from punie.train.data.tokens import Tokens
from punie.train.errors import PhaseError, TrainError
from punie.train.phases import parse_phase
from punie.train.phases.spec import Quantize

preload_fast_blas()

import mlx.core as mx  # noqa: E402, TID251
from mlx.utils import tree_flatten  # noqa: E402, TID251
from mlx_lm.utils import load_model  # noqa: E402, TID251

from punie.agent.models.embedded.loading import load  # noqa: E402
from punie.train.backends import folders  # noqa: E402

EIGHT = Quantize(bits=8, group_size=32)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return make_tiny_adapter(tmp_path / "adapter")


def logits(folder: Path, adapter: Path | None = None) -> Any:
    """What a folder answers to a few ids, as the agent serves it."""
    return load(folder, adapter=adapter).model(mx.array([[1, 5, 6, 7, 9]]))


def test_a_fused_folder_answers_as_the_adapter_did(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    folders.fuse(tiny, adapter, tmp_path / "fused")
    expected = logits(tiny, adapter)
    assert mx.allclose(logits(tmp_path / "fused"), expected, rtol=1e-2, atol=2e-2).item()
    assert not mx.allclose(logits(tiny), expected, rtol=1e-2, atol=2e-2).item()


def test_a_quantized_base_is_fused_at_full_precision(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    folders.quantize(tiny, tmp_path / "small", EIGHT)
    folders.fuse(tmp_path / "small", adapter, tmp_path / "fused")
    assert "quantization" not in json.loads((tmp_path / "fused/config.json").read_text())
    expected = logits(tiny, adapter)
    assert mx.allclose(logits(tmp_path / "fused"), expected, rtol=5e-2, atol=0.2).item()


@pytest.mark.skipif(sys.platform != "linux", reason="Metal multiplies rounded weights fast")
def test_a_rounded_model_is_multiplied_out_on_a_cpu_to_the_same_numbers(
    tiny: Path, tmp_path: Path
) -> None:
    folders.quantize(tiny, tmp_path / "small", Quantize(bits=4, group_size=32))
    rounded, _ = load_model(tmp_path / "small")
    rounded.set_dtype(mx.float32)
    served = load(tmp_path / "small").model
    names = {name for name, _ in tree_flatten(served.parameters())}
    assert not any(name.endswith("scales") for name in names)
    ids = mx.array([[1, 5, 6, 7, 9]])
    assert mx.allclose(served(ids), rounded(ids), rtol=1e-4, atol=1e-4).item()


def test_fewer_bits_are_further_off_and_smaller(tiny: Path, tmp_path: Path) -> None:
    errors: dict[int, float] = {}
    sizes: dict[int, float] = {}
    for bits in (8, 6, 5, 4, 3):
        folder = tmp_path / str(bits)
        sizes[bits] = folders.quantize(tiny, folder, Quantize(bits=bits, group_size=32))
        errors[bits] = mx.abs(logits(folder) - logits(tiny)).mean().item()
    assert sorted(errors, key=errors.__getitem__) == [8, 6, 5, 4, 3]
    assert sorted(sizes, key=sizes.__getitem__) == [3, 4, 5, 6, 8]
    assert min(errors.values()) > 0


@pytest.mark.parametrize("recipe", ["mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"])
def test_a_mixture_gives_the_last_layer_more_bits(tiny: Path, tmp_path: Path, recipe: Any) -> None:
    low, high = (int(bits) for bits in recipe.split("_")[1:])
    folders.quantize(tiny, tmp_path / "mixed", Quantize(bits=recipe, group_size=32))
    config = json.loads((tmp_path / "mixed/config.json").read_text())["quantization"]
    bits = [config[f"model.layers.{n}.mlp.down_proj"]["bits"] for n in (0, 1)]
    assert bits == [low, high]
    assert mx.isfinite(logits(tmp_path / "mixed")).all().item()


@pytest.fixture
def sentences() -> list[Tokens]:
    """Ids that repeat, as text does."""
    return [
        Tokens(ids=tuple((7 * i + j * j) % 90 + 3 for j in range(40)), weights=(1.0,) * 40)
        for i in range(6)
    ]


def distance(folder: Path, other: Path, rows: list[Tokens]) -> float:
    """Mean KL divergence of the second folder's distributions from the first's."""
    ids = mx.array([row.ids for row in rows])
    ours, theirs = (load(one).model(ids) for one in (folder, other))
    ours, theirs = (x - mx.logsumexp(x, axis=-1, keepdims=True) for x in (ours, theirs))
    return (mx.exp(ours) * (ours - theirs)).sum(-1).mean().item()


@pytest.mark.parametrize(("method", "bits"), [("awq", 3), ("gptq", 4)])
def test_a_method_that_looks_at_examples_stays_nearer_on_them(
    tiny: Path, tmp_path: Path, sentences: list[Tokens], method: Any, bits: Any
) -> None:
    # Both leave the embeddings at more bits; plain rounding does not touch them here.
    plain = Quantize(bits=bits, group_size=32, keep=("embed_tokens",))
    folders.quantize(tiny, tmp_path / "plain", plain)
    spec = Quantize(bits=bits, group_size=32, method=method)
    folders.quantize(tiny, tmp_path / method, spec, examples=sentences)
    near, far = (distance(tiny, tmp_path / name, sentences) for name in (method, "plain"))
    assert 0 < near < far


def test_dwq_leaves_the_rounded_weights_and_comes_nearer(
    tiny: Path, tmp_path: Path, sentences: list[Tokens]
) -> None:
    folders.quantize(tiny, tmp_path / "plain", Quantize(bits=4, group_size=32))
    spec = Quantize(bits=4, group_size=32, method="dwq")
    folders.quantize(tiny, tmp_path / "dwq", spec, examples=sentences)
    before, after = (
        mx.load(str(tmp_path / name / "model.safetensors")) for name in ("plain", "dwq")
    )
    same = {name: mx.array_equal(before[name], after[name]).item() for name in before}
    assert all(same[name] for name in before if before[name].dtype == mx.uint32)
    assert not all(same.values())
    near, far = (distance(tiny, tmp_path / name, sentences) for name in ("dwq", "plain"))
    assert near < far


def test_awq_refuses_a_kind_of_model_that_it_does_not_know(
    tiny: Path, tmp_path: Path, sentences: list[Tokens]
) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(tiny, odd)
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps(config | {"model_type": "smollm3"}))
    spec = Quantize(bits=4, group_size=32, method="awq")
    with pytest.raises(TrainError, match="no models of the kind smollm3"):
        folders.quantize(odd, tmp_path / "awq", spec, examples=sentences)
    assert not (tmp_path / "awq").exists()


def test_tokenizer_and_template_are_copied_byte_for_byte(tiny: Path, tmp_path: Path) -> None:
    folders.quantize(tiny, tmp_path / "small", EIGHT)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "small" / name).read_bytes() == (tiny / name).read_bytes()


def test_what_stays_is_not_rounded(tiny: Path, tmp_path: Path) -> None:
    keep = Quantize(bits=4, group_size=32, keep=("down_proj",))
    folders.quantize(tiny, tmp_path / "small", keep)
    names = set(mx.load(str(tmp_path / "small/model.safetensors")))
    assert "model.layers.0.mlp.up_proj.scales" in names
    assert "model.layers.0.mlp.down_proj.scales" not in names


def test_a_group_that_fits_no_layer_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="group size 128"):
        folders.quantize(tiny, tmp_path / "small", Quantize(bits=4, group_size=128))
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_leave_what_was_there(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    folders.fuse(tiny, adapter, tmp_path / "fused")
    before = (tmp_path / "fused/model.safetensors").read_bytes()
    weights = adapter / "adapters.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(TrainError, match="does not fit"):
        folders.fuse(tiny, adapter, tmp_path / "fused")
    assert (tmp_path / "fused/model.safetensors").read_bytes() == before


SMOKE = """
name = "x"
description = "x"
base = "random"
{more}
[data]
suites = []
mix = {{ calls = {{}}, reports = {{}}, direct = 1 }}
[evaluation]
suite = "embedded-dev"
[gates]
tool_or_answer = 0.0
exact = 0.0
"""


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("quantize = { bits = 4 }", "needs `fuse = true`"),
        ("gguf = true", "needs `fuse = true`"),
        ("serving = { instructions = 'x' }", "needs the table `serving`"),
        ("fuse = true\nquantize = { bits = 7 }", "bits"),
        ("fuse = true\nquantize = { bits = 4, method = 'best' }", "method"),
        ("fuse = true\nquantize = { bits = 5, method = 'gptq' }", "4 or 8 bits"),
        ("fuse = true\nquantize = { bits = 8, method = 'dwq' }", "8 bits as they are"),
        ("fuse = true\nquantize = { bits = 'mixed_3_6', method = 'awq' }", "mixture"),
    ],
)
def test_a_phase_that_makes_no_sense_is_refused(more: str, reason: str) -> None:
    with pytest.raises(PhaseError, match=reason):
        parse_phase(SMOKE.format(more=more).encode(), source="x.toml")
