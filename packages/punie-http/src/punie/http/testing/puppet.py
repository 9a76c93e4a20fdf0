"""An agent on strings: a real peer of protocol version 2 that does what a test tells it.

It has sessions from the beginning, as an agent has that an IDE started, and keeps their history for
whoever joins. It is no part of Punie's agent and knows no client library, so that the hub is tried
against the protocol and not against itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from punie.acp.transports.base import Transport

OPTIONS: list[dict[str, str]] = [
    {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
]


class Puppet:
    """An agent for one client.

    Args:
        transport: To the client.
        cwd: The folder of its sessions.
        on_prompt: Called with the session's id and the text of a prompt that was taken.

    Attributes:
        histories: The updates of each session, by its id.
        joined: For each session, set when the client has joined or opened it.
        listed: Set when the client has asked which sessions there are.
        gone: Set when the client is gone.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        cwd: str = "/project",
        on_prompt: Callable[[str, str], None] = lambda session_id, text: None,
    ) -> None:
        self.histories: dict[str, list[dict[str, Any]]] = {}
        self.gone = asyncio.Event()
        self.listed = asyncio.Event()
        self.joined: dict[str, asyncio.Event] = {}
        self._transport = transport
        self._cwd = cwd
        self._on_prompt = on_prompt
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0

    async def start(self, *sessions: str) -> None:
        """Begin to serve.

        Args:
            sessions: Ids of sessions that are open already.
        """
        for session_id in sessions:
            self._add(session_id)
        await self._transport.open(self)

    async def aclose(self) -> None:
        """Go away."""
        await self._transport.aclose()

    async def drain(self) -> None:
        """Wait until the client takes more."""
        await self._transport.drain()

    # What a test makes it do

    def tell(self, session_id: str, **update: Any) -> None:
        """Keep an update, as it is on the wire, and send it when the client has the session."""
        self.histories[session_id].append(update)
        if self.joined[session_id].is_set():
            self._update(session_id, update)

    def say(self, session_id: str, text: str, *, message_id: str = "m1") -> None:
        """Send a piece of an answer."""
        content = {"type": "text", "text": text}
        self.tell(
            session_id, sessionUpdate="agent_message_chunk", messageId=message_id, content=content
        )

    def become(self, session_id: str, state: str, **more: Any) -> None:
        """Send what the session is doing."""
        self.tell(session_id, sessionUpdate="state_update", state=state, **more)

    async def ask(self, session_id: str, title: str = "May I?", **more: Any) -> Any:
        """Ask for permission; cancelling takes the question back.

        Returns:
            The outcome, as it is on the wire.
        """
        params = {"sessionId": session_id, "title": title, "options": OPTIONS, **more}
        return (await self.request("session/request_permission", params))["outcome"]

    async def request(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the client anything."""
        self._last_id += 1
        request_id = self._last_id
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = future
        self._send(id=request_id, method=method, params=params)
        try:
            return await future
        except asyncio.CancelledError:
            self._send(method="$/cancel_request", params={"requestId": request_id})
            raise
        finally:
            del self._pending[request_id]

    def open(self, session_id: str, *, title: str | None = None) -> None:
        """Announce a session that was opened elsewhere."""
        self._add(session_id)
        told = {"sessionId": session_id, "cwd": self._cwd, "title": title}
        self._send(method="_punie/session_opened", params=told)

    def close(self, session_id: str) -> None:
        """Announce that a session is over."""
        del self.histories[session_id]
        self._send(method="_punie/session_closed", params={"sessionId": session_id})

    # What the client makes it do

    def frame_received(self, frame: bytes) -> None:
        """Serve a message (see `punie.acp.transports.base.Receiver`)."""
        message = msgspec.json.decode(frame)
        method = message.get("method")
        if method == "session/cancel":
            self.become(message["params"]["sessionId"], "idle", stopReason="cancelled")
            return
        if method is None:
            future = self._pending.get(message["id"])
            if future is not None and not future.done():
                future.set_result(message.get("result"))
        elif "id" in message:
            self._send(id=message["id"], result=self._serve(method, message.get("params") or {}))

    def frame_dropped(self, size: int) -> None:
        """No client of these tests sends anything too long."""
        raise AssertionError(f"a frame of {size} bytes was dropped")

    def ended(self) -> None:
        """The client is gone."""
        self.gone.set()

    def _serve(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        session_id = params.get("sessionId", "")
        match method:
            case "initialize":
                info = {"name": "puppet", "version": "1"}
                return {"protocolVersion": 2, "info": info, "capabilities": {"session": {}}}
            case "session/list":
                told = [{"sessionId": one, "cwd": self._cwd} for one in self.histories]
                self.listed.set()
                return {"sessions": told}
            case "session/resume":
                for update in self.histories[session_id] if "replayFrom" in params else ():
                    self._update(session_id, update)
                self.joined[session_id].set()
            case "session/new":
                session_id = f"new-{len(self.histories) + 1}"
                self._add(session_id)
                self.joined[session_id].set()
                return {"sessionId": session_id}
            case "session/prompt":
                text = "".join(block.get("text", "") for block in params["prompt"])
                asyncio.get_running_loop().call_soon(self._on_prompt, session_id, text)
                return {"messageId": f"u{len(self.histories[session_id])}"}
            case _:
                pass
        return {}

    def _add(self, session_id: str) -> None:
        self.histories[session_id] = []
        self.joined[session_id] = asyncio.Event()

    def _update(self, session_id: str, update: dict[str, Any]) -> None:
        self._send(method="session/update", params={"sessionId": session_id, "update": update})

    def _send(self, **message: Any) -> None:
        self._transport.send(msgspec.json.encode({"jsonrpc": "2.0", **message}))
