"""Opens the tokenizer of a model folder, the one that serving uses, and finds such folders."""

# mlx_lm ships no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2

from punie.agent.prompts.chat_template import NoChatTemplateError, render
from punie.train.errors import TrainError


def load_tokenizer(folder: Path) -> Any:
    """Open a tokenizer; the fast BLAS is loaded first, since this imports mlx.

    Raises:
        TrainError: It is damaged, has no chat template, or belongs to another model.
    """
    from punie.agent.models.embedded.blas import preload_fast_blas

    preload_fast_blas()
    from mlx_lm.utils import load_tokenizer as load

    again = f"take the tokenizer files that belong to the model {folder}"
    try:
        tokenizer: Any = load(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error).strip().splitlines()[0]
        raise TrainError(f"the tokenizer cannot be read: {why}; {again}") from error
    try:
        ids = render(tokenizer, [{"role": "user", "content": "?"}])
    except (NoChatTemplateError, jinja2.TemplateError) as error:
        raise TrainError(f"the chat template cannot be used: {error}; {again}") from error
    known = _vocabulary(folder)
    highest = max((*ids, *tokenizer.get_added_vocab().values(), len(tokenizer.get_vocab()) - 1))
    if known and highest >= known:
        raise TrainError(
            f"the tokenizer has ids up to {highest}, the model knows {known} tokens; {again}"
        )
    return tokenizer


def _vocabulary(folder: Path) -> int:
    """Tokens that the model itself knows; 0 when its configuration does not say."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return int(config.get("vocab_size", 0))
    except (OSError, ValueError) as error:
        raise TrainError(
            f"{folder / 'config.json'} cannot be read: {error}; fetch that model again"
        ) from error


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
