"""Opens the tokenizer of a model folder, the one that serving uses."""

# mlx_lm ships no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_tokenizer(folder: Path) -> Any:
    """Open a tokenizer; the fast BLAS is loaded first, since this imports mlx."""
    from punie.agent.models.embedded.blas import preload_fast_blas

    preload_fast_blas()
    from mlx_lm.utils import load_tokenizer as load

    return load(folder)
