"""An agent whose work is one coroutine per prompt: sessions, states and cancelling are done here.

For agents that have nothing to keep: its sessions are gone when the connection is. What it leaves
out is whatever needs a capability; a class of one's own adds that (see `DualAgent`).
"""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from pathlib import PurePath

from punie.acp.agent_side.dual import DualClientProxy
from punie.acp.errors import ErrorCode, RequestError
from punie.acp.schema import v2

log: logging.Logger = logging.getLogger("punie.acp")


class _Session:
    def __init__(self, cwd: str) -> None:
        self.cwd = cwd
        self.history: list[v2.SessionUpdate] = []
        self.one_at_a_time = asyncio.Lock()
        self.cancels = 0
        self.turn: asyncio.Task[v2.StopReason] | None = None


class TurnAgent:
    """Implements `punie.acp.agent_side.DualAgent`; a class of one's own adds `turn`.

    Args:
        client: The client.
    """

    name: str = "agent"
    """What the agent is called."""
    version: str = "0"
    """Its own version."""

    def __init__(self, client: DualClientProxy) -> None:
        self.client: DualClientProxy = client
        self._sessions: dict[str, _Session] = {}
        self._numbers = count(1)
        self._work: set[asyncio.Task[None]] = set()

    async def turn(self, session_id: str, prompt: list[v2.ContentBlock]) -> v2.StopReason:
        """Work on a prompt; cancelled when the client cancels.

        Args:
            session_id: In which session.
            prompt: What the user said.

        Returns:
            Why it ended, such as `end_turn`.
        """
        raise NotImplementedError

    async def say(self, session_id: str, update: v2.SessionUpdate) -> None:
        """Tell the client what happens, and whoever resumes the session later."""
        session = self._find(session_id)
        if not isinstance(update, v2.StateUpdate):
            session.history.append(update)
        await self.client.session_update(session_id, update)

    def new_id(self) -> str:
        """An id for a message, or for anything else."""
        return f"{self.name}-{next(self._numbers)}"

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        """Say who this is."""
        return v2.InitializeResponse(
            protocol_version=2,
            info=v2.Implementation(name=self.name, version=self.version),
            capabilities=v2.AgentCapabilities(session=v2.SessionCapabilities()),
        )

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        """Open a session."""
        if not PurePath(params.cwd).is_absolute():
            raise RequestError.invalid_params("must be absolute", path="$.cwd")
        session_id = self.new_id()
        self._sessions[session_id] = _Session(params.cwd)
        return v2.NewSessionResponse(session_id=session_id)

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        """Join a session that is open, with its history when that is asked for."""
        session = self._find(params.session_id)
        match params.replay_from:
            case None:
                pass
            case v2.ReplayFromStart():
                for update in list(session.history):
                    await self.client.session_update(params.session_id, update)
            case _:
                raise RequestError.invalid_params("unknown cursor", path="$.replayFrom")
        busy = session.one_at_a_time.locked()
        state = v2.RunningStateUpdate() if busy else v2.IdleStateUpdate()
        await self.say(params.session_id, state)
        return v2.ResumeSessionResponse()

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        """Name the sessions that are open."""
        return v2.ListSessionsResponse(
            sessions=[
                v2.SessionInfo(session_id=session_id, cwd=session.cwd)
                for session_id, session in self._sessions.items()
                if params.cwd in {None, session.cwd}
            ]
        )

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        """End a session."""
        session = self._find(params.session_id)
        _cancel(session)
        async with session.one_at_a_time:
            self._sessions.pop(params.session_id, None)
        return v2.CloseSessionResponse()

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        """Take a prompt, after the turns before it."""
        session = self._find(params.session_id)
        cancels = session.cancels
        await session.one_at_a_time.acquire()
        if session.cancels != cancels:
            session.one_at_a_time.release()
            raise RequestError(ErrorCode.REQUEST_CANCELLED, "the prompt was cancelled")
        message_id = self.new_id()
        work = asyncio.ensure_future(self._run(session, params, message_id))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return v2.PromptResponse(message_id=message_id)

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        """Stop a session's turn, and drop the prompts that wait."""
        _cancel(self._find(params.session_id))

    async def close(self) -> None:
        """End every turn."""
        for session in self._sessions.values():
            _cancel(session)
        if self._work:
            await asyncio.wait(self._work)

    async def _run(self, session: _Session, params: v2.PromptRequest, message_id: str) -> None:
        cancels = session.cancels
        message = v2.UserMessage(message_id=message_id, content=params.prompt)
        try:
            await self.say(params.session_id, message)
            await self.say(params.session_id, v2.RunningStateUpdate())
            turn = asyncio.ensure_future(self.turn(params.session_id, params.prompt))
            session.turn = turn
            if session.cancels != cancels:
                turn.cancel()
            await asyncio.wait({turn})
            await self.say(params.session_id, _end(turn))
        finally:
            session.turn = None
            session.one_at_a_time.release()

    def _find(self, session_id: str) -> _Session:
        try:
            return self._sessions[session_id]
        except KeyError:
            raise RequestError.session_not_found(session_id) from None


def _cancel(session: _Session) -> None:
    session.cancels += 1
    if session.turn is not None:
        session.turn.cancel()


def _end(turn: asyncio.Task[v2.StopReason]) -> v2.StateUpdate:
    """How a turn ended, as the client is told."""
    if turn.cancelled():
        return v2.IdleStateUpdate(stop_reason="cancelled")
    match turn.exception():
        case None:
            return v2.IdleStateUpdate(stop_reason=turn.result())
        case RequestError(code=code, message=message, data=data):
            error = v2.Error(code=code, message=message, data=data)
        case problem:
            log.error("a turn failed", exc_info=problem)
            error = v2.Error(code=ErrorCode.INTERNAL_ERROR, message="Internal error")
    return v2.IdleStateUpdate(stop_reason="error", error=error)
