"""The mode of one turn: stricter than the session's for as long as the turn takes, and told."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from punie.agent.config import stricter
from punie.agent.events import Notice, SettingsUpdate
from punie.agent.permissions.policy import Mode

if TYPE_CHECKING:
    from punie.agent.sessions.session import Session


@asynccontextmanager
async def for_a_turn(session: Session, mode: Mode | None) -> AsyncGenerator[None]:
    """Hold a session to a mode for one turn; what is kept of the session stays as it is.

    Args:
        session: Whose turn it is.
        mode: Which; `None`, or one that is not stricter than the session's, changes nothing.
    """
    gate = session.gate
    if mode is None or stricter(gate.mode, mode) == gate.mode:
        yield
        return
    gate.mode = mode
    await session.tell(SettingsUpdate(mode=mode, model=session.model, thought=session.thought))
    await session.tell(Notice(severity="info", title=f"Mode {mode} for this turn"))
    try:
        yield
    finally:
        if gate.mode != gate.usual:  # else a person has chosen one meanwhile
            gate.mode = gate.usual
            await session.tell(
                SettingsUpdate(mode=gate.mode, model=session.model, thought=session.thought)
            )
