"""What the sessions of an agent of version 1 are doing, told as version 2 tells it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from punie.acp.connection import Connection
from punie.acp.errors import ErrorCode, RequestError
from punie.acp.schema import v1, v2
from punie.acp.versions.to_v2 import ToV2

log: logging.Logger = logging.getLogger("punie.acp")

_CONTENT = (
    v1.UserMessageChunk,
    v1.AgentMessageChunk,
    v1.AgentThoughtChunk,
    v1.ToolCall,
    v1.ToolCallUpdate,
    v1.Plan,
)
"""What a replay of a conversation consists of."""


class Session:
    """What is known of one session."""

    def __init__(self, session_id: str) -> None:
        self.id: str = session_id
        self.to_v2: ToV2 = ToV2(session_id)
        self.prompts: int = 0
        """Prompts that are not answered yet."""
        self.questions: int = 0
        """Requests that wait for a person."""
        self.state: str = "idle"
        """The one told last."""
        self.muted: bool = False
        """A replay that nobody asked for is on its way."""
        self.fresh: bool = False
        """A turn began, and the agent has told nothing but, perhaps, the prompt."""

    def lets_pass(self, update: v1.SessionUpdate) -> bool:
        """Whether an update tells something new."""
        if self.muted and isinstance(update, _CONTENT):
            return False
        if self.fresh and isinstance(update, v1.UserMessageChunk):
            return False  # an echo of the prompt, which was told when it was sent
        if isinstance(update, _CONTENT):
            self.fresh = False
        return True


class Sessions:
    """The sessions of one agent of version 1, and the state that they are in.

    Args:
        connection: To the agent.
        client: A `DualClient`.
    """

    def __init__(self, connection: Connection, client: Any) -> None:
        self._connection = connection
        self._client = client
        self._sessions: dict[str, Session] = {}

    def of(self, session_id: str) -> Session:
        """A session, known or not."""
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = Session(session_id)
        return session

    def forget(self, session_id: str) -> None:
        """Forget a session that is closed."""
        self._sessions.pop(session_id, None)

    async def tell(self, session: Session, update: v2.SessionUpdate) -> None:
        """Show the client an update; only in order, which the inbox keeps.

        What the client makes of it is its own affair: an error is logged, and the next update told.
        """
        notification = v2.UpdateSessionNotification(session_id=session.id, update=update)
        try:
            await self._client.session_update(notification)
        except Exception:
            log.exception("the client failed on an update")

    def deliver(self, session: Session, update: v2.SessionUpdate) -> asyncio.Future[None]:
        """Show the client an update after all that came before."""
        return self._connection.deliver(lambda: self.tell(session, update))

    async def tell_state(self, session: Session) -> None:
        """Tell the state when it is another one than was told last."""
        state: v2.StateUpdate = v2.IdleStateUpdate()
        if session.questions:
            state = v2.RequiresActionStateUpdate()
        elif session.prompts:
            state = v2.RunningStateUpdate()
        if state.state != session.state:
            session.state = state.state
            await self.tell(session, state)

    async def begin(self, session: Session, message: v2.UserMessage) -> None:
        """A prompt was sent."""
        session.prompts += 1
        session.fresh = True
        session.to_v2.end_message()
        await self.tell(session, message)
        await self.tell_state(session)

    async def end(self, session: Session, answer: asyncio.Future[v1.PromptResponse]) -> None:
        """A prompt was answered, and every update of its turn was handled."""
        session.prompts -= 1
        session.fresh = False
        session.to_v2.end_message()
        session.state = "idle"
        await self.tell(session, _idle(answer))
        await self.tell_state(session)

    @asynccontextmanager
    async def waiting_for_a_person(self, session: Session) -> AsyncGenerator[None, None]:
        """Have the session in `requires_action` for a while."""
        session.questions += 1
        try:
            await self._connection.deliver(lambda: self.tell_state(session))
            yield
        finally:
            session.questions -= 1
            self._connection.deliver(lambda: self.tell_state(session))


def _idle(answer: asyncio.Future[v1.PromptResponse]) -> v2.IdleStateUpdate:
    match answer.exception():
        case None:
            response = answer.result()
            return v2.IdleStateUpdate(stop_reason=response.stop_reason, meta=response.meta)
        case RequestError(code=ErrorCode.REQUEST_CANCELLED):
            return v2.IdleStateUpdate(stop_reason="cancelled")
        case RequestError() as error:
            failure = v2.Error(code=error.code, message=error.message, data=error.data)
        case error:
            failure = v2.Error(code=ErrorCode.INTERNAL_ERROR, message=str(error))
    return v2.IdleStateUpdate(stop_reason="error", error=failure)
