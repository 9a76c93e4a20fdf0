"""Punie for an ACP client, protocol version 1: sessions, prompts, modes, permissions.

Everything up to the answer of `initialize` loads the protocol and nothing else; sessions come with
the first `session/new`, and the model stack after its answer, in the background. Sessions live as
long as the process: loading old ones is not advertised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from punie.acp.agent_side import ClientProxy
from punie.acp.errors import ErrorCode, RequestError
from punie.acp.schema import v1

if TYPE_CHECKING:
    from punie.agent.permissions.policy import Mode
    from punie.agent.sessions.brain import SessionWorkspace
    from punie.agent.sessions.manager import Sessions
    from punie.agent.sessions.session import Session

log = logging.getLogger(__name__)

PROTOCOL_VERSION = 1
NO_LOGIN = "none"
"""The id of the one way to log in, which asks for nothing."""
WARM_UP_AFTER = 0.05
"""Seconds from `session/new` until the model stack loads: the answer goes out first."""
MODE_OPTION = "mode"


class Host(Protocol):
    """What opens sessions: `punie.agent.runtime.Runtime`."""

    @property
    def sessions(self) -> Sessions:
        """The open ones."""
        ...

    def open_session(
        self,
        cwd: Path,
        *,
        session_id: str | None = None,
        mode: Mode | None = None,
        workspace: SessionWorkspace | None = None,
    ) -> Session:
        """Begin one."""
        ...

    async def warm(self, cwd: Path) -> None:
        """Open its model before the first prompt."""
        ...

    async def aclose(self) -> None:
        """End all of them."""
        ...


class PunieAgent:
    """One client's agent; implements `punie.acp.agent_side.Agent`."""

    def __init__(self, client: ClientProxy, open_host: Callable[[], Host]) -> None:
        """Begin.

        Args:
            client: The client.
            open_host: Called by the first `session/new`.
        """
        self._client = client
        self._open_host = open_host
        self._host: Host | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        """Say what Punie can do; only what works is advertised."""
        return v1.InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_capabilities=v1.AgentCapabilities(
                prompt_capabilities=v1.PromptCapabilities(embedded_context=True),
            ),
            auth_methods=[
                v1.AuthMethodAgent(
                    id=NO_LOGIN,
                    name="No login needed",
                    description="Punie uses the models of this machine.",
                )
            ],
            agent_info=v1.Implementation(
                name="punie", title="Punie", version=version("punie-agent")
            ),
        )

    async def authenticate(self, params: v1.AuthenticateRequest) -> v1.AuthenticateResponse:
        """Accept: there is nothing to prove."""
        if params.method_id != NO_LOGIN:
            raise RequestError.invalid_params("unknown method", path="$.methodId")
        return v1.AuthenticateResponse()

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session in a folder."""
        cwd = Path(params.cwd)
        if not cwd.is_absolute() or not await asyncio.to_thread(cwd.is_dir):
            raise RequestError.invalid_params("must be an absolute, existing folder", path="$.cwd")
        if params.mcp_servers:
            log.warning("MCP servers are not supported yet and are left out")
        session = self._open(cwd)
        asyncio.get_running_loop().call_later(WARM_UP_AFTER, self._warm_up, cwd)
        return v1.NewSessionResponse(
            session_id=session.id, modes=_modes(session), config_options=_config_options(session)
        )

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        """Run a turn; its updates are on the wire before this returns."""
        from punie.agent.acp.content import prompt_text

        session = self._session(params.session_id)
        outcome = await session.prompt(prompt_text(params.prompt, root=session.workspace.root))
        if outcome.stop_reason == "error":
            raise RequestError(ErrorCode.INTERNAL_ERROR, outcome.error, {"message": outcome.error})
        return v1.PromptResponse(stop_reason=outcome.stop_reason)

    async def cancel(self, params: v1.CancelNotification) -> None:
        """Stop a session's turn."""
        self._session(params.session_id).cancel()

    async def set_session_mode(self, params: v1.SetSessionModeRequest) -> v1.SetSessionModeResponse:
        """Change the mode."""
        session = self._session(params.session_id)
        if self._set_mode(session, params.mode_id, path="$.modeId"):
            options = v1.ConfigOptionUpdate(config_options=_config_options(session))
            await self._client.session_update(session.id, options)
        return v1.SetSessionModeResponse()

    async def set_session_config_option(
        self, params: v1.SetSessionConfigOptionRequest
    ) -> v1.SetSessionConfigOptionResponse:
        """Change the mode, the newer way."""
        session = self._session(params.session_id)
        if params.config_id != MODE_OPTION:
            raise RequestError.invalid_params("unknown option", path="$.configId")
        if self._set_mode(session, params.value, path="$.value"):
            mode = v1.CurrentModeUpdate(current_mode_id=session.mode)
            await self._client.session_update(session.id, mode)
        return v1.SetSessionConfigOptionResponse(config_options=_config_options(session))

    async def close(self) -> None:
        """End every turn and what it started."""
        for task in self._background:
            task.cancel()
        if self._host is not None:
            await self._host.aclose()

    def _open(self, cwd: Path) -> Session:
        from punie.agent.acp.reader import attach
        from punie.agent.errors import PunieError
        from punie.agent.sessions.manager import new_session_id
        from punie.agent.workspaces.acp import AcpWorkspace
        from punie.agent.workspaces.local import LocalWorkspace

        if self._host is None:
            self._host = self._open_host()
        session_id = new_session_id()
        workspace = AcpWorkspace(self._client, session_id, LocalWorkspace(cwd))
        try:
            session = self._host.open_session(cwd, session_id=session_id, workspace=workspace)
        except PunieError as error:
            message = str(error)
            raise RequestError(ErrorCode.INTERNAL_ERROR, message, {"message": message}) from error
        attach(session, self._client)
        return session

    def _session(self, session_id: str) -> Session:
        if self._host is None:
            raise RequestError.session_not_found(session_id)
        try:
            return self._host.sessions.get(session_id)
        except LookupError:
            raise RequestError.session_not_found(session_id) from None

    def _set_mode(self, session: Session, mode: Any, *, path: str) -> bool:
        from punie.agent.permissions.policy import MODES

        if mode not in MODES:
            raise RequestError.invalid_params(f"must be one of {', '.join(MODES)}", path=path)
        changed = session.mode != mode
        session.mode = mode
        return changed

    def _warm_up(self, cwd: Path) -> None:
        host = self._host
        if host is None:
            return
        task = asyncio.get_running_loop().create_task(_warm(host, cwd))
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _warm(host: Host, cwd: Path) -> None:
    from punie.agent.errors import PunieError

    try:
        await host.warm(cwd)
    except PunieError as error:
        log.info("the model could not be opened ahead of time: %s", error)


def _modes(session: Session) -> v1.SessionModeState:
    from punie.agent.permissions.policy import MODE_DESCRIPTIONS

    return v1.SessionModeState(
        current_mode_id=session.mode,
        available_modes=[
            v1.SessionMode(id=mode, name=_name(mode), description=description)
            for mode, description in MODE_DESCRIPTIONS.items()
        ],
    )


def _config_options(session: Session) -> list[v1.SessionConfigOption]:
    from punie.agent.permissions.policy import MODE_DESCRIPTIONS

    return [
        v1.SessionConfigSelect(
            id=MODE_OPTION,
            name="Mode",
            category="mode",
            current_value=session.mode,
            options=[
                v1.SessionConfigSelectOption(value=mode, name=_name(mode), description=description)
                for mode, description in MODE_DESCRIPTIONS.items()
            ],
        )
    ]


def _name(mode: str) -> str:
    return mode.replace("-", " ").capitalize()
