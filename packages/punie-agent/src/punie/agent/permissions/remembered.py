"""What a person answered with "always": for a session in its own record, for a project in one file.

The file is the person's, never the project's: one JSON line per answer, appended in one write, so
that several processes may share the file and a crash costs at most the line that was being written.
A later line about the same call wins, also one that takes an answer back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

log = logging.getLogger(__name__)

FILE = "permissions.jsonl"
"""Its name in the folder of Punie's state."""

Key: TypeAlias = tuple[str, ...]
"""What an answer covers: the tool, and what makes the call this call and no other."""


Scope: TypeAlias = Literal["session", "project"]
"""How far an answer reaches."""


class Remembered(NamedTuple):
    """An answer that holds."""

    scope: Scope
    call: Key
    allowed: bool


def of_session(kept: object) -> dict[Key, bool]:
    """Read the answers of a session's record; what cannot be read was not answered."""
    try:
        return dict(msgspec.convert(kept, list[tuple[Key, bool]]))
    except msgspec.ValidationError:
        return {}


class Answer(Struct, frozen=True, kw_only=True):
    """One line of the file."""

    project: str
    """The session's folder, absolute."""
    call: Key
    allowed: bool | None
    """`None` takes the answer back."""


class Answers:
    """The answers of one project."""

    def __init__(self, file: Path, project: Path) -> None:
        """Begin; nothing is read yet.

        Args:
            file: Need not exist.
            project: The session's folder, absolute.
        """
        self._file = file
        self._project = str(project)

    def recall(self) -> Mapping[Key, bool]:
        """Read the answers; what cannot be read was not answered."""
        try:
            lines = self._file.read_bytes().splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("remembered permissions cannot be read: %s", error)
            return {}
        found: dict[Key, bool] = {}
        for line in lines:
            try:
                answer = msgspec.json.decode(line, type=Answer)
            except msgspec.DecodeError:
                continue  # the last line of a crash
            if answer.project != self._project:
                continue
            if answer.allowed is None:
                found.pop(answer.call, None)
            else:
                found[answer.call] = answer.allowed
        return found

    def remember(self, call: Key, *, allowed: bool | None) -> bool:
        """Keep an answer.

        Args:
            call: What it covers.
            allowed: The answer; `None` takes the one before back.

        Returns:
            Whether it is kept; the log says why it is not.
        """
        answer = Answer(project=self._project, call=call, allowed=allowed)
        # The line break comes first: the line before may have been cut off.
        line = b"\n" + msgspec.json.encode(answer) + b"\n"
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("a permission cannot be kept beyond this session: %s", error)
            return False
        return True
