"""An agent for benchmarks: `python -m punie.acp.testing.bench_agent` serves it on stdio.

It answers `_bench/ping` with an empty object, and prompts of these forms, so that any driver can
measure the connection with nothing behind it:

    bench:stream:N:SIZE   N message chunks of SIZE bytes of text
    bench:big:N:SIZE      N tool calls, each completed with a result of SIZE bytes
"""

from __future__ import annotations

import sys
from typing import Any

from punie.acp.agent_side import ClientProxy, serve_stdio
from punie.acp.errors import RequestError
from punie.acp.schema import v1


class BenchAgent:
    """The agent itself.

    Args:
        client: The client.
    """

    def __init__(self, client: ClientProxy) -> None:
        self._client = client
        self._sessions = 0

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        """Shake hands."""
        info = v1.Implementation(name="punie-acp bench", version="1")
        return v1.InitializeResponse(protocol_version=1, agent_info=info)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session."""
        self._sessions += 1
        return v1.NewSessionResponse(session_id=f"bench-{self._sessions}")

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        """Send what the prompt asks for."""
        what, count, size = _order(params)
        send = self._stream if what == "stream" else self._big
        await send(params.session_id, count, "x" * size)
        return v1.PromptResponse(stop_reason="end_turn")

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer `_bench/ping`."""
        if method != "_bench/ping":
            raise RequestError.method_not_found(method)
        return {}

    async def cancel(self, params: v1.CancelNotification) -> None:
        """Let the turn run: it is short."""

    async def close(self) -> None:
        """Nothing to free."""

    async def _stream(self, session_id: str, count: int, text: str) -> None:
        for _ in range(count):
            chunk = v1.AgentMessageChunk(content=v1.TextContent(text=text))
            await self._client.session_update(session_id, chunk)

    async def _big(self, session_id: str, count: int, text: str) -> None:
        for number in range(count):
            call = v1.ToolCall(tool_call_id=f"call-{number}", title="Big", status="in_progress")
            await self._client.session_update(session_id, call)
            done = v1.ToolCallUpdate(
                tool_call_id=call.tool_call_id,
                status="completed",
                content=[v1.Content(content=v1.TextContent(text=text))],
            )
            await self._client.session_update(session_id, done)


def _order(params: v1.PromptRequest) -> tuple[str, int, int]:
    """Read `bench:WHAT:N:SIZE`."""
    block = params.prompt[0] if params.prompt else None
    words = block.text.split(":") if isinstance(block, v1.TextContent) else []
    match words:
        case ["bench", ("stream" | "big") as what, count, size] if count.isdecimal():
            if size.isdecimal():
                return what, int(count), int(size)
        case _:
            pass
    reason = "must be bench:stream:N:SIZE or bench:big:N:SIZE"
    raise RequestError.invalid_params(reason, path="$.prompt")


if __name__ == "__main__":
    sys.exit(serve_stdio(BenchAgent))
