"""What a turn of a session carries to its tools: put together when its model is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from punie.agent.policies.checks import Checks
from punie.agent.sessions.brain import Brain
from punie.agent.turns.context import TurnContext
from punie.agent.turns.emit import Emitter
from punie.agent.turns.outcome import Cancellation
from punie.agent.turns.thought import level_in

if TYPE_CHECKING:
    from punie.agent.sessions.session import Session
    from punie.agent.turns.restore import Restored


def context_of(
    session: Session,
    brain: Brain,
    *,
    emitter: Emitter,
    cancellation: Cancellation,
    restored: Restored | None,
) -> TurnContext:
    """Put a turn's context together.

    Args:
        session: Whose turn it is.
        brain: What it thinks with.
        emitter: Where it is told.
        cancellation: How it is stopped.
        restored: What an earlier process left of it, if it goes on.
    """
    claimed = {} if restored is None else dict(restored.claimed)
    return TurnContext(
        workspace=session.workspace,
        gate=session.gate,
        emitter=emitter,
        tools=brain.tools,
        spec=brain.spec,
        thought=level_in(brain.spec, session.thought),
        notes=brain.notes,
        services=session.services,
        checks=session.services.get(Checks, lambda: Checks(brain.checks)),
        meter=session.memory.meter,
        cancellation=cancellation,
        claim_id=lambda call_id: claimed.pop(call_id, "") or session.call_ids.claim(call_id),
        keep=session.memory.keep,
        known={} if restored is None else restored.known,
        watch=None if session.checkpoints is None else session.checkpoints.watch,
    )
