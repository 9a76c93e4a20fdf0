"""The client as an agent of version 1 sees it: updates out, questions out, only what it advertised."""

from __future__ import annotations

from typing import Any, cast

from msgspec import structs

from punie.acp.agent_side.outgoing import Outgoing
from punie.acp.connection import Connection
from punie.acp.methods import BY_NAME, SESSION_UPDATE
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


class ClientProxy(Outgoing):
    """The client, as the agent sees it.

    Attributes:
        capabilities: What the client advertised; nothing before `initialize`.
        info: The client's name and version, when it told.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.capabilities: v1.ClientCapabilities = v1.ClientCapabilities()
        self.info: v1.Implementation | None = None
        self.terminals: set[str] = set()
        """Those that were made for the agent, by id."""

    def greet(self, params: v1.InitializeRequest) -> None:
        """Note what the client said in `initialize` (for the dispatcher)."""
        self.capabilities, self.info = params.client_capabilities, params.client_info

    async def session_update(self, session_id: str, *updates: v1.SessionUpdate) -> None:
        """Tell what happens in a session, in order; waits while the client cannot keep up.

        For a session whose `session/new` is not answered yet it is held back and returns at once.
        Once the client is gone it is thrown away.
        """
        params = [v1.SessionNotification(session_id=session_id, update=one) for one in updates]
        await self.tell(SESSION_UPDATE, session_id, *params)

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
        self.need(self.capabilities.fs.read_text_file, "fs.readTextFile")
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
        self.need(self.capabilities.fs.write_text_file, "fs.writeTextFile")
        params = v1.WriteTextFileRequest(session_id=session_id, path=path, content=content)
        await self.ask(BY_NAME["fs/write_text_file"], session_id, params)

    async def create_terminal(self, params: v1.CreateTerminalRequest) -> TerminalProxy:
        """Run a command in a terminal of the client. Release it in the end.

        Raises:
            CapabilityError: The client has no terminals.
            RequestError: The command cannot be started.
            ConnectionClosedError: The client is gone.
        """
        self.need(self.capabilities.terminal, "terminal")
        answer = await self.ask(BY_NAME["terminal/create"], params.session_id, params)
        self.terminals.add(answer.terminal_id)
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
        self.need(advertised, f"elicitation.{params.mode}")
        return await self.ask(BY_NAME["elicitation/create"], params.session_id, params)

    async def complete_elicitation(self, elicitation_id: str) -> None:
        """Tell that the person is done on the web page.

        Args:
            elicitation_id: The one of the `ElicitationUrlMode`.

        Raises:
            CapabilityError: The client does not open web pages.
        """
        modes = self.capabilities.elicitation
        self.need(modes is not None and modes.url is not None, "elicitation.url")
        done = v1.CompleteElicitationNotification(elicitation_id=elicitation_id)
        await self.notify(BY_NAME["elicitation/complete"], done)
