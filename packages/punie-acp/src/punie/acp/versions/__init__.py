"""Which protocol versions are spoken, and how two peers agree on one.

Connections speak version 1 alone, so `negotiate` answers 1 to everybody. The wire types of version 2
are in `punie.acp.schema.v2` and its methods in `punie.acp.methods.DRAFT`, for whoever reads or
writes its messages by hand; it joins `SUPPORTED` when connections serve it.
https://agentclientprotocol.com/protocol/initialization#version-negotiation
"""

from __future__ import annotations

SUPPORTED: tuple[int, ...] = (1,)
"""Ascending."""


def negotiate(requested: int) -> int:
    """Pick the version to speak.

    Args:
        requested: The newest version that the client speaks.

    Returns:
        The highest one supported that is not above it, else the lowest one supported.

    Example:
        >>> negotiate(65535), negotiate(2), negotiate(0)
        (1, 1, 1)
    """
    return max((version for version in SUPPORTED if version <= requested), default=SUPPORTED[0])
