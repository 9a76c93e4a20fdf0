"""An ACP agent that is written once and serves clients of both protocol versions: an echo.

Run it from an editor, or with `examples/acp_client.py` or `examples/acp_dual_client.py`.
"""

import asyncio
import sys

from punie.acp.agent_side import DualClientProxy, serve_dual_stdio
from punie.acp.schema import v2


class EchoAgent:
    """Answers each prompt with its own content."""

    def __init__(self, client: DualClientProxy) -> None:
        self.client = client
        self.turns: set[asyncio.Task[None]] = set()
        self.prompts = 0

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        """Say who this is."""
        return v2.InitializeResponse(
            protocol_version=2,
            info=v2.Implementation(name="echo", version="1"),
            capabilities=v2.AgentCapabilities(session=v2.SessionCapabilities()),
        )

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        """Open a session."""
        return v2.NewSessionResponse(session_id="only")

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        """Open the session again."""
        return v2.ResumeSessionResponse()

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        """Nothing is kept."""
        return v2.ListSessionsResponse(sessions=[])

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        """Nothing is held for a session."""
        return v2.CloseSessionResponse()

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        """Take the prompt; its answer is on the way."""
        self.prompts += 1
        question, answer = f"question-{self.prompts}", f"answer-{self.prompts}"
        turn = asyncio.create_task(self.answer(params, question, answer))
        self.turns.add(turn)
        turn.add_done_callback(self.turns.discard)
        return v2.PromptResponse(message_id=question)

    async def answer(self, params: v2.PromptRequest, question: str, answer: str) -> None:
        """Tell a turn from its beginning to its end."""
        for update in (
            v2.UserMessage(message_id=question, content=params.prompt),
            v2.RunningStateUpdate(),
            v2.AgentMessage(message_id=answer, content=params.prompt),
            v2.IdleStateUpdate(stop_reason="end_turn"),
        ):
            await self.client.session_update("only", update)

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        """Nothing here takes long enough to stop."""

    async def close(self) -> None:
        """Nothing is held."""


if __name__ == "__main__":
    sys.exit(serve_dual_stdio(EchoAgent))
