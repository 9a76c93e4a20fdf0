"""The tokenizers that rendering is tested with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from punie.agent.testing.tiny_model import make_tiny_model


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny model's tokenizer, as mlx-lm loads it."""
    from mlx_lm.utils import load_tokenizer  # noqa: TID251

    return load_tokenizer(make_tiny_model(tmp_path_factory.mktemp("tiny") / "model"))


@pytest.fixture(scope="session")
def smollm2() -> Any:
    """The real embedded model's tokenizer; fetched and converted when needed."""
    from mlx_lm.utils import load_tokenizer  # noqa: TID251

    from punie.agent.models.embedded.convert import ensure_embedded_model

    return load_tokenizer(Path(ensure_embedded_model()))
