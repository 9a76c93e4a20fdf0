"""Pages that are written from the code are those that the code would write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_command_line_reference_is_up_to_date(root: Path) -> None:
    run = subprocess.run(
        [sys.executable, "docs/cli_reference.py", "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
