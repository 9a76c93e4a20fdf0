"""One JSON-RPC connection: requests both ways at once, in order, until either side ends it.

Frames go out in the order of the calls. What comes in starts in the order of arrival; each request
runs as a task of its own. Notifications of an *ordered* method are handled one by one, and whatever
arrives behind them (a request, the answer to a call) waits for them, so that a caller that gets its
answer has seen every update before it.

The connection knows no method: a `Dispatcher` finds the handlers. It never logs parameters.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from punie.acp import jsonrpc
from punie.acp.errors import ConnectionClosedError, ErrorCode, RequestError
from punie.acp.jsonrpc import Envelope, Malformed, RequestId
from punie.acp.methods import CANCEL_REQUEST, Method, decoder
from punie.acp.transports.base import Transport

log: logging.Logger = logging.getLogger("punie.acp")

Job: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]

_INBOX_HIGH = 1000
"""Ordered notifications waiting above which the transport is paused."""
_INBOX_LOW = 100
_CANCEL_TIMEOUT = 0.05
"""Seconds in which cancelled handlers must end when the connection does."""


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


class _Pending(NamedTuple):
    future: asyncio.Future[Any]
    result: type[Any]
    caller: asyncio.Task[Any] | None


class _Running(NamedTuple):
    task: asyncio.Task[None]
    cancel: Job | None


class Connection:
    """Talks to one peer over a transport.

    Args:
        transport: Opened and closed by `run`.
        dispatcher: Serves what the peer asks.
    """

    def __init__(self, transport: Transport, dispatcher: Dispatcher) -> None:
        self._transport = transport
        self._dispatcher = dispatcher
        self._next_id = 0
        self._pending: dict[RequestId, _Pending] = {}
        self._running: dict[RequestId, _Running] = {}
        # Not a TaskGroup: leaving one waits for handlers that refuse to end.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._inbox: deque[Callable[[], Awaitable[None] | None]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._paused = False
        self._ended = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether the peer is gone."""
        return self._ended.is_set()

    async def open(self) -> None:
        """Start to serve."""
        await self._transport.open(self)

    async def wait_closed(self) -> None:
        """Wait until the peer closes its side."""
        await self._ended.wait()

    async def settle(self, timeout: float) -> None:
        """Let running requests finish by themselves.

        Args:
            timeout: Seconds to wait at most.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)

    async def stop(self) -> None:
        """Cancel every handler and fail every call; bounded, even when a handler hangs."""
        self._transport.stop_reading()
        self.ended()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCEL_TIMEOUT)

    async def aclose(self) -> None:
        """Stop, write what is queued and close the transport."""
        await self.stop()
        await self._transport.aclose()

    # Outgoing

    def notify(self, method: Method, params: Any) -> None:
        """Queue a notification, without back-pressure; `drain` adds it."""
        self.send(jsonrpc.encode_notification(method.name, params))

    def send(self, frame: bytes) -> None:
        """Queue an encoded frame."""
        self._transport.send(frame)

    async def drain(self) -> None:
        """Wait until the peer keeps up."""
        await self._transport.drain()

    async def request(
        self, method: Method, params: Any, *, send: Callable[[bytes], None] | None = None
    ) -> Any:
        """Ask the peer and wait for its answer, as long as it takes.

        Cancelling the task that waits sends `$/cancel_request`.

        Args:
            method: One with a result.
            params: Its parameters.
            send: Queues the frame in place of `Connection.send`, perhaps later.

        Returns:
            An instance of `method.result`.

        Raises:
            RequestError: The peer answered with an error, or with something unreadable.
            ConnectionClosedError: The peer is gone.
        """
        if method.result is None:
            raise ValueError(f"{method.name} is a notification")
        if self.closed:
            raise ConnectionClosedError
        self._next_id += 1
        request_id = self._next_id
        frame = jsonrpc.encode_request(request_id, method.name, params)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = _Pending(future, method.result, asyncio.current_task())
        (send or self.send)(frame)
        try:
            return await future
        except asyncio.CancelledError:
            if request_id in self._pending:
                cancel = CANCEL_REQUEST.params(request_id=request_id)
                (send or self.send)(jsonrpc.encode_notification(CANCEL_REQUEST.name, cancel))
            raise
        finally:
            self._pending.pop(request_id, None)

    # Incoming: the transport calls these

    def frame_received(self, frame: bytes) -> None:
        """A frame came."""
        message = jsonrpc.decode_frame(frame)
        if isinstance(message, Malformed):
            self.send(jsonrpc.encode_error(message.id, message.error))
        elif message.method is UNSET:
            self._response_received(message)
        elif message.id is UNSET:
            self._notification_received(message.method, message.params)
        else:
            self._request_received(message.id, message.method, message.params)

    def frame_dropped(self, size: int) -> None:
        """A frame was too long."""
        error = RequestError.invalid_request(f"a frame of {size} bytes is too long")
        self.send(jsonrpc.encode_error(None, error))

    def ended(self) -> None:
        """Nothing more will come."""
        self._ended.set()
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(ConnectionClosedError())

    def _request_received(
        self, request_id: RequestId, method: str, params: Raw | UnsetType
    ) -> None:
        try:
            incoming = self._dispatcher.request(method, params)
        except RequestError as error:
            self._refuse(request_id, error)
            return
        gate = self._gate()
        task = self._spawn(self._serve(request_id, method, incoming, gate))
        self._running[request_id] = _Running(task, incoming.cancel)
        task.add_done_callback(lambda done: self._forget(request_id, done))

    def _forget(self, request_id: RequestId, task: asyncio.Task[None]) -> None:
        running = self._running.get(request_id)
        if running is not None and running.task is task:
            del self._running[request_id]
        if task.cancelled():  # before it could start
            self._refuse(request_id, _cancelled())

    def _refuse(self, request_id: RequestId, error: RequestError) -> None:
        try:
            frame = jsonrpc.encode_error(request_id, error)
        except (TypeError, ValueError, OverflowError):  # `data` that JSON cannot hold
            log.warning("the data of an error cannot be sent: %s", error.message)
            frame = jsonrpc.encode_error(request_id, RequestError(error.code, error.message))
        self.send(frame)

    async def _serve(
        self,
        request_id: RequestId,
        method: str,
        incoming: Incoming,
        gate: asyncio.Future[None] | None,
    ) -> None:
        try:
            if gate is not None:
                await gate
            result = await incoming.run()
            frame = jsonrpc.encode_result(request_id, result)
        except asyncio.CancelledError:
            self._refuse(request_id, _cancelled())
        except RequestError as error:
            self._refuse(request_id, error)
        except Exception:
            log.exception("the handler of %s failed", method)
            self._refuse(request_id, RequestError(ErrorCode.INTERNAL_ERROR, "Internal error"))
        else:
            self.send(frame)
            if incoming.answered is not None:
                incoming.answered(result)

    def _notification_received(self, method: str, params: Raw | UnsetType) -> None:
        if method == CANCEL_REQUEST.name:
            self._cancel_received(params)
            return
        try:
            incoming = self._dispatcher.notification(method, params)
        except RequestError as error:
            log.warning("a %s notification is ignored: %s %s", method, error.message, error.data)
            return
        if incoming is None:
            return
        if incoming.ordered:
            self._enqueue(lambda: self._notify(method, incoming.run))
        else:
            self._spawn(self._notify(method, incoming.run))

    async def _notify(self, method: str, run: Job) -> None:
        try:
            await run()
        except Exception:
            log.exception("the handler of %s failed", method)

    def _cancel_received(self, params: Raw | UnsetType) -> None:
        try:
            cancel = jsonrpc.decode_params(decoder(CANCEL_REQUEST.params), params)
        except RequestError:
            log.warning("a %s notification is ignored: it names no request", CANCEL_REQUEST.name)
            return
        running = self._running.get(cancel.request_id)
        if running is None:
            return
        if running.cancel is not None:
            self._spawn(self._notify(CANCEL_REQUEST.name, running.cancel))
        else:
            running.task.cancel()

    def _response_received(self, message: Envelope) -> None:
        request_id = None if message.id is UNSET else message.id
        pending = self._pending.pop(request_id, None)
        if pending is None:
            return  # cancelled before, or an answer to nothing
        if pending.caller is self._worker or self._worker is None:
            _resolve(pending, message)
        else:
            self._enqueue(lambda: _resolve(pending, message))

    # The ordered inbox

    def _gate(self) -> asyncio.Future[None] | None:
        """A future that is done once everything ordered before now has been handled."""
        if self._worker is None:
            return None
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def pass_gate() -> None:
            if not gate.done():
                gate.set_result(None)

        self._enqueue(pass_gate)
        return gate

    def _enqueue(self, item: Callable[[], Awaitable[None] | None]) -> None:
        self._inbox.append(item)
        if self._worker is None:
            self._worker = self._spawn(self._work())
        if len(self._inbox) > _INBOX_HIGH and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    async def _work(self) -> None:
        try:
            while self._inbox:
                waiting = self._inbox.popleft()()
                if waiting is not None:
                    await waiting
                if self._paused and len(self._inbox) < _INBOX_LOW:
                    self._paused = False
                    self._transport.resume_reading()
        finally:
            self._worker = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _cancelled() -> RequestError:
    return RequestError(ErrorCode.REQUEST_CANCELLED, "Request cancelled")


def _resolve(pending: _Pending, message: Envelope) -> None:
    future = pending.future
    if future.done():
        return
    if isinstance(message.error, Raw) and bytes(message.error) != b"null":
        future.set_exception(jsonrpc.decode_error(message.error))
        return
    # Old peers answer `null` where an object without required fields is due.
    raw = bytes(message.result) if isinstance(message.result, Raw) else b"{}"
    try:
        future.set_result(decoder(pending.result).decode(b"{}" if raw == b"null" else raw))
    except msgspec.ValidationError as error:
        reason, path = jsonrpc.describe(error)
        data = {"path": path, "reason": reason}
        failure = RequestError(ErrorCode.INTERNAL_ERROR, "the peer's answer is invalid", data)
        future.set_exception(failure)
    except jsonrpc.DECODE_ERRORS:
        failure = RequestError(ErrorCode.INTERNAL_ERROR, "the peer's answer cannot be read")
        future.set_exception(failure)
