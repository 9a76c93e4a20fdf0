"""What a model should know that happened between two turns: an undo changed files behind its back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from punie.agent.events import AnyEvent, FilesChanged, UsageUpdate, UserMessage


def with_news(prompt: UserMessage | None, events: Sequence[AnyEvent]) -> UserMessage | None:
    """Put the news before a prompt; without any it stays as it is.

    Args:
        prompt: What the person wrote; `None` when a turn goes on without a prompt.
        events: What happened in the session; the running turn has asked no model yet.
    """
    undone: list[str] = []
    for event in reversed(events):
        match event:
            case UsageUpdate():  # of the model's last request
                break
            case FilesChanged(what="undo"):
                undone.append(event.headline())
            case _:
                pass
    if prompt is None or not undone:
        return prompt
    told = "; ".join(reversed(undone))
    news = f"[The person undid something since. {told}. Read a file before you edit it.]"
    return replace(prompt, text=f"{news}\n\n{prompt.text}")
