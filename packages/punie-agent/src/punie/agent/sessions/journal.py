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
CLOSING = 1.0
"""Seconds that closing the file may take."""


class Journal:
    """Opens the file with its first job; every job fails with the same sentence if it cannot."""

    def __init__(self, state: Path) -> None:
        """Begin; nothing is opened yet.

        Args:
            state: The folder of Punie's state; `sessions.db` and the locks of owners are in it.
        """
        self.path = state / FILE
        self._locks = state / "owners"
        self._jobs: queue.SimpleQueue[Callable[[_Opened], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, work: Callable[[Store, Owner], T]) -> T:
        """Do something with the store, and wait for it.

        Raises:
            StoreError: The store cannot be used.
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
        opened = _open(self.path, self._locks)
        while (job := self._jobs.get()) is not None:
            job(opened)
        if not isinstance(opened, StoreError):
            opened[0].close()
            opened[1].close()


def _open(path: Path, locks: Path) -> _Opened:
    from punie.agent.sessions.owners import Owner
    from punie.agent.sessions.store import Store

    try:
        store = Store(path)
    except StoreError as error:
        return error
    try:
        return store, Owner(locks)
    except OSError as error:
        store.close()
        return StoreError(f"{locks} cannot be written: {error.strerror or error}")


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
