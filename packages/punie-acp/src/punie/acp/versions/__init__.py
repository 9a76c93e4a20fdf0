"""Which protocol versions are spoken, how two peers agree on one, and how each says what the other does.

Version 2 is a draft: it is spoken with a client that asks for it, by an agent that is written for
it (`punie.acp.agent_side.DualAgent`); an agent written for version 1 speaks version 1 alone.
The model is version 2's: `to_v1` writes for clients of version 1 what such an agent tells.
https://agentclientprotocol.com/protocol/v2/draft/overview
"""

from punie.acp.versions.negotiation import SUPPORTED, negotiate

__all__ = ["SUPPORTED", "negotiate"]
