"""An ACP agent in twenty lines that serves both protocol versions: it says back what it hears.

Run it from an editor, or with `examples/acp_client.py`; it speaks on stdin and stdout.
"""

import sys

from punie.acp.agent_side import serve_dual_stdio
from punie.acp.agent_side.turn_agent import TurnAgent
from punie.acp.schema import v2


class EchoAgent(TurnAgent):
    """Answers each prompt with its own blocks."""

    name = "echo"

    async def turn(self, session_id: str, prompt: list[v2.ContentBlock]) -> v2.StopReason:
        """Send every block back, as one message."""
        message_id = self.new_id()
        for block in prompt:
            update = v2.AgentMessageChunk(message_id=message_id, content=block)
            await self.say(session_id, update)
        return "end_turn"


if __name__ == "__main__":
    sys.exit(serve_dual_stdio(EchoAgent))
