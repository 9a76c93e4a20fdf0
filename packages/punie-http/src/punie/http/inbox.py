"""What waits for a person: approvals and questions of all sessions.

An agent's link asks and waits; whoever answers first decides, here or elsewhere. An answer is
written down before the agent hears it: what is not in the audit log has not been allowed. When an
agent takes its question back (the IDE was faster, the turn was stopped), it leaves the inbox.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from punie.http.errors import (
    ApiError,
    ConflictError,
    NotFoundError,
    TooManyError,
    UnavailableError,
)
from punie.http.forms import fit
from punie.http.sessions.registry import Asked, Sessions
from punie.http.sse import Feed, state_frame
from punie.http.store.base import Event, SessionKey, Store

Outcome: TypeAlias = Literal["selected", "submitted", "declined", "cancelled", "elsewhere", "gone"]
"""`selected`: an option of an approval. `submitted`, `declined`: a question's form. `cancelled`: a
person closed it without an answer. `elsewhere`: the agent took it back. `gone`: so did its agent."""

WRITING = 10.0
"""Seconds in which an answer must be written down."""
WRITING_ANYWAY = 2.0
"""The same while nothing can be written, as far as is known."""
MOST = 200
"""Questions of one agent that may wait: a person sees no more, and the others' must be found."""
REMEMBERED = 1000
"""Answers that a late second answer is told of."""


class Answer(Struct, frozen=True, kw_only=True):
    """An `answered` event's body."""

    id: str
    outcome: Outcome
    by: str
    """`page`, `program`, `client` (of ACP), `agent` or `hub`."""
    client: str = ""
    """What a client calls itself; it may say anything."""
    option_id: str | None = None
    option: str | None = None
    """The option's name and kind, for the log."""
    title: str = ""
    """What was asked."""
    content: dict[str, Any] | None = None
    """The fields of a form; kept for the agent, not for the log."""

    def logged(self) -> dict[str, Any]:
        """As it is written down: without what a person typed."""
        body = msgspec.to_builtins(self)
        del body["content"]
        return body


class _Pending(Struct, kw_only=True):
    session: SessionKey
    asked: Asked
    future: asyncio.Future[Answer]
    at: float = 0.0
    """When pages could first see it; 0 before."""


class Inbox:
    """See the module. One per hub."""

    def __init__(self, store: Store, sessions: Sessions, feed: Feed) -> None:
        self._store = store
        self._sessions = sessions
        self._feed = feed
        self._pending: dict[str, _Pending] = {}
        self._answered: OrderedDict[str, str] = OrderedDict()
        self._deciding: set[asyncio.Task[Answer]] = set()

    def __len__(self) -> int:
        return len(self._pending)

    async def ask(self, session: SessionKey, asked: Asked) -> Answer:
        """Ask a person and wait, as long as it takes.

        Cancelling the caller takes the question back.

        Args:
            session: Who asks.
            asked: What; its id is made here.

        Raises:
            TooManyError: Too many of this agent wait.
        """
        agent = self._sessions.get(session).agent
        of_agent = (
            self._sessions.get(one.session).agent == agent for one in self._pending.values()
        )
        if sum(of_agent) >= MOST:
            raise TooManyError(f"{MOST} questions of the agent {agent} wait already")
        asked = msgspec.structs.replace(asked, id=secrets.token_hex(8))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[asked.id] = _Pending(session=session, asked=asked, future=future)
        self._sessions.record(session, "asked", asked)
        try:
            return await future
        finally:
            if self._pending.pop(asked.id, None) is not None:
                answer = Answer(id=asked.id, outcome="elsewhere", by="agent", title=asked.title)
                self._write(session, answer)

    def of(self, session: SessionKey) -> list[Asked]:
        """What waits in a session, the oldest first."""
        return [one.asked for one in self._pending.values() if one.session == session]

    async def select(self, asked_id: str, option_id: str, *, by: str, client: str = "") -> Answer:
        """Answer an approval.

        Args:
            asked_id: Which.
            option_id: One of its options.
            by: Who answers, for the log.
            client: What it calls itself.

        Raises:
            NotFoundError: There never was such an approval.
            ConflictError: Somebody answered before.
            ApiError: It has no such option.
            UnavailableError: The answer cannot be written down, so nothing was allowed.
        """
        pending = self._get(asked_id)
        for option in pending.asked.options:
            if option["optionId"] == option_id:
                told = f"{option['name']} ({option['kind']})"
                answer = Answer(
                    id=asked_id,
                    outcome="selected",
                    by=by,
                    client=client,
                    option_id=option_id,
                    option=told,
                    title=pending.asked.title,
                )
                return await self._decide(pending, answer)
        known = ", ".join(option["optionId"] for option in pending.asked.options)
        raise ApiError(f"there is no option {option_id!r} here; there are: {known}")

    async def submit(
        self, asked_id: str, content: dict[str, Any] | None, *, by: str, client: str = ""
    ) -> Answer:
        """Answer a question.

        Args:
            asked_id: Which.
            content: The form's fields by name; `None` declines.
            by: Who answers, for the log.
            client: What it calls itself.

        Raises:
            FormError: The content does not fit the form; the question stays open.
            ApiError: As with `select`.
        """
        pending = self._get(asked_id)
        if pending.asked.what != "question":
            raise ApiError("this is an approval: choose one of its options")
        if content is not None:
            fit(pending.asked.form, content)
        outcome = "declined" if content is None else "submitted"
        title = pending.asked.title
        answer = Answer(
            id=asked_id, outcome=outcome, by=by, client=client, content=content, title=title
        )
        return await self._decide(pending, answer)

    async def _decide(self, pending: _Pending, answer: Answer) -> Answer:
        del self._pending[answer.id]  # the first answer stands: nobody else gets past `_get`
        deciding = asyncio.get_running_loop().create_task(self._keep(pending, answer))
        self._deciding.add(deciding)
        deciding.add_done_callback(self._decided)
        # Whoever answered may hang up; the agent hears of it all the same.
        return await asyncio.shield(deciding)

    def _decided(self, deciding: asyncio.Task[Answer]) -> None:
        self._deciding.discard(deciding)
        if not deciding.cancelled():
            deciding.exception()  # seen, even if nobody waits any more

    async def _keep(self, pending: _Pending, answer: Answer) -> Answer:
        """Write an answer down, then let the agent hear it."""
        self._write(pending.session, answer)
        try:
            async with asyncio.timeout(WRITING_ANYWAY if self._store.problem else WRITING):
                await self._store.flush()
        except TimeoutError:
            if not pending.future.done():  # ask once more
                self._answered.pop(answer.id, None)
                self._pending[answer.id] = pending
                self._sessions.record(pending.session, "asked", pending.asked)
            raise UnavailableError(
                f"the answer cannot be written down ({self._store.problem}): nothing was decided"
            ) from None
        if pending.future.done():
            raise ConflictError("the agent took the question back")
        pending.future.set_result(answer)
        return answer

    def _write(self, session: SessionKey, answer: Answer) -> None:
        self._answered[answer.id] = answer.by
        while len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        self._sessions.record(session, "answered", answer.logged())

    def _get(self, asked_id: str) -> _Pending:
        pending = self._pending.get(asked_id)
        if pending is not None:
            return pending
        by = self._answered.get(asked_id)
        if by is None:
            raise NotFoundError(f"nobody asked {asked_id!r}")
        raise ConflictError(f"already answered by the {by}")

    def published(self, events: Sequence[Event]) -> None:
        """Show pages what is asked and answered; sessions have folded these events before."""
        frames: list[bytes] = []
        for event in events:
            if event.kind == "asked":
                pending = self._pending.get(msgspec.json.decode(event.body)["id"])
                if pending is not None:
                    pending.at = event.at
                    frames.append(state_frame("asked", msgspec.json.encode(self._view(pending))))
            elif event.kind == "answered":
                frames.append(state_frame("answered", bytes(event.body)))
        self._feed.tell(frames)

    def views(self) -> list[dict[str, Any]]:
        """All that waits, the oldest first."""
        return [self._view(one) for one in self._pending.values() if one.at]

    def _view(self, pending: _Pending) -> dict[str, Any]:
        session = self._sessions.get(pending.session)
        view = {
            **msgspec.to_builtins(pending.asked),
            "session": pending.session,
            "agent": session.agent,
            "cwd": session.cwd,
            "session_title": session.title,
            "asked_at": pending.at,
        }
        subject = pending.asked.subject or {}
        patch: dict[str, Any] | None = subject.get("toolCall")
        call_id = patch["toolCallId"] if patch else subject.get("toolCallId")
        if call_id is not None:
            # What was told before the question, and what the question itself adds.
            known = session.open_calls.get(call_id)
            told = {name: value for name, value in (patch or {}).items() if value is not None}
            view["tool_call"] = {**(known.patch if known else {}), **told}
        return view
