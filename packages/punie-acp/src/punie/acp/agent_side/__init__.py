"""The agent's side of a connection: serve an `Agent` to one client.

Enforced here, whatever the agent does: nothing but `initialize` before `initialize`; nothing about
a session before the client knows it (what is sent earlier is held back until the answer of
`session/new` is on its way); every update sent before `prompt` returns goes out before its answer;
nothing is asked that the client did not advertise; the connection ends in bounded time.
"""

from punie.acp.agent_side.client_proxy import ClientProxy, TerminalProxy
from punie.acp.agent_side.dispatch import Agent
from punie.acp.agent_side.serving import serve, serve_stdio

__all__ = ["Agent", "ClientProxy", "TerminalProxy", "serve", "serve_stdio"]
