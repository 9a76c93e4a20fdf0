"""The project's virtual environment, where programs are looked up first, unless it was brought along.

An environment is made on the machine on which it is used. One that stands in the repository was written by
whoever wrote the rest of it: looking at a folder that was only cloned must not run its programs.
What came without a repository, as an archive does, cannot be told from what was made here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAME = ".venv"
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
TIMEOUT = 10.0
"""Seconds that git may take; not to know counts as brought along."""


def own_environment(root: Path) -> Path | None:
    """Give the environment of a project; blocks while git is asked, where there is one.

    Args:
        root: The project's folder.

    Returns:
        `None` when there is none, or when git knows files of it.
    """
    folder = root / NAME
    if not folder.is_dir() or _is_tracked(root):
        return None
    return folder


def interpreter(root: Path) -> Path:
    """Give the Python whose packages a project sees: its own environment's, else that of `PATH`.

    Args:
        root: The project's folder.
    """
    own = own_environment(root)
    if own is not None and (python := own / SCRIPTS / "python").exists():
        return python
    return Path(shutil.which("python") or sys.executable)


def _is_tracked(root: Path) -> bool:
    git = shutil.which("git", path=os.environ.get("PATH", os.defpath))
    if git is None or not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return False
    # Case is ignored as a disk may ignore it; nothing that the repository's configuration names runs.
    command = [git, "-c", "core.fsmonitor=", "ls-files", "-z", "--", f":(icase){NAME}"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        asked = subprocess.run(
            command, cwd=root, env=env, capture_output=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return asked.returncode != 0 or bool(asked.stdout)
