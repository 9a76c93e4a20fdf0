"""The examples in docstrings do what they show."""

from __future__ import annotations

import asyncio
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"


def modules_with_examples() -> list[str]:
    return sorted(
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for source in PACKAGES.glob("*/src")
        for path in source.rglob("*.py")
        if ">>> " in path.read_text()
    )


@pytest.fixture
def loop() -> Iterator[None]:
    """The event loop that `run_sync` of Pydantic AI finds; it would make one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("module", modules_with_examples())
def test_the_examples_of_a_module_are_true(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0
