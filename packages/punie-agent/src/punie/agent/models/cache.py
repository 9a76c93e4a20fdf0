"""The cache folder of models: where it is, one writer at a time, no half-written leftovers.

Everything is built in a scratch folder next to its destination and moved into place in one step.
Nothing here knows what a model is.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, TypeAlias

from punie.agent.config import locations
from punie.agent.errors import ModelUnavailableError
from punie.agent.events import Progress

OnProgress: TypeAlias = Callable[[Progress], None]
"""Receives how far a long step has come; may be called from another thread."""

IsCancelled: TypeAlias = Callable[[], bool]
"""Asked between pieces of work; `True` ends the work with `Cancelled`."""

_SCRATCH = ".partial-"


class Cancelled(Exception):
    """The caller no longer wants the result; what was written so far is gone."""


def models_folder() -> Path:
    """Say where models are kept; the folder need not exist."""
    return locations().cache / "models"


def ignore_progress(progress: Progress) -> None:
    """Do nothing: the default for `on_progress`."""


def never_cancelled() -> bool:
    """Say `False`: the default for `cancelled`."""
    return False


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold the folder's lock, so that two processes do not fetch or convert the same twice.

    Args:
        folder: The cache folder; created when missing.

    Raises:
        ModelUnavailableError: The folder cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise not_writable(folder, error) from error
    with handle:
        _lock(handle)
        for leftover in folder.glob(f"{_SCRATCH}*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        yield


@contextlib.contextmanager
def scratch(folder: Path) -> Generator[Path]:
    """Open a folder on the same disk as `folder` that is gone afterwards, also after Ctrl-C.

    Raises:
        ModelUnavailableError: The cache cannot be written or the disk is full.
    """
    try:
        place = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder))
    except OSError as error:
        raise not_writable(folder, error) from error
    try:
        yield place
    except OSError as error:
        raise not_writable(folder, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def not_writable(folder: Path, error: OSError) -> ModelUnavailableError:
    """Say in one sentence that the cache cannot be used, and the way out."""
    return ModelUnavailableError(
        f"cannot write the model cache {folder}: {error.strerror or error}. Make it writable, or "
        "point XDG_CACHE_HOME at a folder that is."
    )


def _lock(handle: IO[str]) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # not POSIX: the worst case is fetching twice, the move is atomic
        return
    fcntl.flock(handle, fcntl.LOCK_EX)
