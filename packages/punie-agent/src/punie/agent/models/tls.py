"""One TLS context for all connections to model servers, made when the first needs it.

Reading the certificates of a machine costs some tens of milliseconds, and an HTTP client does it anew
each time it is made, even to call a server of this machine without encryption.
"""

from __future__ import annotations

import functools
import ssl


def context_for(url: str) -> ssl.SSLContext:
    """Give the context for a URL.

    Args:
        url: For `https` the machine's certificates count; for plain `http` none is trusted.
    """
    return _trusting() if url.startswith("https:") else _empty()


@functools.cache
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()


@functools.cache
def _empty() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
