"""A tiny random model, engines over it, and a scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from punie.agent.models.embedded.engine import Engine
from punie.agent.testing.fake_server import FakeServer, open_fake_server
from punie.agent.testing.tiny_model import make_tiny_model


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def engine(tiny_folder: Path) -> Iterator[Engine]:
    engine = Engine(tiny_folder)
    yield engine
    engine.close()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with open_fake_server() as fake:
        yield fake
