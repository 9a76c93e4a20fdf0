"""A client in twenty lines for agents of either protocol version: one question, one answer.

    python examples/acp_dual_client.py "Hello" -- punie acp --model test

Without a command it starts `examples/acp_agent.py`.
"""

import asyncio
import sys
from pathlib import Path

from punie.acp.process import start_dual_agent
from punie.acp.schema import v2

DENIED = v2.RequestPermissionResponse(outcome=v2.CancelledPermissionOutcome())


class PrintingClient:
    """Prints what the agent says, allows nothing, and knows when the turn is over."""

    def __init__(self) -> None:
        self.idle: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    async def session_update(self, params: v2.UpdateSessionNotification) -> None:
        """Print the pieces of the answer; remember the end."""
        match params.update:
            case v2.AgentMessageChunk(content=v2.TextContent(text=text)):
                print(text, end="", flush=True)
            case v2.AgentMessage(content=[v2.TextContent(text=text)]):
                print(text, end="", flush=True)
            case v2.StateUpdate(state="idle", stop_reason=stop_reason):
                self.idle.set_result(stop_reason)
            case _:
                pass

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """Refuse: nobody is asked."""
        return DENIED


async def ask(question: str, argv: list[str]) -> str:
    """Ask an agent one question; tell which version it speaks and why it stopped."""
    client = PrintingClient()
    async with start_dual_agent(argv, client) as agent:
        me = v2.Implementation(name="acp_dual_client", version="1")
        await agent.initialize(v2.InitializeRequest(protocol_version=2, info=me))
        session = await agent.new_session(v2.NewSessionRequest(cwd=str(Path.cwd())))
        prompt: list[v2.ContentBlock] = [v2.TextContent(text=question)]
        await agent.prompt(v2.PromptRequest(session_id=session.session_id, prompt=prompt))
        stop_reason = await client.idle
        print()
        return f"version {agent.version}, stopped: {stop_reason}"


if __name__ == "__main__":
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    command = words[split + 1 :] or [sys.executable, str(Path(__file__).parent / "acp_agent.py")]
    print(asyncio.run(ask(" ".join(words[:split]) or "Hello", command)), file=sys.stderr)
