"""Content blocks of either version in the other's shape; most look the same on the wire."""

from __future__ import annotations

from typing import Any, TypeVar

from punie.acp.methods import decoder
from punie.acp.schema import v1, v2
from punie.acp.schema.reading import write

T = TypeVar("T")


def recast(value: Any, to: type[T]) -> T:
    """Read an object as the type of another version that looks alike on the wire.

    Args:
        value: A wire object, or a list of them.
        to: The type to read it as; what it does not know is left out.
    """
    return decoder(to).decode(write(value))


def content_to_v1(block: v2.ContentBlock) -> v1.ContentBlock:
    """Write a block for version 1; a kind that it does not know becomes a text that names it."""
    if isinstance(block, v2.TextContent) and block.annotations is None:
        return v1.TextContent(text=block.text, meta=block.meta)
    if isinstance(block, v2.UnknownVariant):
        return v1.TextContent(text=f"[{block.kind}]")
    reading: Any = v1.ContentBlock
    return recast(block, reading)


def content_to_v2(block: v1.ContentBlock) -> v2.ContentBlock:
    """Write a block of version 1 for version 2, which knows every one of them."""
    if isinstance(block, v1.TextContent) and block.annotations is None:
        return v2.TextContent(text=block.text, meta=block.meta)
    reading: Any = v2.ContentBlock
    return recast(block, reading)
