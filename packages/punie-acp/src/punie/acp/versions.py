"""Which protocol versions are spoken, and how two peers agree on one.

Only version 1 for now; version 2 joins this table when its wire types do.
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
        >>> negotiate(65535), negotiate(0)
        (1, 1)
    """
    return max((version for version in SUPPORTED if version <= requested), default=SUPPORTED[0])
