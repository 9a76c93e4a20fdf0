"""The agent's side of a connection: serve an agent to one client.

A `DualAgent` is written once, in the shape of version 2, and serves clients of both versions; an
`Agent` is written for version 1 and serves that.

Enforced here, whatever the agent does: nothing but `initialize` before `initialize`; nothing about
a session before the client knows it (what is sent earlier is held back until the answer of
`session/new` is on its way); every update of a turn goes out before its end is told; nothing is
asked that the client did not advertise, and nothing served that the agent did not; the connection
ends in bounded time.
"""

from punie.acp.agent_side.agent import Agent
from punie.acp.agent_side.client_proxy import ClientProxy, TerminalProxy
from punie.acp.agent_side.dual import DualAgent, DualClientProxy
from punie.acp.agent_side.serving import serve, serve_dual, serve_dual_stdio, serve_stdio

__all__ = [
    "Agent",
    "ClientProxy",
    "DualAgent",
    "DualClientProxy",
    "TerminalProxy",
    "serve",
    "serve_dual",
    "serve_dual_stdio",
    "serve_stdio",
]
