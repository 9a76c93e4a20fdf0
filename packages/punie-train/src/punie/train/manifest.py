"""What a stage was made from and what came out: written last, so that a stage without one never ran.

A stage is stale when the digest of its inputs differs from the one in its manifest. Figures,
versions and the commit are there for people and for the report; they do not make a stage stale.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from punie.train.errors import TrainError
from punie.train.files import as_json, write_whole

_PACKAGES = (
    "punie-train",
    "punie-agent",
    "mlx",
    "mlx-lm",
    "llguidance",
    "tokenizers",
    "ruff",
    "ty",
)


class Manifest(Struct, frozen=True, kw_only=True):
    """One stage of one phase."""

    phase: str
    stage: str
    inputs: dict[str, str]
    """SHA-256 of everything that decides the outcome, by name."""
    outputs: dict[str, str]
    """SHA-256 of the files that the stage wrote, by name in its folder."""
    figures: dict[str, Any]
    seconds: float
    machine: str
    versions: dict[str, str]
    commit: str
    """Of the working tree; empty outside a repository. `+` says that it had changes."""
    made: str
    """Date and time, UTC."""


class Surroundings(NamedTuple):
    """Where and when something was made."""

    machine: str
    commit: str
    made: str


def surroundings() -> Surroundings:
    """Look at machine, working tree and clock."""
    return Surroundings(
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        commit=_commit(),
        made=datetime.now(tz=UTC).isoformat(timespec="seconds"),
    )


def make(
    *,
    phase: str,
    stage: str,
    inputs: dict[str, str],
    outputs: dict[str, Path],
    figures: dict[str, Any],
    seconds: float,
) -> Manifest:
    """Fill in what every manifest says about its surroundings."""
    about = surroundings()
    return Manifest(
        phase=phase,
        stage=stage,
        inputs=inputs,
        outputs={name: file_digest(path) for name, path in outputs.items()},
        figures=figures,
        seconds=round(seconds, 1),
        machine=about.machine,
        versions=versions(),
        commit=about.commit,
        made=about.made,
    )


def write(manifest: Manifest, path: Path) -> None:
    """Write a manifest in one step."""
    write_whole(path, as_json(manifest))


def read(path: Path) -> Manifest | None:
    """Read a manifest; `None` when there is none.

    Raises:
        TrainError: It is damaged.
    """
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise TrainError(
            f"{path} is damaged ({error}); delete it to run the stage again"
        ) from error


def holds(manifest: Manifest | None, inputs: dict[str, str], folder: Path) -> bool:
    """Tell whether a stage need not run: same inputs, and its files are as it left them."""
    if manifest is None or manifest.inputs != inputs:
        return False
    return all(
        (folder / name).is_file() and file_digest(folder / name) == digest
        for name, digest in manifest.outputs.items()
    )


def take_over(manifest: Manifest, source: Path, target: Path) -> None:
    """Put the files of a stage of one run into another run; as links where the system can.

    Args:
        manifest: Of the stage, which holds in `source`.
        source: The folder where it ran.
        target: The other folder; files of the same names there are replaced.
    """
    for name in manifest.outputs:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            path.hardlink_to(source / name)
        except OSError:
            shutil.copyfile(source / name, path)


def digest(value: object) -> str:
    """Hash a struct or any JSON value."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def file_digest(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_digest() -> str:
    """Hash what makes the data: generators, wordings, hand-written lines."""
    root = resources.files("punie.train.data")
    assert isinstance(root, Path)
    files = (p for p in root.rglob("*") if p.suffix in {".py", ".txt", ".jsonl"})
    hashes = {str(path.relative_to(root)): file_digest(path) for path in files}
    return digest(hashes)


def versions() -> dict[str, str]:
    """Name the versions of what decides the outcome."""
    found: dict[str, str] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
