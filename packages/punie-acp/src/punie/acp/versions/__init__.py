"""Which protocol versions are spoken, how two peers agree on one, and how each says what the other does.

Version 2 is a draft: it is spoken with a client that asks for it, by an agent that is written for
it (`punie.acp.agent_side.DualAgent`); an agent written for version 1 speaks version 1 alone.
The model is version 2's, and each direction has its modules:

- An agent of version 2 for a client of version 1: `handshake`, `sessions` and `config` for what is
  asked, `to_v1`, with `tool_calls` and `turns`, for what the agent tells.
- An agent of version 1 for a client of version 2: `hello`, `options` and `to_v2`.
- Both: `content`, and `diffs` with the one thing that neither version has, a change with its texts.

https://agentclientprotocol.com/protocol/v2/draft/overview
"""

from punie.acp.versions.negotiation import SUPPORTED, negotiate

__all__ = ["SUPPORTED", "negotiate"]
