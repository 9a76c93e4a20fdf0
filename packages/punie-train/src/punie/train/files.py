"""Files and folders that are there whole or not at all, also after `kill -9`, and the JSON in them.

What mlx writes itself is in `backends.weights`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Generator, Iterable
from pathlib import Path

import msgspec


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step.

    Args:
        path: Replaced; what was there stays until all is written.
        data: The whole content.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    partial = path.with_name(f"partial-{path.name}")
    partial.write_bytes(data)
    partial.replace(path)


@contextlib.contextmanager
def replacing(folder: Path) -> Generator[Path]:
    """Give an empty folder; what is made in it takes the place of another, or goes again.

    Args:
        folder: Replaced; what was there stays whole until all is made.

    Yields:
        The folder to fill, beside it.
    """
    partial = folder.with_name(f"partial-{folder.name}")
    before = folder.with_name(f"before-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # it would hold the room that is missing
        raise
    if folder.exists():
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
    partial.replace(folder)
    shutil.rmtree(before, ignore_errors=True)


def as_json(value: object) -> bytes:
    """Write a value for people, too: indented, with a line break at the end."""
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def as_lines(values: Iterable[object]) -> bytes:
    """Write values as JSON, one a line."""
    return b"".join(msgspec.json.encode(value) + b"\n" for value in values)
