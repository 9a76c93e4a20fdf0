"""The embedded model as data: its spec and, when training has made one, its adapter.

Reads package data only; nothing is loaded.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from punie.agent.models.embedded.convert import fingerprint
from punie.agent.models.spec import ModelSpec

_HERE = Path(__file__).parent


def shipped_adapter() -> Path | None:
    """Give the folder of the adapter that comes with this package, if there is one."""
    folder = _HERE / "adapter"
    return folder if (folder / "adapters.safetensors").is_file() else None


def embedded_spec(*, adapter: Path | None = None) -> ModelSpec:
    """Read the spec of the embedded model and complete it.

    Args:
        adapter: What is put on top of the weights; the shipped one by default.
    """
    text = (_HERE / "embedded.toml").read_bytes()
    spec = msgspec.toml.decode(text, type=ModelSpec)
    on_top = adapter or shipped_adapter()
    return msgspec.structs.replace(
        spec, fingerprint=fingerprint(on_top), adapter=str(on_top) if on_top else ""
    )
