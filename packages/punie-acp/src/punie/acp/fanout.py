"""One session, several clients: everybody hears everything, whoever answers first decides.

A client that is attached has a place in the session's history, not a queue of its own: its pump
hands it one update after the other and waits for it. So a newcomer that begins at 0 sees the whole
history and then what happens, without a gap or a repetition, and disturbs nobody; a client that is
slow or stalled delays nobody and costs no memory beyond the one update in flight; one that was
detached goes on where it was.

A permission is asked of everybody who can answer, those who come later included, each after it has
been told what happened before the question. The first option chosen decides, the other clients get
`$/cancel_request`, and what they still answer is ignored. Nobody there, nobody left, or nobody
choosing means denied.

Left out: turns, prompts and the store. It looks into no update, so it serves both versions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from punie.acp.errors import AcpError

log: logging.Logger = logging.getLogger("punie.acp")

U = TypeVar("U")
U_contra = TypeVar("U_contra", contravariant=True)


class Peer(Protocol[U_contra]):
    """An attached client, such as a `punie.acp.agent_side.ClientProxy`."""

    async def session_update(self, session_id: str, update: U_contra, /) -> None:
        """Tell the client; returns when it takes more."""
        ...

    async def request_permission(self, params: Any, /) -> Any:
        """Ask the client; the answer has an `outcome`."""
        ...


class History(Protocol[U]):
    """The updates of a session in order; a list is one, what reads from a disk may be another."""

    def append(self, update: U, /) -> None:
        """Add the newest."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> U: ...


class Answer(NamedTuple, Generic[U]):
    """How a permission request ended."""

    option_id: str | None
    """The option that was chosen; `None` is a denial: the outcome `cancelled`."""
    by: Member[U] | None
    """Who chose it."""


class Member(Generic[U]):
    """One attached client; made by `Fanout.attach`."""

    def __init__(self, fanout: Fanout[U], peer: Peer[U], *, since: int, answers: bool) -> None:
        self._fanout = fanout
        self.peer: Peer[U] = peer
        self.answers: bool = answers
        """Whether it is asked for permissions."""
        self.position: int = since
        """How many updates of the history it was handed, or skipped."""
        self.attached: bool = True
        """Whether it hears what happens."""
        self._changed = asyncio.Event()
        self._taken = since

    async def caught_up(self, position: int | None = None) -> None:
        """Wait until the client took the updates so far; returns at once when it is detached.

        Args:
            position: Only those before this place in the history.
        """
        wanted = self._fanout.position if position is None else position
        while self.attached and self._taken < wanted:
            self._changed.clear()
            await self._changed.wait()

    def detach(self) -> int:
        """Tell and ask the client nothing more; what it is being handed just now still arrives.

        Returns:
            Where it is in the history: what to attach it with to go on without a loss.
        """
        self._fanout.detached(self)
        return self.position

    async def pump(self, history: History[U], after: asyncio.Task[None] | None) -> None:
        """Hand over the history as it grows (for the fan-out).

        Args:
            history: The session's.
            after: The pump that may still hand an update to the same client.
        """
        if after is not None:
            await asyncio.wait({after})
        while self.attached:
            if self.position < len(history):
                update = history[self.position]
                self.position += 1
                await self.peer.session_update(self._fanout.session_id, update)
                self._taken = self.position
                self.wake()
            else:
                self._changed.clear()
                await self._changed.wait()

    def wake(self) -> None:
        """Look again (for the fan-out)."""
        self._changed.set()


class _Question(Generic[U]):
    """A permission request that is open."""

    def __init__(self, params: Any, position: int) -> None:
        self.params: Any = params
        self.position: int = position
        self.answer: asyncio.Future[Answer[U]] = asyncio.get_running_loop().create_future()
        self.asked: dict[Member[U], asyncio.Task[None]] = {}

    def over(self, member: Member[U], option_id: str | None) -> None:
        """A client answered or cannot; the last one that cannot makes it a denial."""
        self.asked.pop(member, None)
        if self.answer.done():
            return
        if option_id is not None:
            self.answer.set_result(Answer(option_id, member))
        elif not self.asked:
            self.answer.set_result(Answer(None, None))


class Fanout(Generic[U]):
    """The clients of one session.

    Args:
        session_id: By which all of them know the session.
        history: What happened before, and where it is kept; a new list by default.
    """

    def __init__(self, session_id: str, *, history: History[U] | None = None) -> None:
        self.session_id = session_id
        self._history: History[U] = [] if history is None else history
        self._members: dict[Member[U], bool] = {}
        self._pumps: dict[Member[U], asyncio.Task[None]] = {}
        self._questions: set[_Question[U]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def members(self) -> list[Member[U]]:
        """Who is attached, in the order of their coming."""
        return list(self._members)

    @property
    def position(self) -> int:
        """How many updates there have been."""
        return len(self._history)

    @property
    def owner(self) -> Peer[U] | None:
        """Whose files and terminals are used: of the clients that offered theirs, the first."""
        return next((member.peer for member, owns in self._members.items() if owns), None)

    def attach(
        self, peer: Peer[U], *, since: int = 0, answers: bool = True, owns: bool = False
    ) -> Member[U]:
        """Let a client hear what happened and what happens, and answer questions, open ones too.

        Args:
            peer: The client.
            since: Where in the history it begins: 0 replays all of it, `position` nothing, what
                `Member.detach` returned goes on from there.
            answers: Whether it can answer permission requests.
            owns: Whether its files and terminals may be used for the session.

        Raises:
            ValueError: It is attached already, or `since` is not in the history.
        """
        if any(member.peer is peer for member in self._members):
            raise ValueError("this client is attached already")
        if not 0 <= since <= self.position:
            raise ValueError(f"the history has {self.position} updates; {since} is none of them")
        member = Member(self, peer, since=since, answers=answers)
        before = next((task for old, task in self._pumps.items() if old.peer is peer), None)
        self._members[member] = owns
        self._pumps[member] = self._spawn(self._run(member, before))
        if answers:
            for question in self._questions:
                self._put(question, member)
        return member

    def detached(self, member: Member[U]) -> None:
        """Forget a client (see `Member.detach`)."""
        member.attached = False
        member.wake()
        self._members.pop(member, None)
        for question in list(self._questions):
            asking = question.asked.get(member)
            if asking is not None:
                asking.cancel()
                question.over(member, None)

    def tell(self, update: U) -> None:
        """Add an update to the history; every attached client is handed it in its turn.

        Nobody is waited for: an agent that wants to be no faster than a client waits for
        `Member.caught_up`, and so does one that is about to answer that client's prompt.
        """
        self._history.append(update)
        for member in self._members:
            member.wake()

    async def ask(self, params: Any) -> Answer[U]:
        """Ask everybody who can answer, until the first has chosen.

        Cancelling the task that waits takes the question back.

        Args:
            params: A `RequestPermissionRequest` of the version that the clients are told in. What
                it is about should have been told before.
        """
        question: _Question[U] = _Question(params, self.position)
        self._questions.add(question)
        try:
            for member in self._members:
                if member.answers:
                    self._put(question, member)
            if not question.asked:
                return Answer(None, None)
            return await question.answer
        finally:
            self._questions.discard(question)
            for asking in question.asked.values():
                asking.cancel()

    async def aclose(self) -> None:
        """Detach everybody; what is being handed over at this moment may be lost."""
        for member in self.members:
            member.detach()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, member: Member[U], before: asyncio.Task[None] | None) -> None:
        try:
            await member.pump(self._history, before)
        except AcpError:
            log.info("a client of session %s is gone", self.session_id)
        except Exception:
            log.exception("a client of session %s is dropped", self.session_id)
        finally:
            self._pumps.pop(member, None)
            self.detached(member)

    def _put(self, question: _Question[U], member: Member[U]) -> None:
        question.asked[member] = self._spawn(self._ask_one(question, member))

    async def _ask_one(self, question: _Question[U], member: Member[U]) -> None:
        option_id: str | None = None
        try:
            await member.caught_up(question.position)
            response = await member.peer.request_permission(question.params)
            option_id = _chosen(response, question.params)
        except AcpError:
            log.info("a client of session %s cannot be asked", self.session_id)
        except Exception:
            log.exception("a client of session %s cannot be asked", self.session_id)
        question.over(member, option_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _chosen(response: Any, params: Any) -> str | None:
    """The option that was chosen, if it was offered."""
    option_id = getattr(response.outcome, "option_id", None)
    offered = {option.option_id for option in params.options}
    return option_id if option_id in offered else None
