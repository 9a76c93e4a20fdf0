"""What a connection asks of those who serve its messages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeAlias

from msgspec import Raw, UnsetType

Job: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


class Incoming(NamedTuple):
    """How to serve one message."""

    run: Job
    """Does the work; its value is the answer of a request."""
    ordered: bool = False
    """For a notification: handle it before what arrives after it."""
    answered: Callable[[Any], None] | None = None
    """Called with the value right after the answer was queued, before anything else is."""
    cancel: Job | None = None
    """What `$/cancel_request` does instead of cancelling the task."""


class Dispatcher(Protocol):
    """Finds what serves a message. Called in order of arrival; must not block."""

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        """Prepare a request.

        Raises:
            RequestError: It is refused.
        """
        ...

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        """Prepare a notification; `None` when nobody listens.

        Raises:
            RequestError: It is refused, which nobody is told.
        """
        ...
