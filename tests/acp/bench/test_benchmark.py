"""The benchmark runs, and prints each figure that it promises with its ratio and n."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("acp", reason="the official Python SDK is not installed")
BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "acp.py"


@pytest.mark.timeout(200)  # two makes of agents and clients are started, one after the other
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_benchmark_compares_both_sides_in_one_run() -> None:
    ran = subprocess.run(
        [sys.executable, str(BENCHMARK), "-n", "1", "--updates", "200", "--json"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode in {0, 1}, ran.stderr  # 1: a busy machine missed a target
    result = json.loads(ran.stdout)
    assert (result["n"], result["updates"]) == (1, 200)
    assert len(result["figures"]) == 7
    for figure in result["figures"]:
        assert figure["ours"] > 0
        assert figure["ratio"] == figure["ours"] / figure["official"]
