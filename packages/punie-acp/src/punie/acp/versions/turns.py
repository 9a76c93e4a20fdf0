"""Which prompts of version 1 are answered when a session of version 2 goes idle.

In version 1 the answer to `session/prompt` is the end of its turn. In version 2 a prompt is answered
when it is part of the conversation, and the session goes idle when all foreground work is done: that
ends the turn of every prompt that was taken before.
https://agentclientprotocol.com/protocol/v2/draft/prompt-lifecycle
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from punie.acp.schema import v2


class Turns:
    """The open prompts of one session."""

    def __init__(self) -> None:
        self._asked: list[v2.PromptRequest] = []
        """Not answered by the agent yet."""
        self._taken: dict[str, asyncio.Future[v2.StateUpdate]] = {}
        """By the id of the message that each became."""
        self._shown: set[str] = set()
        """Messages since the session was idle last."""
        self._ended: dict[str, v2.StateUpdate] = {}
        """Messages whose turn ended while the agent still owed an answer."""
        self._active = False

    async def run(
        self, params: v2.PromptRequest, prompt: Awaitable[v2.PromptResponse]
    ) -> v2.StateUpdate:
        """Put a prompt to the agent and wait for the end of its turn.

        Args:
            params: The prompt.
            prompt: What the agent makes of it.

        Returns:
            The idle state that ended it.

        Raises:
            RequestError: The agent refused it, or it was cancelled before it was taken.
        """
        self._asked.append(params)
        try:
            message_id = (await prompt).message_id
        finally:
            self._asked = [one for one in self._asked if one is not params]
        ended = self._ended.pop(message_id, None)
        if not self._asked:
            self._ended.clear()
        if ended is not None:
            return ended
        future = asyncio.get_running_loop().create_future()
        self._taken[message_id] = future
        try:
            return await future
        finally:
            self._taken.pop(message_id, None)

    def is_own(self, message: v2.UserMessage | v2.UserMessageChunk) -> bool:
        """Note a message of the user; whether it is a prompt of this client, which knows it."""
        self._active = True
        self._shown.add(message.message_id)
        if message.message_id in self._taken:
            return True
        content = message.content if isinstance(message.content, list) else [message.content]
        return any(content == one.prompt for one in self._asked)

    def state(self, update: v2.StateUpdate) -> bool:
        """Note a state; whether it ended a turn that somebody waits for."""
        if update.state != "idle":
            self._active = True
            return False
        if not self._active:
            return False  # told again, or told to whoever joined: no end of anything
        self._active = False
        if self._asked:
            self._ended.update(dict.fromkeys(self._shown, update))
        self._shown.clear()
        return self._end(update)

    def close(self) -> None:
        """End every turn as cancelled: the session is closed."""
        self._end(v2.IdleStateUpdate(stop_reason="cancelled"))

    def _end(self, update: v2.StateUpdate) -> bool:
        waiting = [future for future in self._taken.values() if not future.done()]
        for future in waiting:
            future.set_result(update)
        return bool(waiting)
