"""The script that guards everything: a failing step fails it, and it says which."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def fake_uv(tmp_path: Path) -> Path:
    """A folder with a `uv` that notes what it is asked to do and fails at `ruff check`."""
    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncase "$*" in *"ruff check") exit 7;; esac\n'
    )
    uv.chmod(0o755)
    return tmp_path


def run(root: Path, path: Path, *steps: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", ".ci/run", *steps],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{path}:{os.environ['PATH']}", "HOME": str(path)},
    )


def test_a_failing_step_fails_the_run_and_ends_it(root: Path, fake_uv: Path) -> None:
    ci = run(root, fake_uv, "format", "lint", "arrows")
    assert ci.returncode == 7
    assert "FAILED (exit 7) in step: lint" in ci.stdout
    assert (fake_uv / "asked").read_text().splitlines() == [
        "run --no-sync ruff format --check",
        "run --no-sync ruff check",
    ]


def test_steps_that_pass_are_timed(root: Path, fake_uv: Path) -> None:
    ci = run(root, fake_uv, "format")
    assert ci.returncode == 0
    assert re.search(r"^--- format: \d+ s$", ci.stdout, re.MULTILINE)
    assert "all steps passed" in ci.stdout


def test_the_test_step_is_the_command_of_the_readme(root: Path, fake_uv: Path) -> None:
    run(root, fake_uv, "test")
    assert (fake_uv / "asked").read_text() == "run pytest\n"


def test_what_ran_beside_other_steps_is_shown_whole_and_fails_the_run(
    root: Path, tmp_path: Path
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(
        '#!/bin/sh\ncase "$*" in *pyright) echo "types said this"; exit 9;; *) echo "$@";; esac\n'
    )
    uv.chmod(0o755)
    ci = run(root, tmp_path, "types", "docs", "changelog", "test")
    assert ci.returncode == 9
    assert "FAILED (exit 9) in step: types" in ci.stdout
    assert "\n=== types\ntypes said this\n" in ci.stdout
    assert "--- changelog: " in ci.stdout
    assert "=== test" not in ci.stdout


def test_steps_beside_others_pass_with_them(root: Path, fake_uv: Path) -> None:
    ci = run(root, fake_uv, "types", "format", "docs")
    assert ci.returncode == 0
    order = re.findall(r"^--- (\w+): \d+ s$", ci.stdout, re.MULTILINE)
    assert order == ["format", "types", "docs"]


def test_an_unknown_step_is_refused_before_any_runs(root: Path, fake_uv: Path) -> None:
    ci = run(root, fake_uv, "format", "polish")
    assert ci.returncode == 2
    assert "no step polish" in ci.stdout
    assert not (fake_uv / "asked").exists()


def test_a_step_that_fails_beside_others_fails_the_run_and_says_why(
    root: Path, tmp_path: Path
) -> None:
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\ncase "$*" in *pyright*) echo "no such type"; exit 3;; esac\n')
    uv.chmod(0o755)
    ci = run(root, tmp_path, "types", "arrows", "docs", "format")
    assert ci.returncode == 3
    assert "=== types\nno such type\n" in ci.stdout.replace("\n\n", "\n")
    assert "FAILED (exit 3) in step: types" in ci.stdout
    assert "--- format" in ci.stdout  # it ran meanwhile
    assert "all steps passed" not in ci.stdout
