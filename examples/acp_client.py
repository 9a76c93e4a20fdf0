"""An ACP client in twenty lines: it starts an agent, asks one question and prints the answer.

    python examples/acp_client.py "Hello" -- punie acp --model test

Without a command it starts `examples/acp_agent.py`.
"""

import asyncio
import sys
from pathlib import Path

from punie.acp.process import start_agent
from punie.acp.schema import v1


class PrintingClient:
    """Prints what the agent says and allows nothing."""

    async def session_update(self, params: v1.SessionNotification) -> None:
        """Print the pieces of the answer, and the titles of tool calls."""
        match params.update:
            case v1.AgentMessageChunk(content=v1.TextContent(text=text)):
                print(text, end="", flush=True)
            case v1.ToolCall(title=title):
                print(f"[{title}]", file=sys.stderr)
            case _:
                pass

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        """Refuse: nobody is asked."""
        rejecting = [option for option in params.options if option.kind == "reject_once"]
        if not rejecting:
            return v1.RequestPermissionResponse(outcome=v1.CancelledPermissionOutcome())
        outcome = v1.SelectedPermissionOutcome(option_id=rejecting[0].option_id)
        return v1.RequestPermissionResponse(outcome=outcome)


async def ask(question: str, argv: list[str]) -> str:
    """Ask an agent one question.

    Returns:
        The stop reason.
    """
    async with start_agent(argv, PrintingClient()) as agent:
        await agent.initialize(v1.InitializeRequest(protocol_version=1))
        new = v1.NewSessionRequest(cwd=str(Path.cwd()), mcp_servers=[])
        session_id = (await agent.new_session(new)).session_id
        prompt = [v1.TextContent(text=question)]
        answer = await agent.prompt(v1.PromptRequest(session_id=session_id, prompt=[*prompt]))
        print()
        return answer.stop_reason


if __name__ == "__main__":
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    command = words[split + 1 :] or [sys.executable, str(Path(__file__).parent / "acp_agent.py")]
    stop_reason = asyncio.run(ask(" ".join(words[:split]) or "Hello", command))
    print(f"stopped: {stop_reason}", file=sys.stderr)
