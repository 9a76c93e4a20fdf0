"""The sessions of one process: opened, found by id, closed together.

In memory only: a session ends with its process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from punie.agent.permissions.policy import Mode
from punie.agent.sessions.session import OpenBrain, Session, SessionWorkspace, new_id


def new_session_id() -> str:
    """Make an id for a session that is about to be opened."""
    return f"punie-{new_id()}"


class UnknownSessionError(LookupError):
    """No session has this id."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session {session_id!r}")
        self.session_id = session_id


class Sessions:
    """Manages the lifetime of sessions."""

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    def open(
        self, session_id: str, *, workspace: SessionWorkspace, mode: Mode, open_brain: OpenBrain
    ) -> Session:
        """Begin a session in a workspace.

        Args:
            session_id: From `new_session_id`.
            workspace: Closed with the session.
            mode: How much it may do without asking.
            open_brain: Opens its model when the first turn begins.
        """
        session = Session(session_id, workspace=workspace, mode=mode, open_brain=open_brain)
        self._by_id[session_id] = session
        return session

    def get(self, session_id: str) -> Session:
        """Find a session.

        Raises:
            UnknownSessionError: There is none of that id.
        """
        try:
            return self._by_id[session_id]
        except KeyError:
            raise UnknownSessionError(session_id) from None

    async def aclose(self) -> None:
        """Cancel every turn and wait until nothing runs any more."""
        sessions = list(self._by_id.values())
        self._by_id.clear()
        async with asyncio.TaskGroup() as closing:
            for session in sessions:
                closing.create_task(session.aclose())
