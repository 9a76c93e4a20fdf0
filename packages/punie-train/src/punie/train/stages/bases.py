"""What a phase starts from: the folder of its base model, and how that is served.

The spec decides instructions, tools and the length of results for training, so that it sees what
serving sends. Nothing is downloaded but the embedded model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from punie.agent.models.spec import ModelSpec
from punie.train import manifest
from punie.train.errors import PhaseError
from punie.train.files import replacing
from punie.train.phases.spec import Phase, Shape

RANDOM = "base"
"""The folder of a random base, among the artefacts of its run."""
_DECIDING = (
    "*.safetensors", "*.gguf", "config.json", "tokenizer.json", "tokenizer_config.json", "*.jinja",
)  # fmt: skip
"""Files of a model folder that decide what it answers."""


def serving(phase: Phase) -> ModelSpec:
    """How the base of a phase is served, without looking for its weights."""
    if phase.serving is None:
        from punie.agent.models.embedded.spec import embedded_spec

        return msgspec.structs.replace(embedded_spec(), adapter="", fingerprint="")
    how = phase.serving
    return ModelSpec(
        spec=f"mlx:{phase.base}",
        name=phase.base,
        context_window=how.context_window,
        tools=how.tools,
        calls_per_turn=how.calls_per_turn,
        instructions=how.instructions,
        result_limit=how.result_limit,
    )


def base_folder(phase: Phase, run: Path) -> Path:
    """Find the base model, or make it.

    Args:
        phase: Whose base.
        run: The folder of its artefacts.

    Raises:
        PhaseError: It is not on this machine; the message has the command that brings it.
        ModelUnavailableError: The embedded model cannot be fetched or converted.
    """
    if phase.base == "embedded":
        from punie.agent.models.embedded.convert import ensure_embedded_model

        return ensure_embedded_model()
    if phase.base == "random":
        return _random(run / RANDOM)
    folder = Path(phase.base).expanduser()
    if (folder / "config.json").is_file():
        return folder
    from punie.train.backends.tokenizer import cached_repository

    cached = cached_repository(phase.base)
    if cached is None:
        raise PhaseError(
            f"the base of phase {phase.name}, {phase.base}, is not on this machine: "
            f"hf download {phase.base}"
        )
    return cached


def start_adapter(phase: Phase) -> Path | None:
    """Find the adapter that a phase goes on from, if it does.

    Raises:
        PhaseError: It is not there.
    """
    return _adapter(phase, phase.start) if phase.start else None


def traces_folder(phase: Phase) -> Path:
    """Where the traces are that a phase learns from."""
    spec = phase.data.traces
    if spec is not None and spec.folder:
        return Path(spec.folder).expanduser()
    from punie.agent import config
    from punie.agent.runtime import TRACES

    return config.locations().state / TRACES


def given_adapter(phase: Phase) -> Path:
    """Find the adapter that a phase takes instead of training one.

    Raises:
        PhaseError: It is not there.
    """
    return _adapter(phase, phase.adapter)


def _adapter(phase: Phase, name: str) -> Path:
    if name == "shipped":
        from punie.agent.models.embedded.spec import shipped_adapter

        folder = shipped_adapter()
    else:
        folder = Path(name).expanduser()
    if folder is None or not (folder / "adapters.safetensors").is_file():
        raise PhaseError(f"the adapter of phase {phase.name}, {name}, is not there")
    return folder


def base_fingerprint(phase: Phase, run: Path) -> str:
    """Identify the base, SHA-256; the embedded one without fetching it."""
    if phase.base == "embedded":
        from punie.agent.models.embedded.convert import fingerprint

        return fingerprint(None)
    return folder_fingerprint(base_folder(phase, run))


def shape(phase: Phase, run: Path) -> Shape:
    """The size of the base as it is trained here: a CPU computes in float32.

    Args:
        phase: Whose base; one that is not on this machine is described by the phase itself.
        run: The folder of its artefacts.
    """
    if phase.shape is not None:
        return phase.shape
    folder = base_folder(phase, run)
    try:
        config = msgspec.json.decode((folder / "config.json").read_bytes(), type=_Config)
    except msgspec.DecodeError as error:
        raise PhaseError(f"{folder / 'config.json'}: {error}; fetch that model again") from error
    half = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 2
    return Shape(
        parameters=half,
        bits=16 if sys.platform == "darwin" else 32,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
    )


class _Config(Struct):
    num_hidden_layers: int
    hidden_size: int
    vocab_size: int


def folder_fingerprint(folder: Path) -> str:
    """Identify a model folder: SHA-256 over the files that decide what it answers."""
    files = sorted({path for pattern in _DECIDING for path in folder.glob(pattern)})
    return manifest.digest([(path.name, manifest.file_digest(path)) for path in files])


def _random(folder: Path) -> Path:
    from punie.agent.testing.tiny_model import make_tiny_model

    if not (folder / "config.json").is_file():
        with replacing(folder) as partial:
            make_tiny_model(partial)
    return folder


def tool_specs(names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe catalog tools as the chat template takes them."""
    from punie.agent.tools import catalog

    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            },
        }
        for tool in catalog.select(names)
    ]
