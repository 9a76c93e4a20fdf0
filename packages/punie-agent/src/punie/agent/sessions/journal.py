"""The one thread through which a process reads and writes its file of sessions.

A write is some tens of microseconds when all is well, and seconds when another process or a slow disk
is in the way: so none of it happens on the event loop. Jobs run in the order in which they came.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar

from punie.agent.errors import StoreError

if TYPE_CHECKING:
    from punie.agent.sessions.owners import Owner
    from punie.agent.sessions.store import Store

T = TypeVar("T")
_Opened: TypeAlias = "tuple[Store, Owner] | StoreError"

FILE = "sessions.db"
OWNERS = "owners"
CLOSING = 1.0
"""Seconds that closing the file may take."""


class Journal:
    """Opens the file with its first job; one that cannot be used is replaced by memory."""

    def __init__(self, state: Path) -> None:
        """Begin; nothing is opened yet.

        Args:
            state: The folder of Punie's state; `sessions.db` and the locks of owners are in it.
        """
        self.path = state / FILE
        self.problem: StoreError | None = None
        """Why the file is not used, once that is known."""
        self._locks = state / OWNERS
        self._jobs: queue.SimpleQueue[Callable[[_Opened], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, work: Callable[[Store, Owner], T]) -> T:
        """Do something with the store, and wait for it.

        Raises:
            StoreError: The job did not succeed; what it wrote is not there.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job(opened: _Opened) -> None:
            outcome = _done(work, opened)
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, done, outcome)

        self._put(job)
        return await done

    def post(self, work: Callable[[Store, Owner], object]) -> None:
        """Do something with the store soon, and do not wait; what goes wrong is left to the rest."""
        self._put(lambda opened: _ignored(_done(work, opened)))

    async def aclose(self) -> None:
        """Finish what waits, give all sessions up and close the file; later jobs fail."""
        self._closed = True
        if self._thread is None:
            return
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, CLOSING)
        self._thread = None

    def _put(self, job: Callable[[_Opened], None]) -> None:
        if self._closed:
            job(StoreError(f"{self.path} was closed"))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="punie-journal", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def _work(self) -> None:
        store, owner = self._open()
        while (job := self._jobs.get()) is not None:
            job((store, owner))
        store.close()
        owner.close()

    def _open(self) -> tuple[Store, Owner]:
        from punie.agent.sessions.owners import Owner
        from punie.agent.sessions.store import Store

        try:
            owner = Owner(self._locks)
            return Store(self.path), owner
        except StoreError as error:
            self.problem = error
        except OSError as error:
            reason = error.strerror or error
            self.problem = StoreError(f"{self._locks} cannot be written: {reason}")
        return Store(None), Owner(None)


def _done(work: Callable[[Store, Owner], T], opened: _Opened) -> Callable[[], T]:
    """Do a job, and give what hands its result or its error over."""
    try:
        if isinstance(opened, StoreError):
            raise opened
        result = work(*opened)
    except Exception as error:  # noqa: BLE001 the edge of a thread: whoever waits gets it
        return partial(_raise, error)
    return lambda: result


def _settle(done: asyncio.Future[T], outcome: Callable[[], T]) -> None:
    if done.cancelled():
        return
    try:
        done.set_result(outcome())
    except Exception as error:  # noqa: BLE001 handed over to whoever waits
        done.set_exception(error)


def _raise(error: Exception) -> NoReturn:
    raise error


def _ignored(_outcome: object) -> None:
    """Drop an outcome that nobody waits for."""
