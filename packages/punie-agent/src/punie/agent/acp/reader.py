"""An ACP client as a reader of a session: hears every update, answers for permissions."""

from __future__ import annotations

from punie.acp.agent_side import ClientProxy
from punie.acp.errors import AcpError
from punie.acp.schema import v1
from punie.agent.acp.updates import Updates
from punie.agent.events import AnyEvent
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk
from punie.agent.sessions.session import Session


def attach(session: Session, client: ClientProxy) -> None:
    """Let a client hear a session and answer for it, until the session ends.

    Args:
        session: The session.
        client: The client; it knows the session by the same id.
    """
    updates = Updates(client.capabilities)

    async def listen(event: AnyEvent) -> None:
        update = updates.of(event)
        if update is not None:
            await client.session_update(session.id, update)

    async def ask(permission: PermissionAsk) -> PermissionAnswer:
        request = v1.RequestPermissionRequest(
            session_id=session.id,
            tool_call=updates.patch(permission.tool_call_id),
            options=[
                v1.PermissionOption(option_id=o.option_id, name=o.name, kind=o.kind)
                for o in permission.options
            ],
        )
        try:
            response = await client.request_permission(request)
        except AcpError:
            return PermissionAnswer(outcome="unanswerable")
        return _answer(permission, response.outcome)

    session.attach(listen, asker=ask)


def _answer(permission: PermissionAsk, outcome: v1.RequestPermissionOutcome) -> PermissionAnswer:
    if isinstance(outcome, v1.CancelledPermissionOutcome):
        return PermissionAnswer(outcome="cancelled")
    for option in permission.options:
        if option.option_id == outcome.option_id:
            allowed = option.kind in {"allow_once", "allow_always"}
            return PermissionAnswer(
                outcome="allowed" if allowed else "rejected", option_id=option.option_id
            )
    return PermissionAnswer(outcome="rejected")  # An option that was never offered allows nothing.
