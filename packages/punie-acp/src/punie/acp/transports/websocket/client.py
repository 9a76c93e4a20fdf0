"""The dialling end: connect, and after a lost socket dial again and go on where it stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import NamedTuple, TypeAlias

import aiohttp

from punie.acp.errors import DialError
from punie.acp.transports.base import MAX_FRAME, Receiver
from punie.acp.transports.websocket.transport import (
    CLOSE_TIMEOUT,
    CONNECTION_ID,
    RESUME,
    Ending,
    Keepalive,
    Socket,
    WebSocketTransport,
)

log: logging.Logger = logging.getLogger("punie.acp")

Headers: TypeAlias = Mapping[str, str] | Callable[[], Awaitable[Mapping[str, str]]]
"""Headers of requests, or what makes them before each attempt to connect."""

_SLOWEST = 5.0
"""Seconds between two attempts at most."""


class _Answer(NamedTuple):
    """What a server said when it accepted a socket."""

    socket: Socket
    connection_id: str
    taken: int | None
    """Frames that it has taken on this connection; `None` when it cannot resume."""


async def dial(
    url: str,
    *,
    headers: Headers | None = None,
    max_frame: int = MAX_FRAME,
    keepalive: Keepalive = Keepalive(),  # noqa: B008  # immutable
    timeout: float = 10.0,
    give_up: float = 60.0,
) -> WebSocketTransport:
    """Connect to a server's endpoint.

    A lost socket is replaced in the background when the server can resume, at once and then with
    growing pauses; otherwise, and when the time is up, the transport ends.

    Args:
        url: Such as `ws://127.0.0.1:8765/acp`.
        headers: Sent with every request, such as `Authorization`; never logged. A function that makes
            them is called before each attempt, also when a lost socket is replaced, and may first
            look at who listens there: what it raises as `DialError` ends the attempts.
        max_frame: Bytes in the longest frame that is accepted.
        keepalive: How to notice that the server is gone.
        timeout: Seconds for one attempt.
        give_up: Seconds for which a lost socket is dialled again.

    Returns:
        A connected transport, for `connect` or `serve` to open.

    Raises:
        DialError: The server cannot be reached, it refuses, or `headers` does.
    """
    dialler = _Dialler(url, headers or {}, max_frame=max_frame, timeout=timeout)
    try:
        answer = await dialler.connect()
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise DialError(_place(url), _reason(error)) from error
    finally:
        if not dialler.connected:
            await dialler.aclose()
    return _DialledTransport(
        dialler, answer, max_frame=max_frame, keepalive=keepalive, give_up=give_up
    )


class _Dialler:
    """Makes sockets to one URL. Cookies that the server sets come back to it, as the draft asks."""

    def __init__(self, url: str, headers: Headers, *, max_frame: int, timeout: float) -> None:
        self._url = url
        self._headers = headers
        self._max_frame = max_frame
        self._timeout = timeout
        self._response: aiohttp.ClientResponse | None = None
        self.connected = False
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._keep_response)
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # also from a server that has no name
            trace_configs=[trace],
        )

    async def connect(self, connection_id: str = "", received: int = 0) -> _Answer:
        """Dial once.

        Args:
            connection_id: The connection to go on with; a new one by default.
            received: Frames taken on it so far.

        Raises:
            DialError: The headers are refused.
            aiohttp.ClientError: There is no server, or it refuses (`WSServerHandshakeError`).
            OSError: It cannot be reached.
            ValueError: The URL is none.
        """
        self._drop()
        headers = {RESUME: str(received)}
        if connection_id:
            headers[CONNECTION_ID] = connection_id
        async with asyncio.timeout(self._timeout):
            more = await self._headers() if callable(self._headers) else self._headers
            headers = {**more, **headers}
            socket = await self._session.ws_connect(
                self._url,
                headers=headers,
                autoping=False,
                max_msg_size=self._max_frame + 1,
                timeout=_timeouts(),
            )
        self.connected = True
        answered: Mapping[str, str] = {} if self._response is None else self._response.headers
        taken = answered.get(RESUME, "")
        return _Answer(
            socket, answered.get(CONNECTION_ID, ""), int(taken) if taken.isdecimal() else None
        )

    async def aclose(self) -> None:
        self._drop()
        await self._session.close()

    def _drop(self) -> None:
        """Free the last socket: aiohttp does not when the peer broke it off."""
        if self._response is not None:
            self._response.close()
            self._response = None

    async def _keep_response(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        self._response = params.response


class _DialledTransport(WebSocketTransport):
    """Dials again when its socket is lost."""

    def __init__(
        self,
        dialler: _Dialler,
        answer: _Answer,
        *,
        max_frame: int,
        keepalive: Keepalive,
        give_up: float,
    ) -> None:
        super().__init__(
            answer.connection_id,
            resumable=bool(answer.connection_id) and answer.taken is not None,
            max_frame=max_frame,
            keepalive=keepalive,
        )
        self._dialler = dialler
        self._first = answer.socket
        self._give_up = give_up
        self._running: asyncio.Task[None] | None = None

    async def open(self, receiver: Receiver) -> None:
        await super().open(receiver)
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        await super().aclose()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))
        # If it was never carried, the server would wait for another socket in its place.
        await self.carry(self._first, await self.release())
        await self._dialler.aclose()

    async def _run(self) -> None:
        try:
            ending: Ending = await self.carry(self._first, await self.release())
            while ending == "lost" and self.resumable and not self.over:
                ending = await self._resume()
        finally:
            self.end()

    async def _resume(self) -> Ending:
        """Go on over a new socket, if the server lets us in time."""
        turn = await self.release()
        log.info("a WebSocket is lost: dialling again")
        try:
            async with asyncio.timeout(self._give_up):
                answer = await self._redial()
        except TimeoutError:
            log.warning("a lost WebSocket could not be replaced within %s s", self._give_up)
            return "over"
        except aiohttp.WSServerHandshakeError as error:
            log.warning("a lost WebSocket cannot be replaced: the server says %s", error.status)
            return "over"
        except DialError as error:
            log.warning("a lost WebSocket is not replaced: %s", error)
            return "over"
        if answer.taken is None or not self.rewind(answer.taken):
            log.warning("a lost WebSocket cannot be replaced: what is missing is not kept any more")
            self.end()
        return await self.carry(answer.socket, turn)

    async def _redial(self) -> _Answer:
        pauses = _pauses()
        while True:
            await asyncio.sleep(next(pauses))
            try:
                return await self._dialler.connect(self.connection_id, self.received)
            except aiohttp.WSServerHandshakeError as error:
                if error.status < 500:  # it is there, and does not know the connection
                    raise
            except (aiohttp.ClientError, OSError):
                continue


def _timeouts() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT)  # pyright: ignore[reportCallIssue]  # ty: ignore[unknown-argument]


def _pauses() -> Iterator[float]:
    """Seconds before each attempt: none, then longer and longer, never in step with others."""
    yield 0.0
    longest = 0.1
    while True:
        yield random.uniform(longest / 2, longest)  # not a secret
        longest = min(longest * 2, _SLOWEST)


def _place(url: str) -> str:
    """The URL without what may be secret in it."""
    scheme, found, rest = url.partition("://")
    rest = rest.partition("?")[0].partition("#")[0]
    return f"{scheme}{found}{rest.rpartition('@')[2]}"


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.WSServerHandshakeError():
            return f"the server answers {error.status} {error.message}"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():  # its text is the URL
            return "this is not the URL of a WebSocket, such as ws://127.0.0.1:8765/acp"
        case aiohttp.ClientConnectorError():
            code = error.os_error.errno
            return os.strerror(code) if code else str(error.os_error)
        case TimeoutError():
            return "it does not answer"
        case _:
            return str(error) or type(error).__name__
