"""What an agent sends, held back until the client can make sense of it.

Frames about a session wait until the answer that announces the session is on its way. Nothing here
knows a protocol version.
"""

from __future__ import annotations

import asyncio
from typing import Any

from punie.acp import jsonrpc
from punie.acp.connection import Connection
from punie.acp.errors import CapabilityError, SessionNotOpenError
from punie.acp.methods import Method, extension


class Outgoing:
    """The way to one client; base of the proxies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: set[str] = set()
        self._held: dict[str, list[bytes]] = {}
        self._opening: set[asyncio.Task[Any]] = set()

    def greet(self, params: Any) -> None:
        """Note what the client said in `initialize` (for the dispatcher)."""
        raise NotImplementedError

    async def ext_method(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Call a method of an extension.

        Args:
            method: As on the wire, with its leading `_`.
            params: What it takes; nothing by default.

        Raises:
            ValueError: The name does not begin with `_`.
            RequestError: The client answered with an error.
            ConnectionClosedError: The client is gone.
        """
        return await self._connection.request(extension(method, "request"), params or {})

    async def ext_notification(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification of an extension; the arguments are those of `ext_method`."""
        await self.notify(extension(method, "notification"), params or {})

    async def tell(self, method: Method, session_id: str, *params: Any) -> None:
        """Send notifications about a session, in one go; waits while the client cannot keep up.

        For a session that the client does not know yet they are held back and this returns at once.
        Once the client is gone they are thrown away.
        """
        for one in params:
            self._send(session_id, jsonrpc.encode_notification(method.name, one))
        if session_id in self._open:
            await self._connection.drain()

    async def notify(self, method: Method, params: Any) -> None:
        """Send a notification about no session."""
        self._connection.notify(method, params)
        await self._connection.drain()

    async def ask(self, method: Method, session_id: str | None, params: Any) -> Any:
        """Send a request; one about a session once the client knows the session.

        Raises:
            SessionNotOpenError: Asked from within `new_session`, which would wait for itself.
            RequestError: The client answered with an error.
            ConnectionClosedError: The client is gone.
        """
        if session_id is None:
            return await self._connection.request(method, params)
        if session_id not in self._open and asyncio.current_task() in self._opening:
            raise SessionNotOpenError(session_id)
        return await self._connection.request(
            method, params, send=lambda frame: self._send(session_id, frame)
        )

    def need(self, advertised: bool, capability: str) -> None:
        """Refuse what the client did not advertise.

        Raises:
            CapabilityError: It did not.
        """
        if not advertised:
            raise CapabilityError(capability)

    def mark_opening(self) -> None:
        """Note that the task that runs opens a session (for the dispatcher)."""
        task = asyncio.current_task()
        assert task is not None
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def mark_open(self, session_id: str) -> None:
        """Note that the client knows a session, and send what was held (for the dispatcher)."""
        self._open.add(session_id)
        for frame in self._held.pop(session_id, ()):
            self._connection.send(frame)

    def _send(self, session_id: str, frame: bytes) -> None:
        if session_id in self._open:
            self._connection.send(frame)
        else:
            self._held.setdefault(session_id, []).append(frame)
