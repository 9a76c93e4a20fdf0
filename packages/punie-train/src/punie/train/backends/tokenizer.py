"""Opens the tokenizer of a model folder, the one that serving uses, and finds such folders."""

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


def cached_repository(name: str) -> Path | None:
    """Find the folder of a Hugging Face repository that is on this machine; nothing is fetched.

    Args:
        name: `owner/name`.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(str(snapshot_download(name, local_files_only=True)))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
