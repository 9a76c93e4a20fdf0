"""An ACP client as a reader of a session: hears every update, answers for permissions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from punie.acp.agent_side import DualClientProxy
from punie.acp.errors import AcpError, ConnectionClosedError
from punie.acp.schema import v2
from punie.agent.acp.questions import NO_ANSWER, filled, form, shows_forms
from punie.agent.acp.terminals import Terminals, style_of
from punie.agent.acp.updates import Updates
from punie.agent.events import AnyEvent, SettingsUpdate
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk
from punie.agent.sessions.session import Session


class ClientReader:
    """One client and one session.

    Args:
        session: The session.
        client: The client; it knows the session by the same id.
        options: Gives the session's config options, as they are now.
        before: Hears every event before the client does.
    """

    def __init__(
        self,
        session: Session,
        client: DualClientProxy,
        *,
        options: Callable[[], list[v2.SessionConfigOption]],
        before: Callable[[AnyEvent], Awaitable[None]],
    ) -> None:
        self.session = session
        self._client = client
        self._options = options
        self._before = before
        self._choosing = False
        self._updates = Updates(Terminals(style_of(client), client))
        self._detach: Callable[[], None] | None = None

    def attach(self) -> None:
        """Hear what happens from now on."""
        if self._detach is None:
            self._detach = self.session.attach(self._listen, asker=self._ask)

    async def join(self) -> None:
        """Hear what happened, then what happens."""
        self.detach()
        self._detach = await self.session.join(self._listen, asker=self._ask)

    def detach(self) -> None:
        """Hear nothing more."""
        if self._detach is not None:
            self._detach()
            self._detach = None

    async def tell_state(self) -> None:
        """Say what the session is doing, as whoever comes must know it."""
        state: v2.StateUpdate = v2.IdleStateUpdate()
        if self.session.asking:
            state = v2.RequiresActionStateUpdate()
        elif self.session.busy:
            state = v2.RunningStateUpdate()
        await self._client.session_update(self.session.id, state)

    @contextmanager
    def choosing(self) -> Generator[None]:
        """For as long as this client chooses an option itself: the answer tells it what is new."""
        self._choosing = True
        try:
            yield
        finally:
            self._choosing = False

    async def tell_options(self) -> None:
        """Say which options there are now, and what is chosen."""
        update = v2.ConfigOptionUpdate(config_options=self._options())
        await self._client.session_update(self.session.id, update)

    async def _listen(self, event: AnyEvent) -> None:
        await self._before(event)
        if isinstance(event, SettingsUpdate) and not self._choosing:
            await self.tell_options()
        for update in self._updates.of(event):
            await self._client.session_update(self.session.id, update)

    async def _ask(self, ask: PermissionAsk) -> PermissionAnswer:
        try:
            if ask.about == "question":
                return await self._question(ask)
            return await self._permission(ask)
        except ConnectionClosedError:
            # A client that is gone has said nothing; its agent ends, and asks again when it is back.
            return await asyncio.get_running_loop().create_future()
        except AcpError:
            return PermissionAnswer(outcome="unanswerable")

    async def _question(self, ask: PermissionAsk) -> PermissionAnswer:
        """Ask what the model wants to know, in the way that the client has."""
        if shows_forms(self._client.capabilities):
            return filled(await self._client.create_elicitation(form(ask, self.session.id)))
        if ask.options:
            return await self._permission(ask, NO_ANSWER)
        return PermissionAnswer(outcome="later")

    async def _permission(self, ask: PermissionAsk, *more: v2.PermissionOption) -> PermissionAnswer:
        call = v2.ToolCallPatch(tool_call_id=ask.tool_call_id)
        request = v2.RequestPermissionRequest(
            session_id=self.session.id,
            title=ask.title,
            description=ask.reason or None,
            subject=v2.ToolCallPermissionSubject(tool_call=call),
            options=[
                *(
                    v2.PermissionOption(option_id=o.option_id, name=o.name, kind=o.kind)
                    for o in ask.options
                ),
                *more,
            ],
        )
        response = await self._client.request_permission(request)
        return _answer(ask, response.outcome)


def _answer(permission: PermissionAsk, outcome: v2.RequestPermissionOutcome) -> PermissionAnswer:
    if isinstance(outcome, v2.CancelledPermissionOutcome):
        return PermissionAnswer(outcome="cancelled")
    chosen = outcome.option_id if isinstance(outcome, v2.SelectedPermissionOutcome) else None
    for option in permission.options:
        if option.option_id == chosen:
            allowed = option.kind in {"allow_once", "allow_always"}
            return PermissionAnswer(
                outcome="allowed" if allowed else "rejected", option_id=option.option_id
            )
    return PermissionAnswer(outcome="rejected")  # An option that was never offered allows nothing.
