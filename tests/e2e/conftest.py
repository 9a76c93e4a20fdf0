"""The real `punie` with the real embedded model, in a small real project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def punie() -> list[str]:
    """The command, as this environment has it."""
    return [sys.executable, "-m", "punie"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Seven tests, of which two fail and one is skipped; one unused import; git."""
    folder = tmp_path / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_prices.py").write_text(
        "import pytest\n\n\n"
        "@pytest.mark.parametrize('n', [1, 2, 3, 4])\n"
        "def test_positive(n):\n    assert n > 0\n\n\n"
        "def test_total():\n    assert 2 + 2 == 5\n\n\n"
        "def test_discount():\n    assert 'a' == 'b'\n\n\n"
        "@pytest.mark.skip(reason='later')\n"
        "def test_tax():\n    pass\n"
    )
    (folder / "prices.py").write_text("import os\n\n\nRATE = 3\n")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """This machine's model cache, but no configuration and no state of this person."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUNIE")}
    cache = kept.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    mine = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    return kept | mine | {"XDG_CACHE_HOME": cache}


@pytest.fixture
def ask(project: Path, environment: dict[str, str], punie: list[str]) -> Ask:
    """Run `punie ask --model embedded` in the project."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*punie, "ask", "--model", "embedded", *arguments],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=280,
            check=False,
        )

    return run
