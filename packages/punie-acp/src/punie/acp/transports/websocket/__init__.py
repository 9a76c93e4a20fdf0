"""ACP over WebSocket: dial a server, or mount an endpoint in an aiohttp application.

Needs the extra `punie-acp[websocket]`. Who dials and who plays which role are independent of each
other: `dial` and `Endpoint` both make a `Transport`, on which either side can be an agent
(`punie.acp.agent_side.serve`) or a client (`punie.acp.client_side.connect`).

What the draft says ([streamable HTTP and WebSocket transport](
https://agentclientprotocol.com/rfds/streamable-http-websocket-transport)), as the official SDKs
speak it: one endpoint, by custom `/acp`; one JSON-RPC message in each text frame; binary frames are
ignored; the server names the connection in the header `Acp-Connection-Id` of its 101 answer; the
client keeps cookies for the connection; `initialize` comes first. A lost socket ends the connection:
the client dials anew, and `session/load` brings its sessions back.

What is ours, negotiated by the header `Punie-Resume`, so that a peer without it notices nothing: a
lost socket is replaced and the connection goes on without a lost, doubled or reordered frame. Both
sides count the frames that they have taken. The client's first request carries `Punie-Resume: 0`,
and a server that can resume answers with the same header. From then on each side confirms its count
now and then in a binary frame of eight bytes, and keeps what is not confirmed. A client that lost
its socket dials again with the connection's id and its count; the server answers with its own, and
each sends what the other lacks. A server that does not know the connection any more answers 404.

Left out: the draft's other half, streamable HTTP (servers may leave it out; it asks for HTTP/2).
"""

try:
    import aiohttp as _aiohttp  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "ACP over WebSocket needs an extra: pip install 'punie-acp[websocket]'", name=_missing.name
    ) from _missing

from punie.acp.transports.websocket.client import dial
from punie.acp.transports.websocket.server import Endpoint
from punie.acp.transports.websocket.transport import Keepalive, WebSocketTransport

__all__ = ["Endpoint", "Keepalive", "WebSocketTransport", "dial"]
