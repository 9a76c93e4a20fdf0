"""A tiny random model, and recorded results that need no tool run."""

from pathlib import Path

import pytest

from punie.agent.testing.tiny_model import make_tiny_model
from punie.train.data.generators.results import Recorded


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of two layers with random weights, its tokenizer and the embedded chat template."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def green() -> Recorded:
    """A run of tests in which all passed."""
    return Recorded(
        tool="run_tests",
        arguments={"path": "tests/unit"},
        repository="sample",
        headline="12 passed in 0.8 s",
        rendered="12 passed in 0.8 s",
        fields={"ok": True, "path": "tests/unit", "passed": 12, "seconds": 0.8},
    )


@pytest.fixture
def red() -> Recorded:
    """A run of tests in which one failed."""
    text = "FAILED tests/test_a.py::test_sum (tests/test_a.py:3): assert 3 == 4"
    return Recorded(
        tool="run_tests",
        arguments={"path": "tests"},
        repository="sample",
        headline="4 passed, 1 failed in 0.2 s",
        rendered=f"4 passed, 1 failed in 0.2 s\n{text}",
        fields={
            "ok": False,
            "path": "tests",
            "failures": [{"test": "tests/test_a.py::test_sum", "message": "assert 3 == 4"}],
        },
    )
