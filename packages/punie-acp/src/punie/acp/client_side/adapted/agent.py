"""What a client that is shaped like version 2 asks of an agent of version 1."""

from __future__ import annotations

from typing import Any

from punie.acp.client_side.adapted.sessions import Sessions
from punie.acp.client_side.needs import need
from punie.acp.connection import Connection
from punie.acp.methods import BY_NAME
from punie.acp.schema import v1, v2
from punie.acp.versions.content import content_to_v1, recast
from punie.acp.versions.hello import servers_to_v1


class AdaptedAgent:
    """Asks an agent of version 1 what is said in the words of version 2.

    Args:
        connection: To the agent.
        sessions: Shared with the `AdaptedClient`.
        capabilities: The agent's own.
    """

    def __init__(
        self, connection: Connection, sessions: Sessions, capabilities: v1.AgentCapabilities
    ) -> None:
        self._connection = connection
        self._sessions = sessions
        self._known = capabilities

    @property
    def lists(self) -> bool:
        """Whether it lists sessions."""
        return self._known.session_capabilities.list is not None

    @property
    def replays(self) -> bool:
        """Whether it opens old sessions with their history."""
        return self._known.load_session

    @property
    def resumes(self) -> bool:
        """Whether it opens old sessions."""
        return self.replays or self._known.session_capabilities.resume is not None

    async def login(self, params: v2.LoginAuthRequest) -> v2.LoginAuthResponse:
        """`authenticate`."""
        old = v1.AuthenticateRequest(method_id=params.method_id, meta=params.meta)
        answer = await self._ask("authenticate", old)
        return v2.LoginAuthResponse(meta=answer.meta)

    async def logout(self, params: v2.LogoutAuthRequest) -> v2.LogoutAuthResponse:
        """`logout`, which such an agent need not have."""
        need(self._known.auth.logout is not None, "auth.logout")
        answer = await self._ask("logout", v1.LogoutRequest(meta=params.meta))
        return v2.LogoutAuthResponse(meta=answer.meta)

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        """`session/new`."""
        old = v1.NewSessionRequest(**_place(params))
        options: list[v2.SessionConfigOption] = []

        def opened(answer: v1.NewSessionResponse) -> None:
            session = self._sessions.of(answer.session_id)
            options[:] = session.to_v2.configure(answer.modes, answer.config_options)

        answer = await self._ask("session/new", old, answered=opened)
        return v2.NewSessionResponse(
            session_id=answer.session_id, config_options=options, meta=answer.meta
        )

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        """`session/load` for a history, else `session/resume`, or a load that nobody sees."""
        session = self._sessions.of(params.session_id)
        options: list[v2.SessionConfigOption] = []

        def opened(answer: v1.LoadSessionResponse | v1.ResumeSessionResponse) -> None:
            session.muted = False
            session.to_v2.end_message()
            options[:] = session.to_v2.configure(answer.modes, answer.config_options)

        place: dict[str, Any] = _place(params) | {"session_id": params.session_id}
        try:
            if params.replay_from is None and self._known.session_capabilities.resume is not None:
                old = v1.ResumeSessionRequest(**place)
                answer = await self._ask("session/resume", old, answered=opened)
            else:
                session.muted = params.replay_from is None
                old = v1.LoadSessionRequest(**place)
                answer = await self._ask("session/load", old, answered=opened)
        finally:
            session.muted = False
        return v2.ResumeSessionResponse(config_options=options, meta=answer.meta)

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        """`session/list`."""
        old = v1.ListSessionsRequest(cwd=params.cwd, cursor=params.cursor, meta=params.meta)
        return recast(await self._ask("session/list", old), v2.ListSessionsResponse)

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        """`session/close`, or `session/cancel` where there is none."""
        if self._known.session_capabilities.close is None:
            cancel = v1.CancelNotification(session_id=params.session_id)
            self._connection.notify(BY_NAME["session/cancel"], cancel)
            await self._connection.drain()
        else:
            await self._ask("session/close", v1.CloseSessionRequest(session_id=params.session_id))
        self._sessions.forget(params.session_id)
        return v2.CloseSessionResponse()

    async def delete_session(self, params: v2.DeleteSessionRequest) -> v2.DeleteSessionResponse:
        """`session/delete`."""
        await self._ask("session/delete", v1.DeleteSessionRequest(session_id=params.session_id))
        self._sessions.forget(params.session_id)
        return v2.DeleteSessionResponse()

    async def set_session_config_option(
        self, params: v2.SetSessionConfigOptionRequest
    ) -> v2.SetSessionConfigOptionResponse:
        """`session/set_config_option`, or `session/set_mode` for the option made of the modes."""
        to_v2 = self._sessions.of(params.session_id).to_v2
        options: list[v2.SessionConfigOption] = []
        if to_v2.is_mode_option(params.config_id):
            mode = v1.SetSessionModeRequest(session_id=params.session_id, mode_id=str(params.value))

            def changed(_: v1.SetSessionModeResponse) -> None:
                options[:] = to_v2.set_mode(mode.mode_id)

            await self._ask("session/set_mode", mode, answered=changed)
        else:
            choice = v1.SetSessionConfigOptionRequest(
                session_id=params.session_id,
                config_id=params.config_id,
                value=params.value,
                type="boolean" if params.type == "boolean" else None,
            )

            def chosen(answer: v1.SetSessionConfigOptionResponse) -> None:
                options[:] = to_v2.set_options(answer.config_options)

            await self._ask("session/set_config_option", choice, answered=chosen)
        return v2.SetSessionConfigOptionResponse(config_options=options)

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        """`session/prompt`: taken once it is sent; its answer is the end of the turn."""
        session = self._sessions.of(params.session_id)
        for block in params.prompt:
            need(not isinstance(block, v2.UnknownVariant), "content of a kind of one's own")
        blocks = [content_to_v1(block) for block in params.prompt]
        old = v1.PromptRequest(session_id=params.session_id, prompt=blocks, meta=params.meta)
        message = v2.UserMessage(
            message_id=session.to_v2.new_message_id(), content=list(params.prompt)
        )
        self._connection.post(
            BY_NAME["session/prompt"], old, lambda answer: self._sessions.end(session, answer)
        )
        self._connection.deliver(lambda: self._sessions.begin(session, message))
        await self._connection.drain()
        return v2.PromptResponse(message_id=message.message_id)

    async def _ask(self, name: str, params: Any, **more: Any) -> Any:
        return await self._connection.request(BY_NAME[name], params, **more)


def _place(params: v2.NewSessionRequest | v2.ResumeSessionRequest) -> dict[str, Any]:
    return {
        "cwd": params.cwd,
        "mcp_servers": servers_to_v1(params.mcp_servers),
        "additional_directories": params.additional_directories,
        "meta": params.meta,
    }
