"""All sessions that the hub knows: records what agents tell, and says what each session is doing.

Events go one way. An agent's link calls `update` and its kin, which append to the store; the store
publishes what is safe; `published` folds it into summaries; the feed tells the pages. So a page
never sees what a crash could take back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from punie.http.errors import ConflictError, NotFoundError
from punie.http.sessions.summary import NEED, Summary
from punie.http.sessions.texts import Texts
from punie.http.sse import Feed, state_frame
from punie.http.store.base import Checkpoint, Event, Kind, SessionKey, Store
from punie.http.transcript import Transcript

SOON = 0.02
"""Seconds until pages hear that a session's state changed."""
LATER = 0.3
"""Seconds until pages hear of anything else."""
SHARE = 1024 * 1024
"""Bytes that one agent may have sent since it last waited until they were kept."""
OVERHEAD = 200
"""Bytes that an update costs beside its body, about."""
CHECKPOINT = 500
"""Events of a session after which its summary is kept anew."""


class Driver(Protocol):
    """The commands that go down to the agent that has a session."""

    async def prompt(self, session_id: str, blocks: list[dict[str, Any]]) -> str:
        """Give it work; returns the id of the message once the agent took it."""
        ...

    async def steer(self, session_id: str, blocks: list[dict[str, Any]]) -> bool:
        """Put a prompt before the model of the running turn; whether the agent took it so."""
        ...

    async def cancel(self, session_id: str) -> None:
        """Stop its work."""
        ...

    async def configure(
        self, session_id: str, config_id: str, value: str | bool
    ) -> list[dict[str, Any]]:
        """Choose the value of a config option; returns all of them, as on the wire."""
        ...

    async def close(self, session_id: str) -> None:
        """Stop it and free what it holds."""
        ...


class Asked(Struct, kw_only=True):
    """An `asked` event's body: a person is needed."""

    id: str
    what: str
    """`approval` or `question`."""
    title: str
    description: str | None = None
    options: list[dict[str, Any]] = msgspec.field(default_factory=list[dict[str, Any]])
    """Permission options as on the wire."""
    subject: dict[str, Any] | None = None
    form: dict[str, Any] | None = None
    """A question's `requestedSchema`."""


class Sessions:
    """See the module. One per hub."""

    def __init__(self, store: Store, feed: Feed, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._texts = Texts(store)
        self._summaries: dict[SessionKey, Summary] = {}
        self._drivers: dict[SessionKey, Driver] = {}
        self._unkept: dict[Driver | None, int] = {}
        self._checkpointed: dict[SessionKey, int] = {}
        self._dirty: set[SessionKey] = set()
        self._telling: asyncio.TimerHandle | None = None
        self._attached: Callable[[SessionKey], None] = lambda key: None

    def listen(self, attached: Callable[[SessionKey], None]) -> None:
        """Name who is told when a session's agent comes or goes."""
        self._attached = attached

    async def load(self) -> dict[SessionKey, list[dict[str, Any]]]:
        """Read what the last hub knew. Questions that it left open are withdrawn.

        Returns:
            The prompts that waited.
        """
        checkpoints = {one.session: one for one in await self._store.checkpoints()}
        for row in await self._store.sessions():
            kept = checkpoints.get(row.key)
            if kept is None:
                summary = Summary(
                    key=row.key, agent=row.agent, session_id=row.session_id, cwd=row.cwd
                )
            else:
                summary = msgspec.json.decode(kept.body, type=Summary)
            self._summaries[row.key] = summary
        first = min((summary.seq for summary in self._summaries.values()), default=0)
        async for event in self._all(after=first):
            if event.session not in self._summaries:
                continue  # forgotten; only who answered what is left of it
            self._summaries[event.session].apply(event, msgspec.json.decode(event.body))
        for summary in self._summaries.values():
            summary.attached = False
            self._checkpointed[summary.key] = summary.seq
            for asked_id in list(summary.asked):
                answer = {"id": asked_id, "outcome": "withdrawn", "by": "hub"}
                self.record(summary.key, "answered", answer)
        await self._store.flush()
        return {
            summary.key: (await self._last_prompts(summary.key))
            for summary in self._summaries.values()
            if summary.waiting
        }

    async def _last_prompts(self, key: SessionKey) -> list[dict[str, Any]]:
        last: Event | None = None  # each may be large, so not all are held at once
        while some := await self._store.events(
            after=0 if last is None else last.seq, session=key, kinds=["prompts"], limit=20
        ):
            last = some[-1]
        return [] if last is None else msgspec.json.decode(last.body)["waiting"]

    async def _all(self, *, after: int, session: SessionKey | None = None) -> AsyncIterator[Event]:
        until = self._store.published_seq
        while after < until:
            events = await self._store.events(after=after, until=until, session=session)
            for event in events:
                yield event
            if not events:
                return
            after = events[-1].seq

    # What agents tell

    def opened(
        self,
        agent: str,
        session_id: str,
        *,
        cwd: str,
        title: str | None,
        driver: Driver,
        client: str = "",
    ) -> SessionKey:
        """An agent has a session: a new one, or one that is known.

        Args:
            agent: Under whose name it is kept.
            session_id: The agent's own.
            cwd: Its folder.
            title: What it is called, if the agent told.
            driver: Takes commands for it.
            client: The program that started the agent, such as an IDE.
        """
        key = self._store.key_of(agent, session_id, cwd=cwd, at=self._clock())
        summary = self._summaries.get(key)
        if summary is None:
            summary = Summary(key=key, agent=agent, session_id=session_id, cwd=cwd)
            self._summaries[key] = summary
            self.record(key, "opened", {"cwd": cwd, "title": title, "client": client})
        elif summary.closed or client != summary.client:
            self.record(key, "opened", {"title": title, "client": client})
        elif title and title != summary.title:
            self.record(key, "update", {"sessionUpdate": "session_info_update", "title": title})
        self._drivers[key] = driver
        summary.attached = True
        self._attached(key)
        self._changed(key, soon=True)
        return key

    async def update(self, key: SessionKey, body: bytes) -> None:
        """An update came; waits when they come faster than they can be kept.

        An agent that sends much waits for its own, so that those of others need not.

        Args:
            key: The session.
            body: A `session/update` of version 2, as JSON.
        """
        self._store.append(key, "update", body, at=self._clock())
        driver = self._drivers.get(key)
        unkept = self._unkept.get(driver, 0) + len(body) + OVERHEAD
        if unkept > SHARE:
            self._unkept[driver] = 0
            await self._store.flush()
        else:
            self._unkept[driver] = unkept
            await self._store.room()

    def record(self, key: SessionKey, kind: Kind, body: dict[str, Any] | Asked) -> int:
        """Something else happened."""
        return self._store.append(key, kind, msgspec.json.encode(body), at=self._clock())

    async def close(self, key: SessionKey) -> None:
        """End a session; what is known of it stays.

        Raises:
            ApiError: Its agent refuses.
            ConflictError: Its agent is not connected.
        """
        await self.driver(key).close(self.get(key).session_id)
        self.closed(key)

    def closed(self, key: SessionKey) -> None:
        """A session is over."""
        self._drivers.pop(key, None)
        self.record(key, "closed", {})

    async def forget(self, key: SessionKey) -> None:
        """Close a session and remove what is known of it; who answered what stays.

        Raises:
            ApiError: Its agent refuses to close it.
        """
        summary = self.get(key)
        if key in self._drivers:
            await self._drivers[key].close(summary.session_id)
        self._drivers.pop(key, None)  # the agent may have gone meanwhile
        self._summaries.pop(key, None)
        self._dirty.discard(key)
        await self._store.forget(key)
        self._feed.tell([state_frame("forgotten", msgspec.json.encode({"key": key}))])

    def detached(self, driver: Driver) -> None:
        """An agent is gone, and with it its sessions."""
        self._unkept.pop(driver, None)
        for key in [key for key, one in self._drivers.items() if one is driver]:
            del self._drivers[key]
            summary = self._summaries[key]
            summary.attached = False
            self._attached(key)
            self._changed(key, soon=True)

    # What the store publishes

    def published(self, events: Sequence[Event]) -> None:
        """Fold events that are safe."""
        for event in events:
            summary = self._summaries.get(event.session)
            if summary is None:
                continue  # forgotten while it was written
            before = summary.state, len(summary.asked)
            body = msgspec.json.decode(event.body)
            summary.apply(event, body)
            if event.kind == "update":
                self._texts.take(event.session, event.seq, body)
            changed = (summary.state, len(summary.asked)) != before
            self._changed(event.session, soon=changed or event.kind != "update")
            if changed or event.seq - self._checkpointed.get(event.session, 0) >= CHECKPOINT:
                self._keep(summary)

    def _keep(self, summary: Summary) -> None:
        self._checkpointed[summary.key] = summary.seq
        body = Raw(msgspec.json.encode(summary))
        self._store.checkpoint(Checkpoint(session=summary.key, seq=summary.seq, body=body))

    def _changed(self, key: SessionKey, *, soon: bool) -> None:
        self._dirty.add(key)
        loop = asyncio.get_running_loop()
        due = loop.time() + (SOON if soon else LATER)
        if self._telling is not None:
            if self._telling.when() <= due:
                return
            self._telling.cancel()
        self._telling = loop.call_at(due, self._tell)

    def _tell(self) -> None:
        self._telling = None
        dirty, self._dirty = self._dirty, set()
        self._feed.tell(
            state_frame("session", msgspec.json.encode(self._summaries[key].view()))
            for key in sorted(dirty)
        )

    # What pages ask

    def all(self) -> list[Summary]:
        """All sessions; who needs a person comes first, who waits longest before the others."""
        return sorted(self._summaries.values(), key=_urgency)

    def get(self, key: SessionKey) -> Summary:
        """One session.

        Raises:
            NotFoundError: There is none of this number.
        """
        try:
            return self._summaries[key]
        except KeyError:
            raise NotFoundError(f"there is no session {key}") from None

    def find(self, key: SessionKey) -> Summary | None:
        """One session, if there is one of this number."""
        return self._summaries.get(key)

    def driver(self, key: SessionKey) -> Driver:
        """The agent that has a session.

        Raises:
            NotFoundError: There is no such session.
            ConflictError: Its agent is not connected.
        """
        summary = self.get(key)
        if key not in self._drivers:
            raise ConflictError(f"the agent {summary.agent} of session {key} is not connected")
        return self._drivers[key]

    async def transcript(self, key: SessionKey, *, until: int | None = None) -> Transcript:
        """The whole conversation of a session.

        Args:
            key: The session.
            until: The last event to apply, to see how it was then.
        """
        self.get(key)
        transcript = Transcript()
        async for event in self._all(after=0, session=key):
            if until is not None and event.seq > until:
                break
            transcript.apply(event)
        return transcript


def _urgency(summary: Summary) -> tuple[float, ...]:
    since = summary.waiting_since
    return (NEED[summary.state], float("inf") if since is None else since, -summary.changed_at)
