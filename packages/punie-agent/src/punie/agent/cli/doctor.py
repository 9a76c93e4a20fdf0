"""`punie doctor`: what works on this machine, what does not, and the command that mends it.

Prints plain lines; looks only, changes nothing. It exits 0: a missing program is a finding.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

_PROGRAMS = {
    "git": "apt install git, or: xcode-select --install",
    "rg": "apt install ripgrep, or: brew install ripgrep (search works without it, slower)",
    "ruff": "uv tool install ruff",
    "ty": "uv tool install ty",
    "pytest": "uv add --dev pytest",
}
"""Programs that tools start, and how each is installed."""

SLOW_GFLOPS = 50.0
"""Below this a 135M model reads a prompt at walking pace."""


class Finding(NamedTuple):
    """One line of the report."""

    ok: bool
    what: str
    found: str
    remedy: str = ""


@click.command()
def doctor() -> None:
    """Show what works on this machine and how to mend what does not."""
    for finding in _findings():
        mark = "ok  " if finding.ok else "miss"
        click.echo(f"{mark}  {finding.what:<16} {finding.found}")
        if finding.remedy and not finding.ok:
            click.echo(f"      {'':<16} -> {finding.remedy}")


def _findings() -> Iterator[Finding]:
    yield Finding(
        True, "platform", f"{platform.system()} {platform.release()} {platform.machine()}"
    )
    yield Finding(True, "python", f"{platform.python_version()} at {sys.executable}")
    yield from _mlx()
    yield from _cache()
    yield from _servers()
    yield from _programs()
    yield from _files()
    yield from _sessions()


def _mlx() -> Iterator[Finding]:
    from punie.agent.errors import ModelUnavailableError
    from punie.agent.models.registry import EMBEDDED_INSTALL, check_mlx

    try:
        check_mlx()
    except ModelUnavailableError as error:
        yield Finding(False, "mlx", str(error), EMBEDDED_INSTALL)
        return
    from punie.agent.models.embedded.blas import REMEDY, preload_fast_blas
    from punie.agent.models.embedded.speed import device, matmul_gflops

    blas = preload_fast_blas()
    yield Finding(True, "mlx", f"{importlib.metadata.version('mlx')} on {device()}")
    began = time.perf_counter()
    speed = matmul_gflops()
    found = f"float32 matmul {speed:.0f} GFLOP/s (measured in {time.perf_counter() - began:.1f} s)"
    if sys.platform == "linux":
        found = f"{blas or 'the reference BLAS of the MLX wheel'}, {found}"
    yield Finding(speed >= SLOW_GFLOPS, "speed", found, REMEDY if sys.platform == "linux" else "")


def _cache() -> Iterator[Finding]:
    from punie.agent.models.cache import models_folder
    from punie.agent.models.embedded.convert import FOLDER_NAME, is_current
    from punie.agent.models.weights import SMOLLM2

    folder = models_folder()
    yield Finding(True, "model cache", f"{folder} ({megabytes(folder)})")
    ready = is_current(folder / FOLDER_NAME)
    found = folder / (FOLDER_NAME if ready else SMOLLM2.filename)
    state = f"{found} ({megabytes(found)})" if ready else "not fetched and converted yet"
    yield Finding(ready, "embedded model", state, "punie models pull (or the first prompt)")


def _servers() -> Iterator[Finding]:
    from punie.agent.models import servers

    answering = servers.look()
    for server in answering:
        names = ", ".join(server.models[:5]) or "no model listed"
        yield Finding(True, "model server", f"{server.url}: {names}")
    if not answering:
        # The embedded model needs none, so this is no defect.
        tried = ", ".join(known.url for known in servers.KNOWN)
        yield Finding(True, "model server", f"none answers at {tried}")


def _programs() -> Iterator[Finding]:
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    for program, remedy in _PROGRAMS.items():
        found = shutil.which(program, path=path)
        yield Finding(found is not None, program, found or "not on PATH", remedy)


def _files() -> Iterator[Finding]:
    from punie.agent import config
    from punie.agent.errors import ConfigError

    places = config.locations()
    here = Path.cwd()
    try:
        config.load(here)
    except ConfigError as error:
        yield Finding(False, "settings", str(error), "correct the file")
    for what, path in (
        ("settings", places.config_file),
        ("state", places.state),
        ("JetBrains file", places.jetbrains_file),
    ):
        size = f" ({megabytes(path)})" if path.exists() else " (not there yet)"
        yield Finding(True, what, f"{path}{size}")


def _sessions() -> Iterator[Finding]:
    from punie.agent import config
    from punie.agent.sessions.journal import FILE
    from punie.agent.sessions.store import problem_of

    path = config.locations().state / FILE
    if not path.exists():
        yield Finding(True, "sessions", f"{path} (not there yet)")
        return
    problem = problem_of(path)
    remedy = f"move {path} away; until then sessions end with their process"
    yield Finding(not problem, "sessions", problem or f"{path} ({megabytes(path)})", remedy)


def megabytes(path: Path) -> str:
    """Write the size of a file or of everything below a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return f"{size / 1e6:.1f} MB"
