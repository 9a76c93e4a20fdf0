"""`punie models` and `punie doctor` as programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from punie.agent.testing.fake_server import FakeServer, chunk


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A fresh person on this machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PUNIE_"))}
    return kept | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def _punie(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from punie.cli.main import main; main()", *arguments],
        env=environ,
        cwd=environ["HOME"],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_list_says_which_model_is_used_and_why(environ: dict[str, str]) -> None:
    done = _punie(environ | {"PUNIE_MODEL": "test"}, "models", "list")
    assert done.stdout.splitlines()[0] == "in use    test  (from PUNIE_MODEL)"


async def test_check_names_the_model_that_answered(
    environ: dict[str, str], server: FakeServer
) -> None:
    import asyncio

    server.scripts[:] = [[chunk(content="ready"), chunk(finish="stop")]]
    done = await asyncio.to_thread(
        _punie, environ, "models", "check", "--model", f"local:{server.url}/fake"
    )
    assert (done.returncode, done.stdout.splitlines()[1:]) == (
        0,
        [
            "served as    fake",
            "context      32768 tokens (assumed: the server does not tell)",
            "answered     ready",
        ],
    )


def test_use_writes_the_model_and_leaves_the_rest_of_the_file_as_it_is(
    environ: dict[str, str],
) -> None:
    path = Path(environ["HOME"]) / ".config" / "punie" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '# mine\nmode = "edit"\nmodel = "local"  # old\n\n[checks]\nrounds = 1\n# model = x\n'
    )
    done = _punie(environ, "models", "use", "local:qwen3")
    assert done.returncode == 0, done.stderr
    assert path.read_text() == (
        '# mine\nmode = "edit"\nmodel = "local:qwen3"\n\n[checks]\nrounds = 1\n# model = x\n'
    )
    listed = _punie(environ, "models", "list").stdout.splitlines()[0]
    assert listed == f"in use    local:qwen3  (from {path})"


def test_use_makes_the_file_when_there_is_none_and_says_what_still_wins(
    environ: dict[str, str],
) -> None:
    done = _punie(environ | {"PUNIE_MODEL": "test"}, "models", "use", "embedded")
    path = Path(environ["HOME"]) / ".config" / "punie" / "config.toml"
    assert path.read_text() == 'model = "embedded"\n'
    assert "here test is used all the same, because of PUNIE_MODEL" in done.stdout


@pytest.mark.parametrize("name", ["nonsense", "mlx:", ":x"])
def test_use_refuses_a_name_that_no_model_can_have(environ: dict[str, str], name: str) -> None:
    done = _punie(environ, "models", "use", name)
    assert (done.returncode, done.stdout) == (3, "")
    assert "known forms: local, " in done.stderr
    assert not (Path(environ["HOME"]) / ".config").exists()


def test_check_of_a_server_that_is_down_exits_3(environ: dict[str, str]) -> None:
    done = _punie(environ, "models", "check", "--model", "local:http://127.0.0.1:9/v1/x")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no model server answers at http://127.0.0.1:9/v1; start one" in done.stderr


def test_pull_into_a_cache_that_cannot_be_written_exits_3(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _punie(environ | {"XDG_CACHE_HOME": str(tmp_path / "file")}, "models", "pull")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "cannot write the model cache" in done.stderr


def test_doctor_names_every_part_and_the_remedy_of_what_is_missing(
    environ: dict[str, str],
) -> None:
    done = _punie(environ, "doctor")
    lines = done.stdout.splitlines()
    named = {line[6:22].strip() for line in lines if line.startswith(("ok", "miss"))}
    assert done.returncode == 0
    assert {"platform", "python", "mlx", "speed", "model cache", "git", "ruff", "pytest"} <= named
    at = next(n for n, line in enumerate(lines) if line.startswith("miss  embedded model"))
    assert "punie models pull" in lines[at + 1]
