"""A project's own policies, in `.punie/policies/*.py`: what they are, and running them apart.

They are somebody's code, so they run in a child process, which may crash or hang without harm, and
only after a person trusted exactly these files: `digest` changes with every byte of them.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from punie.agent.policies.base import Change, Finding
from punie.agent.tools.base import Call

FOLDER = Path(".punie", "policies")
TIMEOUT = 10.0
"""Seconds that all of them may take for one change."""


class Job(Struct, frozen=True):
    """What the child is told."""

    files: list[str]
    changes: list[Change]


class Report(Struct, frozen=True):
    """What the child says."""

    findings: list[Finding] = []
    broken: dict[str, str] = {}
    """Reasons, by file or policy."""


class Own(Struct, frozen=True):
    """The policies of a project."""

    files: tuple[Path, ...]
    digest: str

    def names(self) -> str:
        """Write the files' names for a person."""
        return ", ".join(path.name for path in self.files)


def find_own(root: Path) -> Own | None:
    """Look for a project's policies; reads files.

    Returns:
        `None` when there are none. Links are left out: they may lead anywhere.
    """
    folder = root / FOLDER
    files = [
        path
        for path in sorted(folder.glob("*.py"))
        if path.is_file() and path.resolve() == root.resolve() / FOLDER / path.name
    ]
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)}\n".encode() + data)
    return Own(tuple(files), digest.hexdigest())


async def run_own(call: Call, own: Own, changes: list[Change]) -> Report:
    """Run a project's policies in a child process.

    Returns:
        What they found; when the child crashed or took too long, that, under `broken`.
    """
    argv = [sys.executable, "-P", "-m", "punie.agent.policies.worker"]
    try:
        child = await call.workspace.start(argv)
    except OSError as error:
        return Report(broken={str(FOLDER): f"cannot be started: {error}"})
    try:
        job = Job([str(path) for path in own.files], changes)
        said = await child.talk(msgspec.json.encode(job), timeout=TIMEOUT)
        return msgspec.json.decode(said, type=Report)
    except TimeoutError:
        return Report(broken={str(FOLDER): f"did not end within {TIMEOUT:g} s"})
    except (OSError, msgspec.DecodeError):
        await child.aclose(patience=1)
        return Report(broken={str(FOLDER): f"ended early: {child.last_words or 'it said nothing'}"})
    finally:
        await child.aclose()
