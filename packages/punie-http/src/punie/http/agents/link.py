"""One connection to one agent: its updates go up to the sessions, commands go down to it.

It speaks the protocol in the types of version 2; agents of version 1 look the
same here (`punie.acp.client_side.dual`). The hub offers neither files nor terminals: an agent works
on its own disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from punie.acp.client_side.dual import DualAgentProxy, connect_dual
from punie.acp.errors import AcpError, CapabilityError, ConnectionClosedError, RequestError
from punie.acp.schema import v2
from punie.acp.schema.reading import Reader, plain, write
from punie.acp.transports.base import Transport
from punie.http.agents.early import Early
from punie.http.agents.wire import (
    HELLO,
    INTERRUPTED,
    MESSAGES,
    elicited,
    encode,
    is_live,
    permission_asked,
    permitted,
    question_asked,
    steers,
)
from punie.http.errors import ApiError, ConflictError, RefusedError
from punie.http.inbox import Answer, Inbox
from punie.http.sessions.registry import Asked, Sessions
from punie.http.sessions.summary import Summary
from punie.http.store.base import SessionKey
from punie.http.transcript import Transcript, missing

log = structlog.get_logger()

HANDSHAKE = 30.0
"""Seconds in which an agent answers `initialize`."""

OPENED = "_punie/session_opened"
CLOSED = "_punie/session_closed"
STEERING = "_session/steering"

_BLOCKS = Reader(list[v2.ContentBlock])


class Link:
    """See the module. Implements `DualClient` towards the agent and `Driver` towards the sessions.

    Args:
        name: The agent's name in the hub, under which its sessions are known.
        sessions: Where updates go.
        inbox: Where questions go.
        joins: Whether the agent's own live sessions are joined, as those of a dialled agent are.
        client: The program that started the agent, such as an IDE.

    Attributes:
        info: What the agent calls itself; nothing before `initialize`.
        capabilities: What it can do.
    """

    def __init__(
        self, name: str, sessions: Sessions, inbox: Inbox, *, joins: bool, client: str = ""
    ) -> None:
        self.name = name
        self._client = client
        self.info: v2.Implementation | None = None
        self.capabilities = v2.AgentCapabilities()
        self._sessions = sessions
        self._inbox = inbox
        self._joins = joins
        self._agent: DualAgentProxy | None = None
        self._keys: dict[str, SessionKey] = {}
        self._replays: dict[str, Transcript] = {}
        self._early = Early()
        self._opening: dict[str, asyncio.Lock] = {}
        self._renamed: dict[str, str] = {}
        self._over: set[str] = set()
        self._steers = False
        self._joining: set[asyncio.Task[None]] = set()

    async def run(self, transport: Transport, *, ready: Callable[[], None]) -> None:
        """Talk to the agent until it is gone.

        Args:
            transport: Opened and closed here.
            ready: Called when the agent can be used.

        Raises:
            AcpError: It does not speak the protocol.
            TimeoutError: It does not answer.
        """
        try:
            async with connect_dual(self, transport) as agent:
                async with asyncio.timeout(HANDSHAKE):
                    hello = await agent.initialize(HELLO)
                self._steers = steers(hello)
                self._agent, self.info = agent, agent.info
                self.capabilities = agent.capabilities
                await self._begin(agent)
                ready()
                await agent.wait_closed()
        finally:
            self._agent = None
            for task in self._joining:
                task.cancel()
            self._sessions.detached(self)
            self._keys.clear()

    async def _begin(self, agent: DualAgentProxy) -> None:
        """Take over the sessions that there are."""
        if self._joins:
            if agent.lists:
                await self._join_all(agent)
            return
        for summary in self._sessions.all():
            if summary.agent != self.name or summary.closed:
                continue
            if agent.resumes:
                self._known(summary)
            if summary.working != "idle":
                await self._take_up(summary, resumes=agent.resumes)

    async def _take_up(self, summary: Summary, *, resumes: bool) -> None:
        """Open a session that worked when its agent ended; its turn is over unless it says not."""
        state: str | None = None
        if resumes:
            try:
                async with self._opening.setdefault(summary.session_id, asyncio.Lock()):
                    state = await self._resume(summary.session_id, summary.cwd, None)
            except ApiError as error:
                log.warning("a session cannot be resumed", agent=self.name, reason=str(error))
        if state in {None, "idle"}:
            self._sessions.record(summary.key, "update", INTERRUPTED)
        else:
            self._tell_state(summary.key, state)

    async def _join_all(self, agent: DualAgentProxy) -> None:
        cursor: str | None = None
        while True:
            page = await agent.list_sessions(v2.ListSessionsRequest(cursor=cursor))
            for info in page.sessions:
                if is_live(info):
                    await self._join(info.session_id, info.cwd, info.title)
            cursor = page.next_cursor
            if cursor is None:
                return

    def _known(self, summary: Summary) -> None:
        """A session of an earlier connection; it is opened when something is asked of it."""
        self._opened(summary.session_id, summary.cwd, None)

    def _opened(self, session_id: str, cwd: str, title: str | None) -> SessionKey:
        return self._sessions.opened(
            self.name, session_id, cwd=cwd, title=title, client=self._client, driver=self
        )

    # Commands

    async def new_session(self, cwd: str, *, servers: Sequence[v2.McpServer] = ()) -> SessionKey:
        """Open a session in a folder.

        Args:
            cwd: The folder.
            servers: MCP servers that it may use.

        Raises:
            ApiError: The agent refuses.
            ConflictError: It is not connected.
        """
        request = v2.NewSessionRequest(cwd=cwd, mcp_servers=list(servers))
        answer = await self._call(lambda agent: agent.new_session(request))
        key = self._opened(answer.session_id, cwd, None)
        self._keys[answer.session_id] = key
        await self._offer(key, answer.config_options, answer.available_commands)
        for update in self._early.take(answer.session_id):
            await self._sessions.update(key, update)
        return key

    async def prompt(self, session_id: str, blocks: list[dict[str, Any]]) -> str:
        """Give a session work; returns the id of the message once the agent took it."""
        await self._ensure(session_id)
        content = _BLOCKS.decode(msgspec.json.encode(blocks))  # of a later version, too
        request = v2.PromptRequest(session_id=session_id, prompt=content)
        answer = await self._call(lambda agent: agent.prompt(request))
        return self._message_id(session_id, answer.message_id)

    async def steer(self, session_id: str, blocks: list[dict[str, Any]]) -> bool:
        """Put a prompt before the model of a running turn; whether the agent can and did."""
        if not self._steers:
            return False
        params = {"sessionId": session_id, "prompt": blocks}
        told = await self._call(lambda agent: agent.ext_method(STEERING, params))
        return told.get("outcome") in {"injected", "startedNewTurn"}

    async def cancel(self, session_id: str) -> None:
        """Stop a session's work."""
        await self._call(lambda agent: agent.cancel(session_id))

    async def configure(
        self, session_id: str, config_id: str, value: str | bool
    ) -> list[dict[str, Any]]:
        """Choose the value of a config option; returns all of them, as on the wire."""
        key = await self._ensure(session_id)
        kind = "boolean" if isinstance(value, bool) else "id"
        request = v2.SetSessionConfigOptionRequest(
            session_id=session_id, config_id=config_id, type=kind, value=value
        )
        answer = await self._call(lambda agent: agent.set_session_config_option(request))
        await self._offer(key, answer.config_options, [])
        return [plain(option) for option in answer.config_options]

    async def close(self, session_id: str) -> None:
        """Stop a session and free what it holds."""
        key = self._keys.pop(session_id, None)
        if key is not None:
            request = v2.CloseSessionRequest(session_id=session_id)
            await self._call(lambda agent: agent.close_session(request))

    def _tell_state(self, key: SessionKey, state: str | None) -> None:
        """Record what a resumed session is doing, if its agent told and it is news."""
        if state not in {None, self._sessions.get(key).working}:
            self._sessions.record(key, "update", {"sessionUpdate": "state_update", "state": state})

    async def _ensure(self, session_id: str) -> SessionKey:
        """Open a known session again before something is asked of it."""
        async with self._opening.setdefault(session_id, asyncio.Lock()):
            if session_id not in self._keys:
                summary = next(
                    one
                    for one in self._sessions.all()
                    if one.agent == self.name and one.session_id == session_id
                )
                self._tell_state(summary.key, await self._resume(session_id, summary.cwd, None))
            return self._keys[session_id]

    async def _resume(self, session_id: str, cwd: str, title: str | None) -> str | None:
        """Open or join a session; of its replayed history only what is new is recorded.

        Returns:
            What the session is doing, if the agent told.
        """
        agent = self._agent
        if agent is None:
            raise ConflictError(f"the agent {self.name} is not connected")
        key = self._opened(session_id, cwd, title)
        replayed = self._replays[session_id] = Transcript()
        if agent.replays:
            self._early.take(session_id)  # the replay holds it
        request = v2.ResumeSessionRequest(
            session_id=session_id,
            cwd=cwd,
            replay_from=v2.ReplayFromStart() if agent.replays else None,
        )
        try:
            answer = await self._call(lambda agent: agent.resume_session(request))
            known = await self._sessions.transcript(key)
        except BaseException:
            del self._replays[session_id]
            raise
        # Without a pause: what comes from now on is recorded behind what the replay adds.
        del self._replays[session_id]
        self._keys[session_id] = key
        if agent.replays:
            for update in missing(known, replayed):
                self._sessions.record(key, "update", update)
        else:
            self._renamed[session_id] = f"{known.seq}"
            for update in self._early.take(session_id):
                await self._sessions.update(key, update)
        await self._offer(key, answer.config_options, answer.available_commands)
        return replayed.facts.get("state")

    async def _offer(
        self,
        key: SessionKey,
        options: list[v2.SessionConfigOption],
        commands: list[v2.AvailableCommand],
    ) -> None:
        if options:
            update = v2.ConfigOptionUpdate(config_options=options)
            await self._sessions.update(key, write(update))
        if commands:
            told = v2.AvailableCommandsUpdate(available_commands=commands)
            await self._sessions.update(key, write(told))

    async def _call(self, call: Callable[[DualAgentProxy], Any]) -> Any:
        if self._agent is None:
            raise ConflictError(f"the agent {self.name} is not connected")
        try:
            return await call(self._agent)
        except ConnectionClosedError:
            raise ConflictError(f"the agent {self.name} is gone") from None
        except CapabilityError as error:
            raise ApiError(f"the agent {self.name} cannot do that: {error}") from None
        except RequestError as error:
            raise RefusedError(self.name, error.code, error.message) from None

    # What the agent tells and asks

    async def session_update(self, params: v2.UpdateSessionNotification) -> None:
        """Record an update."""
        replay = self._replays.get(params.session_id)
        if replay is not None:
            body = msgspec.json.decode(encode(params.update))
            replay.update(body, seq=len(replay.items))
            return
        key = self._keys.get(params.session_id)
        if key is not None:
            await self._sessions.update(key, encode(self._named(params)))
            return
        self._early.put(params.session_id, encode(params.update))

    def _named(self, params: v2.UpdateSessionNotification) -> v2.SessionUpdate:
        """Keep message ids apart from those of an earlier connection.

        An agent that gives messages no ids gets counted ones, and when it was resumed without its
        history, the counting began anew.
        """
        update = params.update
        if params.session_id not in self._renamed or not isinstance(update, MESSAGES):
            return update
        named = self._message_id(params.session_id, update.message_id)
        return msgspec.structs.replace(update, message_id=named)

    def _message_id(self, session_id: str, message_id: str) -> str:
        prefix = self._renamed.get(session_id)
        return message_id if prefix is None else f"{prefix}-{message_id}"

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """Put an approval into the inbox."""
        return permitted(await self._ask(params.session_id, permission_asked(params)))

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        """Put a question into the inbox."""
        if params.mode != "form" or params.session_id is None:
            raise RequestError.invalid_params("only forms of a session are shown", path="$.mode")
        return elicited(await self._ask(params.session_id, question_asked(params)))

    async def _ask(self, session_id: str, asked: Asked) -> Answer:
        try:
            return await self._inbox.ask(await self._key(session_id), asked)
        except ApiError as error:
            raise RequestError.invalid_request(str(error)) from None

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        """Hear of sessions that were opened or closed elsewhere."""
        session_id = params.get("sessionId")
        if not isinstance(session_id, str):
            log.warning("a notification names no session", method=method, agent=self.name)
        elif method == OPENED and session_id not in self._keys:
            # Not awaited here: its replay comes behind this notification.
            cwd, title = str(params.get("cwd", "")), params.get("title")
            work = self._join(session_id, cwd, None if title is None else str(title))
            task = asyncio.get_running_loop().create_task(work)
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)
        elif method == CLOSED:
            self._closed(session_id)

    def _closed(self, session_id: str) -> None:
        key = self._keys.pop(session_id, None)
        if key is not None:
            self._sessions.closed(key)
        elif session_id in self._replays:
            self._over.add(session_id)  # once it is joined

    async def _join(self, session_id: str, cwd: str, title: str | None) -> None:
        """Join a session that is live in the agent; one that cannot be joined is left out."""
        try:
            async with self._opening.setdefault(session_id, asyncio.Lock()):
                if session_id not in self._keys:
                    state = await self._resume(session_id, cwd, title)
                    self._tell_state(self._keys[session_id], state)
            if session_id in self._over:
                self._over.discard(session_id)
                self._closed(session_id)
        except (ApiError, AcpError) as error:
            log.warning("a session cannot be joined", agent=self.name, reason=str(error))

    async def _key(self, session_id: str) -> SessionKey:
        """The key of a session that asks; it may be about to be joined."""
        if (opening := self._opening.get(session_id)) is not None:
            async with opening:
                pass
        key = self._keys.get(session_id)
        if key is None:
            raise RequestError.session_not_found(session_id)
        return key
