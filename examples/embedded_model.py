"""The embedded model with Punie's tools, in your own program: no server, no account.

    python examples/embedded_model.py "Run the tests in tests/acp"

The first run fetches the model (98 MB) and converts it.
"""

from __future__ import annotations

import asyncio
import sys

from punie.agent.events import AnyEvent, ToolCallUpdate
from punie.agent.factory import create_pydantic_agent


async def show(event: AnyEvent) -> None:
    """Print what the tools do."""
    if isinstance(event, ToolCallUpdate) and isinstance(event.status, str):
        print(f"  [{event.status}] {event.tool_call_id}", file=sys.stderr)


async def main(prompt: str) -> None:
    """Ask once in the current folder."""
    agent = create_pydantic_agent(model="embedded", on_event=show)
    result = await agent.run(prompt)
    print(result.output)
    usage = result.usage
    print(
        f"{usage.input_tokens} tokens read, {usage.cache_read_tokens} of them from the cache, "
        f"{usage.output_tokens} written",
        file=sys.stderr,
    )


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What is git status for?"))
