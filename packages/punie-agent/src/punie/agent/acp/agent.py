"""Punie for an ACP client of either protocol version: sessions, prompts, permissions.

Everything up to the answer of `initialize` loads the protocol and nothing else; sessions come with
the first `session/new`, and the model stack after its answer, in the background.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from punie.acp.agent_side import DualClientProxy
from punie.acp.errors import ErrorCode, RequestError
from punie.acp.schema import v2
from punie.agent.acp.handshake import NO_LOGIN, introduction

if TYPE_CHECKING:
    from punie.acp.schema.v2.unstable import ForkSessionRequest, ForkSessionResponse
    from punie.agent.acp.host import Host
    from punie.agent.acp.prompts import Prompts
    from punie.agent.acp.reader import ClientReader
    from punie.agent.sessions.brain import SessionWorkspace
    from punie.agent.sessions.session import Session

log = logging.getLogger(__name__)

STEERING = "_session/steering"
"""Gives a running turn something more; as other agents serve it."""
SESSION_OPENED = "_punie/session_opened"
SESSION_CLOSED = "_punie/session_closed"
"""What a client that shares an agent's sessions is told of those that others opened and closed."""

AFTER_ANSWER = 0.05
"""Seconds from opening a session until more is done for it: the answer goes out first."""


class PunieAgent:
    """One client's agent; implements `punie.acp.agent_side.DualAgent`."""

    def __init__(
        self,
        client: DualClientProxy,
        open_host: Callable[[], Host],
        *,
        model: str = "",
        shared: bool = False,
        attach: Callable[[Host, str], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Begin.

        Args:
            client: The client.
            open_host: Called by the first request about sessions.
            model: What `--model` named, as far as that tells what can be advertised.
            shared: The host has other clients: it outlives this one, which is told of the sessions
                that they open and close.
            attach: Runs beside the sessions once there are some, until the client is gone; it is told
                what the client calls itself.
        """
        self._model = model
        self._shared = shared
        self._attach = attach
        self._unwatch: Callable[[], None] | None = None
        self._client = client
        self._open_host = open_host
        self._host: Host | None = None
        self._prompts: Prompts | None = None
        self._readers: dict[str, ClientReader] = {}
        self._background: set[asyncio.Task[object]] = set()
        self._over = False

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        """Say what Punie can do."""
        if self._shared and self._unwatch is None:
            self._unwatch = self._here.sessions.watch(self._opened, self._closed)
        return introduction(self._model, version=self._client.version)

    async def login(self, params: v2.LoginAuthRequest) -> v2.LoginAuthResponse:
        """Accept: there is nothing to prove."""
        if params.method_id != NO_LOGIN:
            raise RequestError.invalid_params("unknown method", path="$.methodId")
        return v2.LoginAuthResponse()

    async def logout(self, params: v2.LogoutAuthRequest) -> v2.LogoutAuthResponse:
        """Accept: there was nothing to prove."""
        return v2.LogoutAuthResponse()

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        """Open a session in a folder."""
        from punie.agent.acp.options import options_of
        from punie.agent.acp.servers import connect
        from punie.agent.acp.slash import available
        from punie.agent.sessions.manager import new_session_id

        cwd, more = await _folder(params.cwd), await _more(params.additional_directories)
        session_id = new_session_id()
        with _told():
            workspace = self._workspace(session_id, cwd, more)
            session = self._open(cwd, session_id, workspace)
            options = options_of(session, self._here)
        connect(session, params.mcp_servers)
        self._reader(session).attach()
        self._warm_up_soon(session)
        return v2.NewSessionResponse(
            session_id=session.id, config_options=options, available_commands=available()
        )

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        """Join a session that is open, or open one that is kept."""
        from punie.agent.acp.options import options_of
        from punie.agent.acp.servers import connect
        from punie.agent.acp.slash import available

        if isinstance(params.replay_from, v2.UnknownVariant):
            raise RequestError.invalid_params("unknown cursor", path="$.replayFrom")
        cwd, more = await _folder(params.cwd), await _more(params.additional_directories)
        workspace = self._workspace(params.session_id, cwd, more)
        with _told(params.session_id):
            session = await self._here.load_session(params.session_id, cwd=cwd, workspace=workspace)
        connect(session, params.mcp_servers)
        reader = self._reader(session)
        if params.replay_from is None:
            reader.attach()
        else:
            await reader.join()
        await reader.tell_state()
        self._warm_up_soon(session)
        self._soon(session.go_on)
        options = options_of(session, self._here)
        return v2.ResumeSessionResponse(config_options=options, available_commands=available())

    async def fork_session(self, params: ForkSessionRequest) -> ForkSessionResponse:
        """Open a copy of a session, which goes its own way."""
        from punie.acp.schema.v2.unstable import ForkSessionResponse
        from punie.agent.acp.options import options_of
        from punie.agent.acp.servers import connect
        from punie.agent.sessions.manager import new_session_id

        cwd, more = await _folder(params.cwd), await _more(params.additional_directories)
        new_id = new_session_id()
        workspace = self._workspace(new_id, cwd, more)
        with _told(params.session_id):
            session = await self._here.fork_session(
                params.session_id, new_id=new_id, cwd=cwd, workspace=workspace
            )
        connect(session, params.mcp_servers)
        self._reader(session).attach()
        options = options_of(session, self._here)
        return ForkSessionResponse(session_id=new_id, config_options=options)

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        """Name the sessions that are open or kept, the newest first."""
        from punie.agent.acp.listing import page

        with _told():
            return await page(self._here.sessions, params)

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        """End a session; what is kept of it stays."""
        self._session(params.session_id)
        await self._here.sessions.close(params.session_id)
        self._forget(params.session_id)
        return v2.CloseSessionResponse()

    async def delete_session(self, params: v2.DeleteSessionRequest) -> v2.DeleteSessionResponse:
        """Remove a session and all that is kept of it; one that is gone already is no error."""
        with _told(params.session_id):
            await self._here.sessions.delete(params.session_id)
        self._forget(params.session_id)
        return v2.DeleteSessionResponse()

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        """Take a prompt, after those that came before it."""
        from punie.agent.commands import Desk

        session, prompts = self._session(params.session_id), self._prompts_here
        arrived = await prompts.read(params.prompt, session)
        return v2.PromptResponse(message_id=await prompts.put(Desk(session, self._here), arrived))

    async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
        """Serve the extensions."""
        if method != STEERING:
            raise RequestError.method_not_found(method)
        from punie.agent.acp.steering import steer
        from punie.agent.commands import Desk

        session = self._session(str(params.get("sessionId", "")))
        return await steer(Desk(session, self._here), self._prompts_here, params)

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        """Stop a session's turn, and drop the prompts that wait."""
        if self._host is None or not self._host.sessions.is_open(params.session_id):
            log.debug("a cancel is about a session that is not open: %s", params.session_id)
            return
        self._prompts_here.cancel(params.session_id)
        self._session(params.session_id).cancel()

    async def set_session_config_option(
        self, params: v2.SetSessionConfigOptionRequest
    ) -> v2.SetSessionConfigOptionResponse:
        """Choose the value of a config option."""
        from punie.agent.acp.options import choose, options_of

        session = self._session(params.session_id)
        with _told(), self._reader(session).choosing():
            await choose(session, self._here, params)
            options = options_of(session, self._here)
        return v2.SetSessionConfigOptionResponse(config_options=options)

    async def close(self) -> None:
        """End every turn and what it started."""
        self._over = True
        for task in self._background:
            task.cancel()
        for session_id in list(self._readers):
            self._forget(session_id)
        if self._unwatch is not None:
            self._unwatch()
        if self._host is not None and not self._shared:
            await self._host.aclose()

    @property
    def _here(self) -> Host:
        if self._host is None:
            self._host = self._open_host()
            if self._attach is not None:
                attach, host, info = self._attach, self._host, self._client.info
                name = "" if info is None else f"{info.title or info.name} {info.version}"
                self._soon(lambda: attach(host, name))
        return self._host

    @property
    def _prompts_here(self) -> Prompts:
        if self._prompts is None:
            from punie.agent.acp.prompts import Prompts

            self._prompts = Prompts()
        return self._prompts

    def _open(self, cwd: Path, session_id: str, workspace: SessionWorkspace) -> Session:
        from punie.agent.permissions.policy import MODES

        last = self._here.preference(cwd)
        return self._here.open_session(
            cwd,
            session_id=session_id,
            mode=last.mode if last.mode in MODES else None,
            model=last.model,
            thought=last.thought,
            workspace=workspace,
        )

    def _reader(self, session: Session) -> ClientReader:
        from punie.agent.acp.options import options_of
        from punie.agent.acp.reader import ClientReader

        known = self._readers.get(session.id)
        if known is None or known.session is not session:  # it was closed by somebody else
            self._readers[session.id] = ClientReader(
                session,
                self._client,
                options=lambda: options_of(session, self._here),
                before=self._prompts_here.let_in,
            )
        return self._readers[session.id]

    def _opened(self, session: Session) -> None:
        async def tell() -> None:
            if session.id not in self._readers:  # else it was opened for this client
                cwd = str(session.workspace.root)
                told = {"sessionId": session.id, "cwd": cwd, "title": session.title or None}
                await self._client.ext_notification(SESSION_OPENED, told)

        self._begin(tell)

    def _closed(self, session_id: str) -> None:
        async def tell() -> None:
            await self._client.ext_notification(SESSION_CLOSED, {"sessionId": session_id})

        self._forget(session_id)
        self._begin(tell)

    def _forget(self, session_id: str) -> None:
        reader = self._readers.pop(session_id, None)
        if reader is not None:
            reader.detach()

    def _workspace(self, session_id: str, cwd: Path, more: list[Path]) -> SessionWorkspace:
        """The editor's texts and terminals when it has some (version 1 alone), else this disk."""
        from punie.agent.workspaces.local import LocalWorkspace

        local = LocalWorkspace(cwd, more=more)
        if self._client.v1 is None:
            return local
        from punie.agent.workspaces.acp import AcpWorkspace

        return AcpWorkspace(self._client.v1, session_id, local)

    def _session(self, session_id: str) -> Session:
        if self._host is None:
            raise RequestError.session_not_found(session_id)
        with _told(session_id):
            return self._host.sessions.get(session_id)

    def _warm_up_soon(self, session: Session) -> None:
        self._soon(lambda: _warm(self._here, session))
        self._soon(lambda: self._look(self._here))

    def _soon(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        asyncio.get_running_loop().call_later(AFTER_ANSWER, self._begin, work)

    def _begin(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        if self._over:
            return
        task = asyncio.get_running_loop().create_task(work())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _look(self, host: Host) -> None:
        """See which models there are, and tell it to whoever shows a menu of them."""
        from punie.agent.errors import PunieError

        try:
            if await host.look():
                for reader in list(self._readers.values()):
                    await reader.tell_options()
        except PunieError as error:
            log.info("the models of this machine cannot be listed: %s", error)


async def _folder(named: str, *, place: str = "$.cwd") -> Path:
    path = Path(named)
    if not path.is_absolute() or not await asyncio.to_thread(path.is_dir):
        raise RequestError.invalid_params("must be an absolute, existing folder", path=place)
    return path


async def _more(folders: list[str]) -> list[Path]:
    places = (f"$.additionalDirectories[{index}]" for index in range(len(folders)))
    return [await _folder(one, place=place) for one, place in zip(folders, places, strict=True)]


@contextmanager
def _told(session_id: str = "") -> Generator[None]:
    """Turn what Punie says about sessions into the answer of a request."""
    from punie.agent.errors import PunieError, SessionBusyError

    try:
        yield
    except LookupError:
        raise RequestError.session_not_found(session_id) from None
    except SessionBusyError as error:
        data = {"sessionId": error.session_id, "pid": error.pid}
        raise RequestError(ErrorCode.INVALID_REQUEST, str(error), data) from error
    except PunieError as error:
        message = str(error)
        raise RequestError(ErrorCode.INTERNAL_ERROR, message, {"message": message}) from error


async def _warm(host: Host, session: Session) -> None:
    from punie.agent.errors import PunieError

    try:
        await host.warm(session)
    except PunieError as error:
        log.info("the model could not be opened ahead of time: %s", error)
