"""The one method table: what each method takes and gives, who serves it, how it is delivered.

Routing, proxies, documentation and tests read it. A row names its types; they are imported, and
their readers built, when the method is first used, since doing so for all would cost every start.
An agent's side routes all that a client can ask of it: the stable methods of the version that is
spoken, unstable ones that the agent serves, and `session/set_model`, which was removed and is still
asked for. A client's side routes the stable methods of version 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from punie.acp.methods.method import (
    Kind,
    Method,
    Side,
    Stability,
    extension,
    is_advertised,
    is_extension,
)
from punie.acp.methods.v1 import (
    BY_NAME,
    CANCEL,
    CANCEL_REQUEST,
    INITIALIZE,
    METHODS,
    NEW_SESSION,
    PROMPT,
    REMOVED,
    SESSION_UPDATE,
    UNSTABLE,
)
from punie.acp.methods.v2 import DRAFT, UNSTABLE_DRAFT
from punie.acp.schema.reading import Reader

__all__ = [
    "BY_NAME",
    "CANCEL",
    "CANCEL_REQUEST",
    "DRAFT",
    "INITIALIZE",
    "METHODS",
    "NEW_SESSION",
    "PROMPT",
    "REMOVED",
    "SESSION_UPDATE",
    "TABLE",
    "UNSTABLE",
    "UNSTABLE_DRAFT",
    "Kind",
    "Method",
    "Side",
    "Stability",
    "decoder",
    "extension",
    "is_advertised",
    "is_extension",
    "of_version",
]

TABLE: dict[tuple[int, str, Kind], Method] = {
    (method.version, method.name, method.kind): method
    for method in (*METHODS, *UNSTABLE, *REMOVED, *DRAFT, *UNSTABLE_DRAFT)
}
"""Every method there is, by version, name and kind; `mcp/message` is both kinds."""


def of_version(version: int, *, unstable: bool = False) -> Iterator[Method]:
    """The methods of one protocol version.

    Args:
        version: 1 or 2.
        unstable: Whether to list those that may still change, too.
    """
    for method in TABLE.values():
        stable = method.stability not in {"unstable", "removed"}
        if method.version == version and (stable or (unstable and method.stability == "unstable")):
            yield method


@cache
def decoder(of: Any, *, strict: bool = True) -> Reader:
    """The reader of a wire type, built once.

    Args:
        of: A type of the schema.
        strict: Whether `"1"` is refused where `1` is asked for.
    """
    return Reader(of, strict=strict)
