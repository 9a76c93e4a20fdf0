"""What one ACP client hears of one session, and what it is asked.

Updates come from the store's log, so a client sees what a page sees and nothing that a crash could
take back. A question goes to the client after what happened before it; the inbox decides whose
answer is the first, and the client's question is withdrawn when somebody else was.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog

from punie.acp.agent_side import DualClientProxy
from punie.acp.errors import AcpError
from punie.acp.schema import v2
from punie.acp.schema.reading import Reader
from punie.http.errors import ApiError
from punie.http.hub import Hub
from punie.http.sessions.registry import Asked
from punie.http.store.base import Event, SessionKey

log = structlog.get_logger()

BY = "client"
"""Who answered, in the audit log."""
LONGEST_NAME = 100
"""Characters of a client's name that are kept."""

_UPDATE = Reader(v2.SessionUpdate)
_QUESTION = Reader(v2.RequestPermissionRequest)
_FORM = Reader(v2.ElicitationFormMode)


class Follower:
    """See the module.

    Args:
        client: The client.
        hub: Where the session is.
        key: The session.
        name: By which the client knows it.
        after: The last event that the client has.
        state: What the client was told that the session does.
    """

    def __init__(
        self,
        client: DualClientProxy,
        hub: Hub,
        key: SessionKey,
        *,
        name: str,
        after: int,
        state: str,
    ) -> None:
        self._client = client
        self._hub = hub
        self._key = key
        self._name = name
        self._state = state
        self._tail = hub.tails.open(key, after=after)
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Tell and ask nothing more."""
        self._hub.tails.close(self._tail)
        self._task.cancel()
        for asking in self._asking.values():
            asking.cancel()

    async def _run(self) -> None:
        self._ask()
        while True:
            for event in await self._tail.take():
                await self._tell(event)
            await self._tell_presence()

    async def _tell(self, event: Event) -> None:
        match event.kind:
            case "update":
                await self._update(bytes(event.body))
            case "asked":
                self._ask()
            case "answered":
                asking = self._asking.pop(msgspec.json.decode(event.body)["id"], None)
                if asking is not None:
                    asking.cancel()
            case "opened" | "closed" | "prompts":
                pass

    async def _update(self, body: bytes) -> None:
        try:
            update: v2.SessionUpdate = _UPDATE.decode(body)
        except msgspec.DecodeError as error:
            log.warning("an update cannot be passed on", session=self._key, reason=str(error))
            return
        if isinstance(update, v2.StateUpdate):
            self._state = update.state
        await self._client.session_update(self._name, update)

    async def _tell_presence(self) -> None:
        """An agent that is gone works no more, as far as anybody can tell; it may come back."""
        summary = self._hub.sessions.find(self._key)
        if summary is not None and summary.seq > self._tail.seq:
            return  # there is more to tell before
        present = summary is not None and summary.attached and not summary.closed
        if not present and self._state != "idle":
            error = v2.Error(code=-32603, message="the session's agent is gone")
            gone = v2.IdleStateUpdate(stop_reason="error", error=error)
            await self._update(msgspec.json.encode(gone))
        elif present and summary is not None and summary.working != self._state:
            # It came back, and its log says nothing new of its state.
            state = {"sessionUpdate": "state_update", "state": summary.working}
            await self._update(msgspec.json.encode(state))

    def _ask(self) -> None:
        """Ask what is asked and was not yet."""
        for asked in self._hub.inbox.of(self._key):
            if asked.id not in self._asking:
                work = self._ask_one(asked)
                self._asking[asked.id] = asyncio.get_running_loop().create_task(work)

    async def _ask_one(self, asked: Asked) -> None:
        try:
            if asked.what == "approval":
                await self._ask_approval(asked)
            else:
                await self._ask_question(asked)
        except (AcpError, msgspec.ValidationError):
            # It is gone, or cannot be asked that: others can answer.
            log.info("a client cannot be asked", session=self._key)
        except ApiError as error:
            log.info("a client's answer does not count", session=self._key, reason=str(error))
            if asked in self._hub.inbox.of(self._key):  # it was none, or could not be kept
                self._asking.pop(asked.id, None)

    async def _ask_approval(self, asked: Asked) -> None:
        told: dict[str, Any] = {
            "sessionId": self._name,
            "title": asked.title,
            "description": asked.description,
            "options": asked.options,
            "subject": asked.subject,
        }
        outcome = (await self._client.request_permission(_QUESTION.decode(_json(told)))).outcome
        if isinstance(outcome, v2.SelectedPermissionOutcome):
            await self._hub.inbox.select(asked.id, outcome.option_id, by=BY, client=self._who)

    async def _ask_question(self, asked: Asked) -> None:
        told: dict[str, Any] = {
            "sessionId": self._name,
            "mode": "form",
            "message": asked.title,
            "requestedSchema": asked.form,
        }
        answer = await self._client.create_elicitation(_FORM.decode(_json(told)))
        if answer.action in {"accept", "decline"}:
            content = (answer.content or {}) if answer.action == "accept" else None
            await self._hub.inbox.submit(asked.id, content, by=BY, client=self._who)

    @property
    def _who(self) -> str:
        info = self._client.info
        return "" if info is None else f"{info.name} {info.version}"[:LONGEST_NAME]


def _json(told: dict[str, Any]) -> bytes:
    return msgspec.json.encode({key: value for key, value in told.items() if value is not None})
