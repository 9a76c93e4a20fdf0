"""The client, as an agent sees it: updates out, questions out, only what it advertised.

Sessions that the client cannot know yet are held back here: frames about a session wait until its
`session/new` was answered.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from msgspec import structs

from punie.acp import jsonrpc
from punie.acp.connection import Connection
from punie.acp.errors import CapabilityError, SessionNotOpenError
from punie.acp.methods import BY_NAME, SESSION_UPDATE, Method, extension
from punie.acp.schema import v1


class TerminalProxy:
    """A terminal of the client. Must be released."""

    def __init__(self, client: ClientProxy, session_id: str, terminal_id: str) -> None:
        self._client = client
        self._session_id = session_id
        self.id = terminal_id

    async def output(self) -> v1.TerminalOutputResponse:
        """What was printed so far."""
        return await self._ask("terminal/output")

    async def wait_for_exit(self) -> v1.WaitForTerminalExitResponse:
        """Wait for the command to end."""
        return await self._ask("terminal/wait_for_exit")

    async def kill(self) -> None:
        """End the command; its output stays readable."""
        await self._ask("terminal/kill")

    async def release(self) -> None:
        """End the command if it still runs, and forget the terminal."""
        await self._ask("terminal/release")

    async def _ask(self, name: str) -> Any:
        method = BY_NAME[name]
        params = method.params(session_id=self._session_id, terminal_id=self.id)
        return await self._client.ask(method, self._session_id, params)


class ClientProxy:
    """The client, as the agent sees it.

    Attributes:
        capabilities: What the client advertised; nothing before `initialize`.
        info: The client's name and version, when it told.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: set[str] = set()
        self._held: dict[str, list[bytes]] = {}
        self._opening: set[asyncio.Task[Any]] = set()
        self.capabilities: v1.ClientCapabilities = v1.ClientCapabilities()
        self.info: v1.Implementation | None = None

    async def session_update(self, session_id: str, update: v1.SessionUpdate) -> None:
        """Tell what happens in a session, in order; waits while the client cannot keep up.

        For a session whose `session/new` is not answered yet it is held back and returns at once.
        Once the client is gone it is thrown away.
        """
        notification = v1.SessionNotification(session_id=session_id, update=update)
        frame = jsonrpc.encode_notification(SESSION_UPDATE.name, notification)
        if session_id in self._open:
            self._connection.send(frame)
            await self._connection.drain()
        else:
            self._held.setdefault(session_id, []).append(frame)

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        """Ask a person; waits as long as they need.

        Raises:
            RequestError: The client refused to ask.
            ConnectionClosedError: The client is gone.
        """
        if isinstance(params.tool_call, v1.ToolCallUpdate):
            fields = structs.asdict(params.tool_call)
            params = structs.replace(params, tool_call=v1.ToolCallPatch(**fields))
        return await self.ask(BY_NAME["session/request_permission"], params.session_id, params)

    async def read_text_file(
        self, session_id: str, path: str, *, line: int | None = None, limit: int | None = None
    ) -> str:
        """Read a file through the editor, with its unsaved changes.

        Args:
            session_id: Whose workspace.
            path: Absolute.
            line: First line, from 1.
            limit: Lines at most.

        Raises:
            CapabilityError: The client does not serve files.
            RequestError: It cannot be read.
            ConnectionClosedError: The client is gone.
        """
        self._need(self.capabilities.fs.read_text_file, "fs.readTextFile")
        params = v1.ReadTextFileRequest(session_id=session_id, path=path, line=line, limit=limit)
        answer = await self.ask(BY_NAME["fs/read_text_file"], session_id, params)
        return cast("v1.ReadTextFileResponse", answer).content

    async def write_text_file(self, session_id: str, path: str, content: str) -> None:
        """Write a file through the editor.

        Args:
            session_id: Whose workspace.
            path: Absolute.
            content: The whole new text.

        Raises:
            CapabilityError: The client does not serve files.
            RequestError: It cannot be written.
            ConnectionClosedError: The client is gone.
        """
        self._need(self.capabilities.fs.write_text_file, "fs.writeTextFile")
        params = v1.WriteTextFileRequest(session_id=session_id, path=path, content=content)
        await self.ask(BY_NAME["fs/write_text_file"], session_id, params)

    async def create_terminal(self, params: v1.CreateTerminalRequest) -> TerminalProxy:
        """Run a command in a terminal of the client. Release it in the end.

        Raises:
            CapabilityError: The client has no terminals.
            RequestError: The command cannot be started.
            ConnectionClosedError: The client is gone.
        """
        self._need(self.capabilities.terminal, "terminal")
        answer = await self.ask(BY_NAME["terminal/create"], params.session_id, params)
        return TerminalProxy(self, params.session_id, answer.terminal_id)

    async def create_elicitation(
        self, params: v1.CreateElicitationRequest
    ) -> v1.CreateElicitationResponse:
        """Ask a person for input, by a form or on a web page; waits as long as they need.

        Args:
            params: An `ElicitationFormMode` or an `ElicitationUrlMode`.

        Raises:
            CapabilityError: The client does not serve this mode.
            RequestError: The client refused to ask.
            ConnectionClosedError: The client is gone.
        """
        modes = self.capabilities.elicitation
        advertised = getattr(modes, params.mode, None) is not None
        self._need(advertised, f"elicitation.{params.mode}")
        method = BY_NAME["elicitation/create"]
        if params.session_id is None:
            return await self._connection.request(method, params)
        return await self.ask(method, params.session_id, params)

    async def complete_elicitation(self, elicitation_id: str) -> None:
        """Tell that the person is done on the web page.

        Args:
            elicitation_id: The one of the `ElicitationUrlMode`.

        Raises:
            CapabilityError: The client does not open web pages.
        """
        modes = self.capabilities.elicitation
        self._need(modes is not None and modes.url is not None, "elicitation.url")
        done = v1.CompleteElicitationNotification(elicitation_id=elicitation_id)
        self._connection.notify(BY_NAME["elicitation/complete"], done)
        await self._connection.drain()

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
        self._connection.notify(extension(method, "notification"), params or {})
        await self._connection.drain()

    async def ask(self, method: Method, session_id: str, params: Any) -> Any:
        """Send a request about a session, once the client knows the session.

        Raises:
            SessionNotOpenError: Asked from within `new_session`, which would wait for itself.
            RequestError: The client answered with an error.
            ConnectionClosedError: The client is gone.
        """
        if session_id not in self._open and asyncio.current_task() in self._opening:
            raise SessionNotOpenError(session_id)

        def send(frame: bytes) -> None:
            if session_id in self._open:
                self._connection.send(frame)
            else:
                self._held.setdefault(session_id, []).append(frame)

        return await self._connection.request(method, params, send=send)

    def mark_opening(self, task: asyncio.Task[Any]) -> None:
        """Note that a task runs `session/new` (for the dispatcher)."""
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def mark_open(self, session_id: str) -> None:
        """Note that the client knows a session, and send what was held (for the dispatcher)."""
        self._open.add(session_id)
        for frame in self._held.pop(session_id, ()):
            self._connection.send(frame)

    def _need(self, advertised: bool, capability: str) -> None:
        if not advertised:
            raise CapabilityError(capability)
