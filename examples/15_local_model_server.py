"""Punie's agent in your own program, with a model server on this machine.

    uv run python examples/15_local_model_server.py "Which tests are there, and do they pass?"

It looks for mlx_lm.server, LM Studio, Ollama, vLLM or llama.cpp on their usual ports; name a model
with `PUNIE_MODEL=local:NAME`, or a server with `PUNIE_MODEL=local:http://HOST:PORT/v1/NAME`. The
agent may read and run tests in the current folder; what would change something is asked on the
terminal.
"""

from __future__ import annotations

import asyncio
import os
import sys

from punie.agent.errors import ModelUnavailableError
from punie.agent.events import AnyEvent, ToolCallUpdate
from punie.agent.factory import create_pydantic_agent
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk

ENDED = {"completed", "failed"}


async def ask(question: PermissionAsk) -> PermissionAnswer:
    """Let the person at the terminal decide; anything but `y` means no."""
    print(f"{question.title}? ({question.reason}) [y/N] ", end="", file=sys.stderr, flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    allowed = line.strip().lower() == "y"
    return PermissionAnswer(outcome="allowed" if allowed else "rejected")


async def show(event: AnyEvent) -> None:
    """Print what the tools did."""
    if isinstance(event, ToolCallUpdate) and event.status in ENDED:
        print(f"  {event.tool_call_id}: {event.raw_output}"[:200], file=sys.stderr)


async def main() -> int:
    """Ask one question and one that builds on its answer."""
    prompt = " ".join(sys.argv[1:]) or "Which tests are there, and do they pass?"
    agent = create_pydantic_agent(os.environ.get("PUNIE_MODEL", "local"), ask=ask, on_event=show)
    try:
        first = await agent.run(prompt)
    except ModelUnavailableError as error:
        # Names the addresses that were tried and the commands that start a server.
        print(f"No model: {error}", file=sys.stderr)
        return error.exit_code
    print(first.output)
    second = await agent.run("Say that in one sentence.", message_history=first.all_messages())
    print(second.output)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
