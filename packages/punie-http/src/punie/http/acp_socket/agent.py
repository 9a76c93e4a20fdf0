"""The hub as an ACP agent: its sessions are those of all its agents, under the hub's own numbers.

Which agent a new session gets: the one that `_meta` of `session/new` names as `punie/agent`, else the
one of the connection's URL (`/acp?agent=NAME`), else the first that is ready. Nothing is done here
that a page could not do: prompts wait in the same line, and the first answer to a question stands.
A client that leaves ends nothing.

Left out: the client's own files and terminals (an agent of the hub works on its own disk), and
deleting and copying sessions.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from punie.acp.agent_side import DualClientProxy
from punie.acp.errors import ErrorCode, RequestError
from punie.acp.schema import v2
from punie.acp.schema.reading import Reader, plain
from punie.http.acp_socket.follower import Follower
from punie.http.agents.wire import HELLO
from punie.http.auth import Bucket
from punie.http.errors import ApiError, NotFoundError, RefusedError, TooManyError
from punie.http.hub import Hub
from punie.http.sessions.prompts import DroppedError
from punie.http.sessions.summary import Summary
from punie.http.store.base import SessionKey
from punie.http.transcript import Transcript, missing

PAGE = 100
"""Sessions in one answer of `session/list`."""
AGENT = "punie/agent"
"""In `_meta`: the name of the agent that a session has, or shall have."""
LIVE = "punie/live"
"""In `_meta` of a listed session: whether its agent is connected, so that it can be prompted."""

_UPDATES = Reader(list[v2.SessionUpdate])
_OPTIONS = Reader(list[v2.SessionConfigOption])
_COMMANDS = Reader(list[v2.AvailableCommand])


class HubAgent:
    """One client's agent; implements `punie.acp.agent_side.DualAgent`.

    Args:
        client: The client.
        hub: Has the sessions.
        agent: The agent of its new sessions; the first one that is ready by default.
        changes: How often the hub may be changed, by whomever.
    """

    def __init__(
        self, client: DualClientProxy, hub: Hub, *, agent: str | None, changes: Bucket
    ) -> None:
        self._client = client
        self._hub = hub
        self._agent = agent
        self._changes = changes
        self._followers: dict[str, Follower] = {}

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        """Say what the hub can do; prompts may hold what its agent's prompts may."""
        return v2.InitializeResponse(
            protocol_version=2,
            info=HELLO.info,
            capabilities=v2.AgentCapabilities(
                session=v2.SessionCapabilities(
                    prompt=self._prompts(),
                    mcp=v2.McpCapabilities(
                        stdio=v2.McpStdioCapabilities(), http=v2.McpHttpCapabilities()
                    ),
                )
            ),
        )

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        """Open a session of one of the hub's agents."""
        with _refusing():
            self._take()
            named = _agent_named(params.meta) or self._agent
            key = await self._hub.fleet.new_session(named, params.cwd, servers=params.mcp_servers)
        await self._hub.store.flush()
        transcript = await self._hub.sessions.transcript(key)
        self._follow(key, after=transcript.seq, state="idle")
        return v2.NewSessionResponse(
            session_id=str(key),
            meta={AGENT: self._hub.sessions.get(key).agent},
            **_choices(transcript),
        )

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        """Join a session: its history from the hub's log, then what happens."""
        if isinstance(params.replay_from, v2.UnknownVariant):
            raise RequestError.invalid_params("unknown cursor", path="$.replayFrom")
        key, name = self._known(params.session_id), params.session_id
        self._forget(name)
        transcript = await self._hub.sessions.transcript(key)
        told = [] if params.replay_from is None else missing(Transcript(), transcript)
        # One whose agent is gone is idle, as far as anybody can tell.
        attached = self._hub.sessions.get(key).attached
        state = transcript.facts.get("state", "idle") if attached else "idle"
        told.append({"sessionUpdate": "state_update", "state": state})
        for update in _UPDATES.decode(msgspec.json.encode(told)):
            await self._client.session_update(name, update)
        self._forget(name)  # somebody may have asked twice
        self._follow(key, after=transcript.seq, state=state)
        return v2.ResumeSessionResponse(
            meta={AGENT: self._hub.sessions.get(key).agent}, **_choices(transcript)
        )

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        """Name the sessions of all agents that are not closed, the newest first."""
        before = _cursor(params.cursor)
        found = sorted(
            (
                one
                for one in self._hub.sessions.all()
                if not one.closed and params.cwd in {None, one.cwd}
            ),
            key=lambda one: -one.key,
        )
        rest = [one for one in found if before is None or one.key < before]
        page = rest[:PAGE]
        return v2.ListSessionsResponse(
            sessions=[_line(one) for one in page],
            next_cursor=str(page[-1].key) if len(rest) > len(page) else None,
        )

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        """End a session, for everybody; what is known of it stays."""
        with _refusing(params.session_id):
            self._take()
            await self._hub.sessions.close(self._known(params.session_id))
        self._forget(params.session_id)
        return v2.CloseSessionResponse()

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        """Take a prompt, after those of others that came before it."""
        key = self._followed(params.session_id)
        with _refusing(params.session_id):
            self._take()
            blocks = [plain(block) for block in params.prompt]
            return v2.PromptResponse(message_id=await self._hub.prompts.put(key, blocks))

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        """Stop a session's work, and drop the prompts that wait."""
        key = self._followed(params.session_id)
        with _refusing(params.session_id):  # as often as a person wants
            await self._hub.prompts.stop(key)

    async def set_session_config_option(
        self, params: v2.SetSessionConfigOptionRequest
    ) -> v2.SetSessionConfigOptionResponse:
        """Choose the value of a config option."""
        key = self._followed(params.session_id)
        with _refusing(params.session_id):
            self._take()
            driver = self._hub.sessions.driver(key)
            session_id = self._hub.sessions.get(key).session_id
            options = await driver.configure(session_id, params.config_id, params.value)
        return v2.SetSessionConfigOptionResponse(
            config_options=_OPTIONS.decode(msgspec.json.encode(options))
        )

    async def close(self) -> None:
        """The client is gone; what it began goes on."""
        for name in list(self._followers):
            self._forget(name)

    def _prompts(self) -> v2.PromptCapabilities | None:
        """What prompts may hold beyond text and links; nothing while the agent is not ready."""
        try:
            session = self._hub.fleet.link(self._agent).capabilities.session
        except ApiError:
            return None
        return None if session is None else session.prompt

    def _follow(self, key: SessionKey, *, after: int, state: str) -> None:
        name = str(key)
        self._followers[name] = Follower(
            self._client, self._hub, key, name=name, after=after, state=state
        )

    def _forget(self, name: str) -> None:
        follower = self._followers.pop(name, None)
        if follower is not None:
            follower.stop()

    def _known(self, name: str) -> SessionKey:
        """A session that can be joined."""
        if name.isascii() and name.isdecimal() and len(name) <= 15:
            summary = self._hub.sessions.find(SessionKey(int(name)))
            if summary is not None and not summary.closed and str(summary.key) == name:
                return summary.key
        raise RequestError.session_not_found(name)

    def _followed(self, name: str) -> SessionKey:
        """A session that this client has opened or joined."""
        if name not in self._followers:
            raise RequestError.session_not_found(name)
        return self._known(name)

    def _take(self) -> None:
        """Change the hub, unless that happens too often."""
        if not self._changes.take():
            raise TooManyError("too many changes at once: wait a second")


@contextmanager
def _refusing(name: str = "") -> Generator[None]:
    """Turn a refusal of the hub into the answer of a request about a session."""
    try:
        yield
    except DroppedError as error:
        raise RequestError(ErrorCode.REQUEST_CANCELLED, str(error)) from None
    except NotFoundError:
        if name:
            raise RequestError.session_not_found(name) from None
        raise RequestError.invalid_params(
            "the hub has no such agent", path=f"$._meta.{AGENT}"
        ) from None
    except RefusedError as error:
        raise RequestError(error.code, str(error)) from None
    except ApiError as error:
        raise RequestError(ErrorCode.INVALID_REQUEST, str(error)) from None


def _agent_named(meta: dict[str, Any] | None) -> str | None:
    named = (meta or {}).get(AGENT)
    if named is not None and not isinstance(named, str):
        raise RequestError.invalid_params("the name of an agent", path=f"$._meta.{AGENT}")
    return named


def _choices(transcript: Transcript) -> dict[str, Any]:
    """A session's config options and commands, for the answer that opens it."""
    facts = transcript.facts
    return {
        "config_options": _OPTIONS.decode(msgspec.json.encode(facts.get("config_options", []))),
        "available_commands": _COMMANDS.decode(msgspec.json.encode(facts.get("commands", []))),
    }


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise RequestError.invalid_params("a cursor of an earlier answer", path="$.cursor")
    return int(text)


def _line(one: Summary) -> v2.SessionInfo:
    return v2.SessionInfo(
        session_id=str(one.key),
        cwd=one.cwd,
        title=one.title or None,
        updated_at=datetime.fromtimestamp(one.changed_at, UTC).isoformat(),
        meta={AGENT: one.agent, LIVE: one.attached},
    )
