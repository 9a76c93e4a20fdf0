"""An ACP agent in twenty lines: it says back what it hears.

Run it from an editor, or with `examples/acp_client.py`; it speaks on stdin and stdout.
"""

import sys

from punie.acp.agent_side import ClientProxy, serve_stdio
from punie.acp.schema import v1


class EchoAgent:
    """Answers each prompt with its own text."""

    def __init__(self, client: ClientProxy) -> None:
        self.client = client
        self.sessions = 0

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        """Say who this is."""
        info = v1.Implementation(name="echo", version="1.0")
        return v1.InitializeResponse(protocol_version=1, agent_info=info)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session."""
        self.sessions += 1
        return v1.NewSessionResponse(session_id=f"echo-{self.sessions}")

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        """Send every text block back."""
        for block in params.prompt:
            if isinstance(block, v1.TextContent):
                update = v1.AgentMessageChunk(content=block, message_id="answer")
                await self.client.session_update(params.session_id, update)
        return v1.PromptResponse(stop_reason="end_turn")

    async def cancel(self, params: v1.CancelNotification) -> None:
        """Nothing here takes long enough to stop."""

    async def close(self) -> None:
        """Nothing is held."""


if __name__ == "__main__":
    sys.exit(serve_stdio(EchoAgent))
