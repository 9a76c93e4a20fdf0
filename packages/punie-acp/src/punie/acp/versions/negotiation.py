"""How two peers agree on a version, and what the handshake of either version says in the other's words.

The newest version that both speak is spoken. Its shape is that of the parameters of `initialize`;
what a newer client wrote in a newer shape counts as not said.
https://agentclientprotocol.com/protocol/initialization#version-negotiation
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from punie.acp import jsonrpc
from punie.acp.errors import RequestError
from punie.acp.methods import TABLE, decoder
from punie.acp.schema.v1.lifecycle import ProtocolVersion

SUPPORTED: tuple[int, ...] = (1, 2)
"""Ascending."""


class _VersionOnly(msgspec.Struct, rename="camel"):
    protocol_version: ProtocolVersion


def negotiate(requested: int, supported: tuple[int, ...] = SUPPORTED) -> int:
    """Pick the version to speak.

    Args:
        requested: The newest version that the client speaks.
        supported: Those that are spoken here, ascending.

    Returns:
        The highest one supported that is not above it; 1 for what is below, when 1 is spoken.

    Raises:
        RequestError: Every version here is newer than what the client speaks.

    Example:
        >>> negotiate(65535), negotiate(1), negotiate(0)
        (2, 1, 1)
    """
    for version in reversed(supported):
        if version <= requested:
            return version
    if 1 in supported:
        return 1
    raise RequestError.unsupported_version(requested, supported)


def requested_version(params: Raw | UnsetType) -> int:
    """Read which version a client asks for, whatever else it says; `"1"` counts as 1.

    Raises:
        RequestError: It names none.
    """
    asked = jsonrpc.decode_params(decoder(_VersionOnly, strict=False), params)
    return asked.protocol_version


def read_initialize(params: Raw | UnsetType, *, requested: int, selected: int) -> Any:
    """Read the parameters of `initialize` in the shape of the version that will be spoken.

    Args:
        params: As they came.
        requested: The version that they name.
        selected: The version that will be spoken.

    Returns:
        The version's `InitializeRequest`; one that says nothing when they are in the shape of a
        newer version and do not fit.

    Raises:
        RequestError: They do not fit the version that they name.
    """
    reader = decoder(TABLE[selected, "initialize", "request"].params, strict=False)
    try:
        return jsonrpc.decode_params(reader, params)
    except RequestError:
        if requested == selected:
            raise
        unnamed = {"name": "unknown", "version": "unknown"}
        return reader.decode(msgspec.json.encode({"protocolVersion": requested, "info": unnamed}))
