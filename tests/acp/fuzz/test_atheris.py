"""A bounded run of the coverage-guided fuzzer; `harness.py` says how to run it for long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no wheel for this platform")

HERE = Path(__file__).parent
RUNS = {"agent": 3000, "client": 2000, "websocket": 400}
# The harness looks at its memory; libFuzzer would count what the process of the tests once took.
MEMORY = "-rss_limit_mb=0"

BROKEN = f"""
import runpy, sys
from punie.acp import jsonrpc
decode = jsonrpc.decode_frame

def broken(frame):
    if frame == b"42":
        raise ValueError("a scalar")
    return decode(frame)

jsonrpc.decode_frame = broken
sys.argv[0] = {str(HERE / "harness.py")!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def fuzz(
    start: list[str], target: str, folder: Path, runs: int
) -> subprocess.CompletedProcess[str]:
    found = folder / "found"
    found.mkdir()
    options = [f"-atheris_runs={runs}", "-seed=1", "-max_len=6000", MEMORY, "-timeout=20"]
    return subprocess.run(
        [
            sys.executable,
            *start,
            target,
            str(found),
            str(HERE / "seeds" / target),
            *options,
            f"-artifact_prefix={folder}/",
        ],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("target", RUNS)
def test_bytes_that_reach_new_code_do_no_harm(target: str, tmp_path: Path) -> None:
    done = fuzz([str(HERE / "harness.py")], target, tmp_path, RUNS[target])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"Done {RUNS[target]}" in done.stderr


def test_the_fuzzer_finds_a_defect_that_is_there(tmp_path: Path) -> None:
    done = fuzz(["-c", BROKEN], "agent", tmp_path, 200)
    assert done.returncode != 0
    assert "a scalar" in done.stdout + done.stderr
    assert list(tmp_path.glob("crash-*"))
