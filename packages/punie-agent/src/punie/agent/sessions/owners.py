"""Which process has a session open, told by a lock that the system takes back when it dies.

Each process holds a lock on a file of its own; its name is what the store notes as a session's
owner. A lock needs no comparison of start times: it goes with the process, however that ends, and
another process that was given the same number does not have it.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path


class Owner:
    """This process, as an owner of sessions."""

    def __init__(self, folder: Path | None) -> None:
        """Take the lock.

        Args:
            folder: Where the locks are, made when it is missing; `None` for sessions that no other
                process can see.

        Raises:
            OSError: The folder cannot be written.
        """
        self._folder = folder
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._descriptor = None if folder is None else _new_lock(folder, self._path(self.name))

    def alive(self, name: str) -> bool:
        """Tell whether an owner's process still runs; forgets it when it does not."""
        if name == self.name:
            return True
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            return False
        try:
            _lock(descriptor)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        return False

    def close(self) -> None:
        """Give the lock up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            with suppress(OSError):
                self._path(self.name).unlink()

    def _path(self, name: str) -> Path:
        return (self._folder or Path()) / f"{Path(name).name}.lock"


def _new_lock(folder: Path, path: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    _lock(descriptor)
    return descriptor


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
