"""What a person chose last in a folder, mode, model and level of reasoning, so that the next session there begins with it.

Kept in the person's state, never in the project. Mode `bypass` is not kept: it is chosen each time.
Two processes that choose in the same moment both keep a whole file; one of the choices may be lost.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import msgspec
from msgspec import Struct

log = logging.getLogger(__name__)

FILE = "preferences.json"
"""Its name in the folder of Punie's state."""
_MOST = 500
"""Folders that are remembered; the ones chosen in longest ago are forgotten."""


class Preference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was chosen; empty where nothing was."""

    mode: str = ""
    model: str = ""
    thought: str = ""


class Preferences:
    """The choices of all folders."""

    def __init__(self, state: Path) -> None:
        """Begin; nothing is read yet.

        Args:
            state: The folder of Punie's state, which need not exist.
        """
        self._file = state / FILE
        self._lock = threading.Lock()

    def of(self, folder: Path) -> Preference:
        """Tell what was chosen last in a folder; nothing when it cannot be read."""
        return self._read().get(str(folder), Preference())

    def keep(self, folder: Path, preference: Preference) -> None:
        """Remember a choice; blocks, and may be called from any thread.

        Args:
            folder: The session's folder, absolute.
            preference: All of it: what was chosen before is replaced.
        """
        if preference.mode == "bypass":
            preference = msgspec.structs.replace(preference, mode="")
        with self._lock:
            known = self._read()
            known.pop(str(folder), None)
            known[str(folder)] = preference
            kept = dict(list(known.items())[-_MOST:])
            try:
                self._write(msgspec.json.format(msgspec.json.encode(kept)))
            except OSError as error:
                log.warning("the choice cannot be kept for the next session: %s", error)

    def _read(self) -> dict[str, Preference]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, Preference])
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s cannot be read and counts as empty: %s", self._file, error)
            return {}

    def _write(self, data: bytes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        temporary.touch(mode=0o600)  # what a person works on is nobody else's business
        temporary.write_bytes(data)
        temporary.replace(self._file)
