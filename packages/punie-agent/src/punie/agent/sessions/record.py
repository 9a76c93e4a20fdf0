"""What one session leaves on disk: its events before anybody hears them, its messages as they grow.

When the store cannot be written the session goes on: what could not be written is kept and tried
again with the next event, and the person is told once. How the lines are read back is in
`sessions.recovery`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from punie.agent.errors import StoreError
from punie.agent.events import (
    AgentMessageChunk,
    AnyEvent,
    FilesChanged,
    Notice,
    SessionInfoUpdate,
    StateUpdate,
    UserMessage,
)
from punie.agent.sessions.journal import Journal
from punie.agent.sessions.judgements import Judgements, undoes
from punie.agent.sessions.store import Row, Store, Stored
from punie.agent.turns.outcome import TurnOutcome

if TYPE_CHECKING:
    from punie.agent.sessions.owners import Owner
    from punie.agent.sessions.traces import TraceFile

log = logging.getLogger(__name__)
encode = msgspec.json.Encoder().encode


class Record:
    """Writes one session; made when it is opened or loaded."""

    def __init__(
        self,
        journal: Journal,
        session: Stored,
        *,
        events: int | None = None,
        traces: Path | None = None,
    ) -> None:
        """Begin.

        Args:
            journal: The file.
            session: The session.
            events: How many of its events are in the file; `None` when the session itself is new.
            traces: The folder of traces, if the person wants them.
        """
        self._traces = traces
        self._trace: TraceFile | None = None
        self._judgements = Judgements()
        self._stopped = False
        self._journal = journal
        self._session = session
        self._session_id = session.session_id
        self._new = events is None
        self._count = events or 0
        self._rows: list[Row] = []
        self._texts: list[str] = []
        self._title = ""
        self._answer: list[str] = []
        self._kept: list[Any] = []
        self._told = False
        self._unwritable: StoreError | None = None
        if self._new:
            journal.post(self._begin)

    def stop(self) -> None:
        """Write nothing more: what is told from now on only follows from the process's end."""
        self._stopped = True

    async def append(self, event: AnyEvent) -> Notice | None:
        """Write an event; when this returns, it outlives the process.

        Returns:
            What the person should be told: that the session is not saved, the first time it is so.
        """
        if self._stopped:
            return None
        if self._traces is not None:
            await self._judge(event)
        self._rows.append(Row(self._count, time.time(), encode(event)))
        self._count += 1
        self._note(event)
        rows, texts, title = self._rows, self._texts, self._title
        self._rows, self._texts, self._title = [], [], ""

        def write(store: Store, owner: Owner) -> None:
            if self._new:  # the file may have been full when the session was opened
                self._begin(store, owner)
            store.append(self._session_id, rows, title=title, texts=texts)

        try:
            await self._journal.run(write)
        except StoreError as error:
            self._rows[:0], self._texts[:0], self._title = rows, texts, self._title or title
            return self._problem(error)
        return self._problem(self._journal.problem or self._unwritable)

    async def keep(self, messages: Sequence[Any]) -> None:
        """Write the model's messages, as far as they are new; they hold all that was told so far.

        Not waited for: they are on disk before the next event is, and until then the events tell what
        they would.

        Args:
            messages: Pydantic AI messages, all of them, oldest first.
        """
        if self._stopped:
            return
        first = _same(self._kept, messages)
        added, told = list(messages[first:]), self._count

        def write(store: Store, _owner: Owner) -> None:
            try:
                store.keep(self._session_id, first, _written(added), told=told)
            except StoreError:
                self._kept = []  # the next call tries all again; the next event tells the person
            except ValueError as error:  # such as half a character, which is no UTF-8
                self._kept = []
                self._unwritable = StoreError(f"the model's messages cannot be written: {error}")

        self._kept = list(messages)
        self._journal.post(write)

    async def end_turn(self, messages: Sequence[Any], outcome: TurnOutcome, model: str) -> None:
        """Write the messages of a turn that ended, and its trace if the person wants one.

        Args:
            messages: Pydantic AI messages, all of them, oldest first.
            outcome: How the turn ended.
            model: The spec of its model.
        """
        await self.keep(messages)
        if self._traces is not None:
            from punie.agent.sessions.traces import TraceFile

            trace = self._trace = TraceFile(self._traces, self._session_id)
            await _traced(
                lambda: trace.write_turn(messages, outcome, self._judgements, model=model)
            )

    async def end(self) -> None:
        """Write what the person made of the latest turn's edits, as far as it is not written yet."""
        if (trace := self._trace) is not None:
            await _traced(lambda: trace.write_corrections(self._judgements))

    async def _judge(self, event: AnyEvent) -> None:
        if isinstance(event, UserMessage) and not undoes(event):
            await self.end()
        self._judgements.see(event)
        if isinstance(event, FilesChanged) and event.what == "undo":
            await self.end()

    def set_settings(self, **settings: Any) -> None:
        """Write what the session should start with when it is loaded, such as its mode."""
        written = encode(settings).decode()
        self._journal.post(lambda store, _: store.set_settings(self._session_id, written))

    def loaded(self, messages: Sequence[Any]) -> None:
        """Note which messages the file holds already."""
        self._kept = list(messages)

    def _begin(self, store: Store, owner: Owner) -> None:
        store.begin(replace(self._session, owner=owner.name))
        self._new = False

    def _note(self, event: AnyEvent) -> None:
        """Pick out what lists and searches show."""
        match event:
            case UserMessage(text=text):
                self._texts.append(text)
            case AgentMessageChunk(text=text):
                self._answer.append(text)
            case SessionInfoUpdate(title=title):
                self._title = title
            case StateUpdate(state="idle") if self._answer:
                self._texts.append("".join(self._answer))
                self._answer = []
            case _:
                pass

    def _problem(self, error: StoreError | None) -> Notice | None:
        if error is None or self._told:
            return None
        self._told = True
        return Notice(
            severity="warning",
            title="This session is not being saved and ends with its process",
            description=str(error),
        )


async def _traced(write: Callable[[], None]) -> None:
    try:
        await asyncio.to_thread(write)
    except OSError as error:
        log.warning("a trace cannot be written: %s", error)


def _written(messages: Sequence[Any]) -> list[bytes]:
    """Write messages as JSON; here, because the first time Pydantic takes a while to learn their types."""
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    return [ModelMessagesTypeAdapter.dump_json([message])[1:-1] for message in messages]


def _same(before: Sequence[Any], now: Sequence[Any]) -> int:
    """Count the messages at the beginning that are on disk as they are; never the last one."""
    for index, (old, new) in enumerate(zip(before[:-1], now[:-1], strict=False)):
        if old is not new and old != new:
            return index
    return max(0, min(len(before), len(now)) - 1)
