"""What an agent of version 1 asks of a client that is shaped like version 2."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from punie.acp.client_side.adapted.sessions import Sessions
from punie.acp.client_side.questions import Questions
from punie.acp.errors import RequestError
from punie.acp.schema import v1, v2
from punie.acp.versions.content import recast
from punie.acp.versions.elicitation import elicitation_to_v2


class AdaptedClient:
    """Serves an agent of version 1 with a client that is shaped like version 2.

    It implements `punie.acp.client_side.Client`; methods that are not here are the client's own.

    Args:
        sessions: Shared with the `AdaptedAgent`.
        client: A `DualClient`, with its open permission requests.
    """

    def __init__(self, sessions: Sessions, client: Questions[v2.RequestPermissionResponse]) -> None:
        self._sessions = sessions
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def session_update(self, params: v1.SessionNotification) -> None:
        """Translate an update."""
        session = self._sessions.of(params.session_id)
        if session.lets_pass(params.update):
            await self._sessions.tell(session, session.to_v2.update(params.update))

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        """Ask the person; the session requires action meanwhile."""
        session = self._sessions.of(params.session_id)
        async with self._sessions.waiting_for_a_person(session):
            response = await self._client.request_permission(session.to_v2.permission(params))
        if isinstance(response.outcome, v2.SelectedPermissionOutcome):
            chosen = v1.SelectedPermissionOutcome(option_id=response.outcome.option_id)
            return v1.RequestPermissionResponse(outcome=chosen, meta=response.meta)
        return v1.RequestPermissionResponse(outcome=v1.CancelledPermissionOutcome())

    async def create_elicitation(
        self, params: v1.CreateElicitationRequest
    ) -> v1.CreateElicitationResponse:
        """Ask the person; the session requires action meanwhile."""
        ask = self._own("create_elicitation", "elicitation/create")
        question = elicitation_to_v2(params)
        if params.session_id is None:
            answer = await ask(question)
        else:
            session = self._sessions.of(params.session_id)
            async with self._sessions.waiting_for_a_person(session):
                answer = await ask(question)
        return recast(answer, v1.CreateElicitationResponse)

    async def complete_elicitation(self, params: v1.CompleteElicitationNotification) -> None:
        """Pass it on."""
        heard = getattr(self._client, "complete_elicitation", None)
        if heard is not None:
            await heard(recast(params, v2.CompleteElicitationNotification))

    async def create_terminal(self, params: v1.CreateTerminalRequest) -> v1.CreateTerminalResponse:
        """Run a command in the client's terminal, and tell of it."""
        response = await self._own("create_terminal", "terminal/create")(params)
        update = v2.TerminalUpdate(
            terminal_id=response.terminal_id, command=" ".join([params.command, *params.args])
        )
        if params.cwd is not None:
            update = v2.TerminalUpdate(
                terminal_id=update.terminal_id, command=update.command, cwd=params.cwd
            )
        self._sessions.deliver(self._sessions.of(params.session_id), update)
        return response

    async def terminal_output(self, params: v1.TerminalOutputRequest) -> v1.TerminalOutputResponse:
        """Read what a command printed, and tell of it."""
        response = await self._own("terminal_output", "terminal/output")(params)
        printed = v2.TerminalOutput(data=b64encode(response.output.encode()).decode())
        update = v2.TerminalUpdate(terminal_id=params.terminal_id, output=printed)
        self._sessions.deliver(self._sessions.of(params.session_id), update)
        if response.exit_status is not None:
            self._exited(params, response.exit_status)
        return response

    async def wait_for_terminal_exit(
        self, params: v1.WaitForTerminalExitRequest
    ) -> v1.WaitForTerminalExitResponse:
        """Wait for a command, and tell how it ended."""
        response = await self._own("wait_for_terminal_exit", "terminal/wait_for_exit")(params)
        self._exited(params, response)
        return response

    def _exited(
        self,
        params: v1.TerminalOutputRequest | v1.WaitForTerminalExitRequest,
        status: v1.TerminalExitStatus | v1.WaitForTerminalExitResponse,
    ) -> None:
        ended = v2.TerminalExitStatus(exit_code=status.exit_code, signal=status.signal)
        update = v2.TerminalUpdate(terminal_id=params.terminal_id, exit_status=ended)
        self._sessions.deliver(self._sessions.of(params.session_id), update)

    def _own(self, attribute: str, method: str) -> Any:
        own = getattr(self._client, attribute, None)
        if own is None:
            raise RequestError.method_not_found(method)
        return own
