"""One example as a back end reads it: ids, and how much each counts. No array library."""

from __future__ import annotations

from msgspec import Struct

DIRECT = "answer"
"""The kind of an example that is answered without a tool."""


class Tokens(Struct, frozen=True, kw_only=True):
    """One example as the back end reads it."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """One per id: how much predicting this id counts; 0 for what the assistant did not write."""
    kind: str = ""
    """What the example teaches, such as the tool that it calls; every batch gets its share. Kinds
    with the same `pool/` in front share batches."""
