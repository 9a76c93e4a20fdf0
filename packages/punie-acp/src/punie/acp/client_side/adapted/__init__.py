"""An agent of version 1 behind the face of version 2.

Both halves share what is known of each session. A prompt's answer becomes `idle`, told after every
update of the turn. A session whose agent cannot resume is loaded, and the replay kept back. What
such an agent runs in the client's own terminals is told as `terminal_update`.
"""

from punie.acp.client_side.adapted.agent import AdaptedAgent
from punie.acp.client_side.adapted.client import AdaptedClient
from punie.acp.client_side.adapted.sessions import Sessions

__all__ = ["AdaptedAgent", "AdaptedClient", "Sessions"]
