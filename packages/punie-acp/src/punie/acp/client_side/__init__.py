"""The client's side of a connection: drive an agent, serve what it asks.

Updates reach the client one by one, in order. What the client has no method for is answered with
-32601, and what the agent did not advertise is not asked: `CapabilityError`.

`Client`, `AgentProxy` and `connect` speak version 1. `punie.acp.client_side.dual` is shaped like
version 2 and speaks what the agent speaks: to such a client an agent of version 1 looks like any
other. It is not imported here, so that who speaks version 1 alone does not pay for it.
"""

from punie.acp.client_side.dispatch import Client
from punie.acp.client_side.proxy import AgentProxy, connect

__all__ = ["AgentProxy", "Client", "connect"]
