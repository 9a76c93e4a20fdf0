"""An agent of version 2, as a client of version 1 meets it: the agent, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from punie.acp.agent_side.client_proxy import ClientProxy
from punie.acp.agent_side.outgoing import Outgoing
from punie.acp.errors import ErrorCode, RequestError
from punie.acp.schema import v1, v2
from punie.acp.versions.handshake import initialize_to_v1, initialize_to_v2

if TYPE_CHECKING:
    from punie.acp.agent_side.dual import DualAgent
    from punie.acp.schema.v1 import removed, unstable
    from punie.acp.versions.to_v1 import SessionWriter
    from punie.acp.versions.turns import Turns

T = TypeVar("T")


class _Session(NamedTuple):
    writer: SessionWriter
    turns: Turns


class SpeakerOfV1:
    """Implements `punie.acp.agent_side.dual.Speaker`.

    Args:
        client: The client.
    """

    def __init__(self, client: ClientProxy) -> None:
        self._client = client
        self._sessions: dict[str, _Session] = {}
        self.capabilities: v2.ClientCapabilities = v2.ClientCapabilities()
        self.info: v2.Implementation | None = None

    @property
    def client(self) -> Outgoing:
        """The way to the client."""
        return self._client

    async def session_update(self, session_id: str, update: v2.SessionUpdate) -> None:
        """Tell what happens in a session."""
        session = self.session(session_id)
        if isinstance(update, v2.StateUpdate):
            if session.turns.state(update):
                # The prompts that wait for this run next, and answer before the next update.
                await asyncio.sleep(0)
            return
        message = isinstance(update, v2.UserMessage | v2.UserMessageChunk)
        if message and session.turns.is_own(update):
            return
        await self.send(session_id, session.writer.write(update))

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """Ask a person."""
        from punie.acp.versions.to_v1 import outcome_to_v2

        question = self.session(params.session_id).writer.question(params)
        if not question.request.options:
            return v2.RequestPermissionResponse(outcome=v2.CancelledPermissionOutcome())
        await self.send(params.session_id, question.before)
        try:
            answer = await self._client.request_permission(question.request)
        finally:
            await self.send(params.session_id, question.after)
        return outcome_to_v2(answer)

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        """Ask a person for input."""
        from punie.acp.versions.content import recast

        question = recast(params, v1.CreateElicitationRequest)
        return await self._client.create_elicitation(question)

    async def complete_elicitation(self, elicitation_id: str) -> None:
        """Tell that the person is done on the web page."""
        await self._client.complete_elicitation(elicitation_id)

    async def send(self, session_id: str, updates: Sequence[v1.SessionUpdate]) -> None:
        """Send updates as they are."""
        if updates:
            await self._client.session_update(session_id, *updates)

    def session(self, session_id: str) -> _Session:
        """What is remembered of a session."""
        session = self._sessions.get(session_id)
        if session is None:
            from punie.acp.versions.to_v1 import SessionWriter
            from punie.acp.versions.turns import Turns

            writer = SessionWriter(
                self._client.capabilities, client_terminals=self._client.terminals
            )
            session = self._sessions[session_id] = _Session(writer, Turns())
        return session

    def knows(self, session_id: str) -> bool:
        """Whether a session is open as far as this was told."""
        return session_id in self._sessions

    def forget(self, session_id: str) -> None:
        """A session is closed: its open prompts end as cancelled."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.turns.close()


class AsV1:
    """The methods of `punie.acp.agent_side.Agent`, but for `close`, with an agent of version 2.

    Args:
        agent: The agent.
        speaker: What says to the client what the agent says.
    """

    def __init__(self, agent: DualAgent, speaker: SpeakerOfV1) -> None:
        self._agent = agent
        self._speaker = speaker

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        """Say what the agent can do."""
        said = initialize_to_v2(params)
        self._speaker.capabilities = said.capabilities
        self._speaker.info = None if params.client_info is None else said.info
        return initialize_to_v1(await self._agent.initialize(said))

    async def authenticate(self, params: v1.AuthenticateRequest) -> v1.AuthenticateResponse:
        """Log in."""
        login = self._optional("login", "authenticate")
        answer = await login(v2.LoginAuthRequest(method_id=params.method_id, meta=params.meta))
        return v1.AuthenticateResponse(meta=answer.meta)

    async def logout(self, params: v1.LogoutRequest) -> v1.LogoutResponse:
        """Log out."""
        logout = self._optional("logout", "logout")
        return v1.LogoutResponse(meta=(await logout(v2.LogoutAuthRequest(meta=params.meta))).meta)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session."""
        from punie.acp.versions.sessions import new_session_to_v2

        answer = await self._agent.new_session(new_session_to_v2(params))
        choices = await self._opened(answer.session_id, answer)
        return v1.NewSessionResponse(session_id=answer.session_id, **choices)

    async def load_session(self, params: v1.LoadSessionRequest) -> v1.LoadSessionResponse:
        """Open an old session, with its history."""
        return v1.LoadSessionResponse(**await self._resume(params))

    async def resume_session(self, params: v1.ResumeSessionRequest) -> v1.ResumeSessionResponse:
        """Open an old session, without its history."""
        return v1.ResumeSessionResponse(**await self._resume(params))

    async def fork_session(
        self, params: unstable.ForkSessionRequest
    ) -> unstable.ForkSessionResponse:
        """Open a session that begins with another one's history."""
        from punie.acp.schema.v1 import unstable
        from punie.acp.schema.v2.unstable import ForkSessionRequest
        from punie.acp.versions.sessions import mcp_servers_to_v2

        fork = self._optional("fork_session", "session/fork")
        answer = await fork(
            ForkSessionRequest(
                session_id=params.session_id,
                cwd=params.cwd,
                additional_directories=params.additional_directories,
                mcp_servers=mcp_servers_to_v2(params.mcp_servers),
                meta=params.meta,
            )
        )
        choices = await self._opened(answer.session_id, answer)
        return unstable.ForkSessionResponse(session_id=answer.session_id, **choices)

    async def set_session_title(self, params: Any) -> Any:
        """Rename a session."""
        return await self._unstable("set_session_title", "SetSessionTitle", params)

    async def archive_session(self, params: Any) -> Any:
        """Put a session out of the way."""
        return await self._unstable("archive_session", "ArchiveSession", params)

    async def unarchive_session(self, params: Any) -> Any:
        """Bring a session back."""
        return await self._unstable("unarchive_session", "UnarchiveSession", params)

    async def session_status(self, params: Any) -> Any:
        """Tell whether a session is open or kept."""
        return await self._unstable("session_status", "SessionStatus", params)

    async def list_sessions(self, params: v1.ListSessionsRequest) -> v1.ListSessionsResponse:
        """Name the sessions that can be opened."""
        asked = _recast(params, v2.ListSessionsRequest)
        return _recast(await self._agent.list_sessions(asked), v1.ListSessionsResponse)

    async def close_session(self, params: v1.CloseSessionRequest) -> v1.CloseSessionResponse:
        """Stop a session and free what it holds."""
        answer = await self._agent.close_session(_recast(params, v2.CloseSessionRequest))
        self._speaker.forget(params.session_id)
        return v1.CloseSessionResponse(meta=answer.meta)

    async def delete_session(self, params: v1.DeleteSessionRequest) -> v1.DeleteSessionResponse:
        """Forget a session."""
        delete = self._optional("delete_session", "session/delete")
        answer = await delete(_recast(params, v2.DeleteSessionRequest))
        self._speaker.forget(params.session_id)
        return v1.DeleteSessionResponse(meta=answer.meta)

    async def set_session_mode(self, params: v1.SetSessionModeRequest) -> v1.SetSessionModeResponse:
        """Choose a mode: the value of the config option that has the modes."""
        await self._choose("mode", params.session_id, params.mode_id, method="session/set_mode")
        return v1.SetSessionModeResponse()

    async def set_session_model(
        self, params: removed.SetSessionModelRequest
    ) -> removed.SetSessionModelResponse:
        """Choose a model: the value of the config option that has the models."""
        from punie.acp.schema.v1 import removed

        await self._choose("model", params.session_id, params.model_id, method="session/set_model")
        return removed.SetSessionModelResponse()

    async def set_session_config_option(
        self, params: v1.SetSessionConfigOptionRequest
    ) -> v1.SetSessionConfigOptionResponse:
        """Choose the value of a config option."""
        from punie.acp.versions.config import options_to_v1, set_option_to_v2

        choose = self._optional("set_session_config_option", "session/set_config_option")
        options = (await choose(set_option_to_v2(params))).config_options
        writer = self._speaker.session(params.session_id).writer
        mode = writer.note_options(options)
        if mode is not None:
            update = v1.CurrentModeUpdate(current_mode_id=mode)
            await self._speaker.send(params.session_id, [update])
        complete = options_to_v1(options, booleans=writer.booleans)
        return v1.SetSessionConfigOptionResponse(config_options=complete)

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        """Run a turn to its end."""
        from punie.acp.versions.sessions import prompt_to_v2
        from punie.acp.versions.to_v1 import stop_reason_to_v1

        asked = prompt_to_v2(params)
        turns = self._speaker.session(params.session_id).turns
        try:
            ended = await turns.run(asked, self._agent.prompt(asked))
        except RequestError as error:
            if error.code == ErrorCode.REQUEST_CANCELLED:
                return v1.PromptResponse(stop_reason="cancelled")
            if error.code == ErrorCode.RESOURCE_NOT_FOUND:
                self._speaker.forget(params.session_id)
            raise
        if ended.stop_reason == "error":
            raise _failed(ended.error)
        return v1.PromptResponse(stop_reason=stop_reason_to_v1(ended.stop_reason), meta=ended.meta)

    async def cancel(self, params: v1.CancelNotification) -> None:
        """Stop the session's turn."""
        await self._agent.cancel(
            v2.CancelSessionNotification(session_id=params.session_id, meta=params.meta)
        )

    async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
        """Serve an extension."""
        return await self._optional("ext_method", method)(method, params)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        """Hear of an extension."""
        listener = getattr(self._agent, "ext_notification", None)
        if listener is not None:
            await listener(method, params)

    async def _resume(
        self, params: v1.LoadSessionRequest | v1.ResumeSessionRequest
    ) -> dict[str, Any]:
        from punie.acp.versions.sessions import resume_session_to_v2

        answer = await self._agent.resume_session(resume_session_to_v2(params))
        return await self._opened(params.session_id, answer)

    async def _opened(self, session_id: str, answer: Any) -> dict[str, Any]:
        """Note and tell what the agent says of an open session; the fields of the answer."""
        from punie.acp.versions.sessions import choices_to_v1
        from punie.acp.versions.to_v1 import commands_to_v1

        writer = self._speaker.session(session_id).writer
        writer.note_options(answer.config_options)
        if answer.available_commands:
            await self._speaker.send(session_id, [commands_to_v1(answer.available_commands)])
        choices = choices_to_v1(answer.config_options, booleans=writer.booleans)
        return choices | {"meta": answer.meta}

    async def _choose(self, category: str, session_id: str, value: str, *, method: str) -> None:
        from punie.acp.versions.config import of_category, options_to_v1

        choose = self._optional("set_session_config_option", method)
        if not self._speaker.knows(session_id):
            raise RequestError.session_not_found(session_id)
        writer = self._speaker.session(session_id).writer
        option = of_category(writer.options, category)
        if option is None:
            raise RequestError.method_not_found(method)
        before = writer.options
        request = v2.SetSessionConfigOptionRequest(
            session_id=session_id, config_id=option.config_id, type="id", value=value
        )
        options = (await choose(request)).config_options
        if options != before:
            writer.note_options(options)
            complete = options_to_v1(options, booleans=writer.booleans)
            update = v1.ConfigOptionUpdate(config_options=complete)
            await self._speaker.send(session_id, [update])

    async def _unstable(self, attribute: str, stem: str, params: Any) -> Any:
        """Serve what is not stable in either version, and says the same in both."""
        older = import_module("punie.acp.schema.v1.unstable")
        newer = import_module("punie.acp.schema.v2.unstable")
        handler = self._optional(attribute, attribute)
        answer = await handler(_recast(params, getattr(newer, f"{stem}Request")))
        return _recast(answer, getattr(older, f"{stem}Response"))

    def _optional(self, attribute: str, method: str) -> Callable[..., Any]:
        handler = getattr(self._agent, attribute, None)
        if handler is None:
            raise RequestError.method_not_found(method)
        return handler


def _recast(value: Any, to: type[T]) -> T:
    from punie.acp.versions.content import recast

    return recast(value, to)


def _failed(error: v2.Error | None) -> RequestError:
    if error is None:
        return RequestError(ErrorCode.INTERNAL_ERROR, "the turn failed")
    return RequestError(error.code, error.message, error.data)
