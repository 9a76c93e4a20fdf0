"""Files that are there whole or not at all, also after `kill -9`, and the two shapes of JSON in them.

What mlx writes itself is in `backends.weights`.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def as_json(value: object) -> bytes:
    """Write a value for people, too: indented, with a line break at the end."""
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def as_lines(values: Iterable[object]) -> bytes:
    """Write values as JSON, one a line."""
    return b"".join(msgspec.json.encode(value) + b"\n" for value in values)
