"""One file for other programs: read back by the reader of the embedded model, nothing is lost."""

import json
import resource
from pathlib import Path
from typing import Any

import pytest

from punie.agent.models.embedded.blas import preload_fast_blas
from punie.agent.models.embedded.spec import embedded_spec
from punie.train.errors import TrainError
from punie.train.stages.bases import tool_specs

preload_fast_blas()

import mlx.core as mx  # noqa: E402, TID251

from punie.agent.models.embedded.convert import convert  # noqa: E402
from punie.agent.models.embedded.loading import load  # noqa: E402
from punie.train.backends import gguf  # noqa: E402


@pytest.fixture
def half(tiny: Path, tmp_path: Path) -> Path:
    """The tiny model as `fuse` leaves one: float16; digits apart, as SmolLM2 splits them."""
    folder = tmp_path / "half"
    folder.mkdir()
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = mx.load(str(tiny / "model.safetensors"))
    halved = {name: value.astype(mx.float16) for name, value in weights.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), halved, metadata={"format": "mlx"})
    digits = {"type": "Digits", "individual_digits": True}
    change(folder / "tokenizer.json", "pre_tokenizer", lambda old: {
        "type": "Sequence", "pretokenizers": [digits, old]
    })  # fmt: skip
    return folder


def change(path: Path, key: str, how: Any) -> None:
    value = json.loads(path.read_text())
    value[key] = how(value.get(key))
    path.write_text(json.dumps(value))


def test_read_back_it_answers_the_same(half: Path, tmp_path: Path) -> None:
    gguf.export(half, tmp_path / "model.gguf")
    convert(tmp_path / "model.gguf", tmp_path / "again")
    before, after = load(half), load(tmp_path / "again")
    text = 'Run tests/test_a12.py, "twice" — für 3 Läufe\n<|im_end|>'
    ids = before.tokenizer.encode(text)
    assert after.tokenizer.encode(text) == ids
    assert after.tokenizer.decode(ids) == text
    assert mx.array_equal(before.model(mx.array([ids])), after.model(mx.array([ids]))).item()


def test_other_programs_render_the_same_text(half: Path, tmp_path: Path) -> None:
    gguf.export(half, tmp_path / "model.gguf")
    loaded: Any = mx.load(str(tmp_path / "model.gguf"), return_metadata=True)
    about = loaded[1]
    assert (about["tokenizer.ggml.model"], about["tokenizer.ggml.pre"]) == ("gpt2", "smollm")
    tokenizer = load(half).tokenizer
    how = embedded_spec()
    messages = [{"role": "system", "content": how.instructions}, {"role": "user", "content": "x"}]
    ours, theirs = (
        tokenizer.apply_chat_template(
            messages, tools=tool_specs(how.tools), tokenize=False, chat_template=template
        )
        for template in (None, about["tokenizer.chat_template"])
    )
    assert "search(query)" in ours
    assert theirs == ours


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "model_type", "qwen2"),
        ("tokenizer.json", "pre_tokenizer", {"type": "Metaspace"}),
    ],
)
def test_what_is_not_written_names_the_command_that_does(
    half: Path, tmp_path: Path, file: str, key: str, value: Any
) -> None:
    change(half / file, key, lambda _: value)
    with pytest.raises(TrainError, match=r"convert_hf_to_gguf\.py .*half --outfile"):
        gguf.export(half, tmp_path / "model.gguf")
    assert not list(tmp_path.glob("*.gguf"))


def test_a_file_that_cannot_be_written_whole_leaves_none(half: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(TrainError, match="make room on that disk"):
            gguf.export(half, tmp_path / "model.gguf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob("*.gguf"))
