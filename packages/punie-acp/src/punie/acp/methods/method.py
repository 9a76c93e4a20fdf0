"""What a row of the method table says."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeAlias

Side: TypeAlias = Literal["agent", "client", "both"]
Kind: TypeAlias = Literal["request", "notification"]
Stability: TypeAlias = Literal["stable", "unstable", "draft", "removed"]
"""`draft` is a stable definition of a protocol version that is not final itself; `removed` is what
older peers still send."""

_HOMES: dict[tuple[int, Stability], str] = {
    (1, "stable"): "punie.acp.schema.v1",
    (1, "unstable"): "punie.acp.schema.v1.unstable",
    (1, "removed"): "punie.acp.schema.v1.removed",
    (2, "draft"): "punie.acp.schema.v2",
    (2, "unstable"): "punie.acp.schema.v2.unstable",
}


class Method(NamedTuple):
    """One method of the protocol."""

    name: str
    """As on the wire."""
    attribute: str
    """The Python method that serves it."""
    params_type: str
    """The name of its parameters' type."""
    result_type: str | None
    """The name of its result's type; `None` for a notification."""
    served_by: Side
    ordered: bool = False
    """A notification that is handled alone and before whatever came after it."""
    version: int = 1
    stability: Stability = "stable"
    needs: str = ""
    """Where the side that serves it says so in `initialize`, such as `capabilities.session.delete`:
    fields by name; nothing there means that the method must not be called."""

    @property
    def kind(self) -> Kind:
        """Whether an answer is due."""
        return "notification" if self.result_type is None else "request"

    @property
    def params(self) -> Any:
        """The type of its parameters."""
        return _wire_type(self.version, self.stability, self.params_type)

    @property
    def result(self) -> Any:
        """The type of its result; `None` for a notification."""
        if self.result_type is None:
            return None
        return _wire_type(self.version, self.stability, self.result_type)


@cache
def _wire_type(version: int, stability: Stability, name: str) -> Any:
    return Any if name == "Any" else getattr(import_module(_HOMES[version, stability]), name)


def extension(name: str, kind: Kind) -> Method:
    """The row of an extension's method: an object in, any JSON out.

    Args:
        name: As on the wire, with its leading `_`.
        kind: Whether an answer is due.

    Raises:
        ValueError: The name does not begin with `_`, which the protocol keeps for extensions.

    Source:
        https://agentclientprotocol.com/protocol/extensibility#extension-methods
    """
    if not is_extension(name):
        raise ValueError(f"the method of an extension begins with _, unlike {name!r}")
    if kind == "request":
        return Method(name, "ext_method", "Any", "Any", "both")
    return Method(name, "ext_notification", "Any", None, "both", ordered=True)


def is_advertised(method: Method, handshake: Any) -> bool:
    """Whether the side that serves a method said that it does.

    Args:
        method: The row.
        handshake: The request of `initialize` for what a client serves, its response for an agent.
    """
    if not method.needs:
        return True
    said = handshake
    for name in method.needs.split("."):
        said = getattr(said, name, None)
    return bool(said)


def is_extension(name: str) -> bool:
    """Whether a method is one that the protocol leaves to extensions."""
    return name.startswith("_")


def request(name: str, attribute: str, stem: str, side: Side = "agent", **more: Any) -> Method:
    """The row of a request whose types are called after one word."""
    return Method(name, attribute, f"{stem}Request", f"{stem}Response", side, **more)
