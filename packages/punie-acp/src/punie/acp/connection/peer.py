"""The connection itself; `punie.acp.connection` says what it promises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeAlias

from msgspec import UNSET, Raw, UnsetType

from punie.acp import jsonrpc
from punie.acp.connection.inbox import Inbox
from punie.acp.connection.serving import Dispatcher, Incoming, Job
from punie.acp.errors import ConnectionClosedError, ErrorCode, RequestError
from punie.acp.jsonrpc import Envelope, Malformed, RequestId
from punie.acp.methods import CANCEL_REQUEST, Method, decoder
from punie.acp.transports.base import Transport

log: logging.Logger = logging.getLogger("punie.acp")

Taken: TypeAlias = Callable[["asyncio.Future[Any]"], Coroutine[Any, Any, None] | None]

_CANCEL_TIMEOUT = 0.05
"""Seconds in which cancelled handlers must end when the connection does."""


class _Pending(NamedTuple):
    future: asyncio.Future[Any]
    result: type[Any]
    caller: asyncio.Task[Any] | None
    """Who waits; `None` for a request that was posted."""
    taken: Taken
    """Called once the future is done."""


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
        self._inbox = Inbox(transport, self._spawn)
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
        self,
        method: Method,
        params: Any,
        *,
        send: Callable[[bytes], None] | None = None,
        answered: Callable[[Any], None] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Ask the peer and wait for its answer, as long as it takes unless told otherwise.

        Cancelling the task that waits sends `$/cancel_request`, and so does a timeout.

        Args:
            method: One with a result.
            params: Its parameters.
            send: Queues the frame in place of `Connection.send`, perhaps later.
            answered: Called with the result before anything that came behind it is served.
            timeout: Seconds to wait at most.

        Returns:
            An instance of `method.result`.

        Raises:
            RequestError: The peer answered with an error, or with something unreadable.
            ConnectionClosedError: The peer is gone.
            TimeoutError: No answer came in time.
        """

        def taken(future: asyncio.Future[Any]) -> None:
            if answered is not None and future.exception() is None:
                answered(future.result())

        send = send or self.send
        caller = asyncio.current_task()
        request_id, frame, future = self._register(method, params, caller, taken)
        send(frame)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except (asyncio.CancelledError, TimeoutError):
            if request_id in self._pending:
                cancel = CANCEL_REQUEST.params(request_id=request_id)
                send(jsonrpc.encode_notification(CANCEL_REQUEST.name, cancel))
            raise
        finally:
            self._pending.pop(request_id, None)

    def deliver(self, job: Job) -> asyncio.Future[None]:
        """Run something in the order of what comes in, as if it had come now.

        Args:
            job: What to run; what it raises is logged.

        Returns:
            Done once it has run.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            await self._notify("something delivered", job)
            if not done.done():
                done.set_result(None)

        self._inbox.put(run)
        return done

    def post(self, method: Method, params: Any, taken: Taken) -> None:
        """Ask the peer without waiting.

        Args:
            method: One with a result.
            params: Its parameters.
            taken: Gets the answer, as a future that is done, in the order of what comes in: after
                all notifications that came before it, and awaited before those that came behind.
                When the peer goes first the future holds a `ConnectionClosedError`.

        Raises:
            ConnectionClosedError: The peer is gone.
        """
        _, frame, _ = self._register(method, params, None, taken)
        self.send(frame)

    def _register(
        self, method: Method, params: Any, caller: asyncio.Task[Any] | None, taken: Taken
    ) -> tuple[int, bytes, asyncio.Future[Any]]:
        if method.result is None:
            raise ValueError(f"{method.name} is a notification")
        if self.closed:
            raise ConnectionClosedError
        self._next_id += 1
        frame = jsonrpc.encode_request(self._next_id, method.name, params)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[self._next_id] = _Pending(future, method.result, caller, taken)
        return self._next_id, frame, future

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
        pendings, self._pending = self._pending, {}
        for pending in pendings.values():
            if pending.caller is None:
                self._settle(pending, _fail)
            elif not pending.future.done():  # at once: nothing may keep a caller waiting now
                _fail(pending.future)

    def _request_received(
        self, request_id: RequestId, method: str, params: Raw | UnsetType
    ) -> None:
        try:
            incoming = self._dispatcher.request(method, params)
        except RequestError as error:
            self._refuse(request_id, error)
            return
        gate = self._inbox.gate()
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
            size = 0 if params is UNSET else len(memoryview(params))
            self._inbox.put(lambda: self._notify(method, incoming.run), size=size)
        else:
            self._spawn(self._notify(method, incoming.run))

    async def _notify(self, method: str, run: Job) -> None:
        try:
            await run()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # What the handler waited for was cancelled, not the handler; others wait behind it.
            log.warning("the handler of %s was cancelled from within", method)
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
        self._settle(pending, lambda future: _resolve(future, pending.result, message))

    def _settle(self, pending: _Pending, resolve: Callable[[asyncio.Future[Any]], None]) -> None:
        """Bring an answer to who waits for it, once all that came before has been handled."""

        def settle() -> Awaitable[None] | None:
            if pending.future.done():
                return None
            resolve(pending.future)
            work = pending.taken(pending.future)
            return None if work is None else self._notify("an answer", lambda: work)

        # A handler that waits for its own request would wait for itself in the inbox.
        worker = self._inbox.worker
        if pending.caller is not None and worker in (None, pending.caller):
            settle()
        else:
            self._inbox.put(settle)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _cancelled() -> RequestError:
    return RequestError(ErrorCode.REQUEST_CANCELLED, "Request cancelled")


def _fail(future: asyncio.Future[Any]) -> None:
    future.set_exception(ConnectionClosedError())


def _resolve(future: asyncio.Future[Any], result: Any, message: Envelope) -> None:
    if isinstance(message.error, Raw) and bytes(message.error) != b"null":
        future.set_exception(jsonrpc.decode_error(message.error))
        return
    # Old peers answer `null` where an object without required fields is due.
    raw = bytes(message.result) if isinstance(message.result, Raw) else b"{}"
    try:
        future.set_result(decoder(result).decode(b"{}" if raw == b"null" else raw))
    except jsonrpc.DECODE_ERRORS as error:
        reason, path = jsonrpc.describe(error)
        data = {"path": path, "reason": reason}
        failure = RequestError(ErrorCode.INTERNAL_ERROR, "the peer's answer is invalid", data)
        future.set_exception(failure)
