"""Prompts that a person wrote ahead: sent one by one when their session is idle.

A prompt that *steers* goes into the running turn where the agent can do that; else it stops what runs and
goes before the others. The list is recorded whenever it
changes, so that it is there after a crash; then it waits until the session is told to go on.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog
from msgspec import Struct, field

from punie.http.errors import ApiError, NotFoundError, TooManyError
from punie.http.sessions.registry import Sessions
from punie.http.store.base import Event, SessionKey
from punie.http.transcript import text_of

log = structlog.get_logger()

MOST = 50
"""Prompts of one session that may wait."""
MOST_SIZE = 8 * 1024 * 1024
"""Bytes of what waits in one session above which no more may: the list is written down at each change."""


class DroppedError(ApiError):
    """A prompt was taken back before the agent had it."""

    status = 409


class Waiting(Struct, frozen=True, kw_only=True):
    """A prompt that was not sent yet."""

    id: str
    text: str
    files: list[str] = field(default_factory=list[str])
    """Absolute paths of files that it mentions."""
    content: list[dict[str, Any]] | None = None
    """Content blocks of the protocol, in place of text and files: what a program sent."""

    def blocks(self) -> list[dict[str, Any]]:
        """As content blocks of the protocol."""
        if self.content is not None:
            return self.content
        links = [
            {"type": "resource_link", "name": Path(path).name, "uri": Path(path).as_uri()}
            for path in self.files
        ]
        return [{"type": "text", "text": self.text}, *links]


class Prompts:
    """See the module. One per hub.

    Args:
        sessions: Whose prompts these are.
        tasks: Sends them.
    """

    def __init__(self, sessions: Sessions, *, tasks: asyncio.TaskGroup) -> None:
        self._sessions = sessions
        self._tasks = tasks
        self._waiting: dict[SessionKey, list[Waiting]] = {}
        self._sending: set[SessionKey] = set()
        self._order: dict[SessionKey, asyncio.Lock] = {}
        self._watched: dict[str, asyncio.Future[str]] = {}

    def of(self, session: SessionKey) -> list[Waiting]:
        """The prompts that wait."""
        return list(self._waiting.get(session, ()))

    async def add(
        self,
        session: SessionKey,
        text: str,
        *,
        files: Sequence[str] = (),
        when: Literal["next", "now"] = "next",
    ) -> Waiting:
        """Send a prompt as soon as the session is idle.

        Args:
            session: To whom.
            text: What the person wrote.
            files: Absolute paths of files that it mentions.
            when: `now` steers.

        Raises:
            ApiError: It is empty.
            ConflictError: The session's agent is not connected.
            TooManyError: Too many wait.
        """
        if not text.strip():
            raise ApiError("the prompt is empty")
        prompt = Waiting(id=secrets.token_hex(4), text=text, files=list(files))
        summary, waiting = self._sessions.get(session), self._room(session, prompt)
        if when == "now" and await self._steer(session, prompt):
            return prompt
        waiting.insert(0 if when == "now" else len(waiting), prompt)
        self._record(session)
        if when == "now" and (session in self._sending or summary.working != "idle"):
            await self._cancel(session)
        self._send_next(session)
        return prompt

    async def put(self, session: SessionKey, blocks: list[dict[str, Any]]) -> str:
        """Send a program's prompt when the session is idle, and wait until the agent took it.

        Cancelling takes it back, unless it is on its way.

        Args:
            session: To whom.
            blocks: Content blocks of the protocol.

        Returns:
            The id of the message that it became.

        Raises:
            ApiError: The agent refuses it.
            ConflictError: The session's agent is not connected.
            DroppedError: Somebody took it back.
            TooManyError: Too many wait.
        """
        prompt = Waiting(id=secrets.token_hex(4), text=text_of(blocks), content=blocks)
        waiting = self._room(session, prompt)
        waiting.append(prompt)
        taken = self._watched[prompt.id] = asyncio.get_running_loop().create_future()
        self._record(session)
        self._send_next(session)
        try:
            return await taken
        except asyncio.CancelledError:
            with suppress(NotFoundError):
                self.drop(session, prompt.id)
            raise
        finally:
            del self._watched[prompt.id]

    def _room(self, session: SessionKey, prompt: Waiting) -> list[Waiting]:
        """The prompts that wait, if this one may, too."""
        self._sessions.driver(session)
        waiting = self._waiting.setdefault(session, [])
        if len(waiting) >= MOST:
            raise TooManyError(f"{MOST} prompts wait already")
        if waiting and len(msgspec.json.encode([*waiting, prompt])) > MOST_SIZE:
            raise TooManyError(f"prompts of more than {MOST_SIZE // 1024**2} MB would wait")
        return waiting

    def _tell(self, prompt: Waiting, result: str | ApiError) -> bool:
        """Tell the program that sent a prompt what became of it; whether there is one."""
        taken = self._watched.get(prompt.id)
        if taken is None or taken.done():
            return False
        if isinstance(result, str):
            taken.set_result(result)
        else:
            taken.set_exception(result)
        return True

    async def _steer(self, session: SessionKey, prompt: Waiting) -> bool:
        """Give a prompt to the running turn, if there is one and its agent takes it."""
        async with self._lock(session):
            summary = self._sessions.get(session)
            if session not in self._sending and summary.working == "idle":
                return False
            driver = self._sessions.driver(session)
            return await driver.steer(summary.session_id, prompt.blocks())

    def drop(self, session: SessionKey, prompt_id: str) -> None:
        """Take a prompt back.

        Raises:
            NotFoundError: It does not wait: it was sent, or never was.
        """
        waiting = self._waiting.get(session, [])
        prompt = next((one for one in waiting if one.id == prompt_id), None)
        if prompt is None:
            raise NotFoundError(f"no prompt {prompt_id!r} waits")
        waiting.remove(prompt)
        self._record(session)
        self._tell(prompt, DroppedError("the prompt was taken back"))

    async def stop(self, session: SessionKey) -> None:
        """Stop what a session does, and drop the prompts that wait.

        Raises:
            ConflictError: Its agent is not connected.
        """
        dropped = self._waiting.pop(session, [])
        if dropped:
            self._record(session)
        for prompt in dropped:
            self._tell(prompt, DroppedError("the session was stopped"))
        await self._cancel(session)

    async def _cancel(self, session: SessionKey) -> None:
        # Behind a prompt that is on its way, or it would stop nothing.
        async with self._lock(session):
            driver = self._sessions.driver(session)
            await driver.cancel(self._sessions.get(session).session_id)

    def _lock(self, session: SessionKey) -> asyncio.Lock:
        return self._order.setdefault(session, asyncio.Lock())

    def load(self, waiting: dict[SessionKey, list[dict[str, Any]]]) -> None:
        """Take over what waited when the last hub ended; the next prompt sends it first."""
        for session, prompts in waiting.items():
            self._waiting[session] = msgspec.convert(prompts, list[Waiting])

    def came_or_went(self, session: SessionKey) -> None:
        """An agent that took a prompt and is gone will not say any more that it works."""
        if not self._sessions.get(session).attached:
            self._sending.discard(session)

    def published(self, events: Sequence[Event]) -> None:
        """See which sessions became idle; sessions have folded these events before."""
        for event in events:
            if event.session in self._sending and _tells_state(event):
                self._sending.discard(event.session)
        for session in {event.session for event in events}:
            if self._waiting.get(session):
                self._send_next(session)

    def _send_next(self, session: SessionKey) -> None:
        waiting = self._waiting.get(session)
        if not waiting or session in self._sending:
            return
        if self._sessions.get(session).working != "idle":
            return
        self._sending.add(session)
        self._tasks.create_task(self._send(session, waiting.pop(0)))

    async def _send(self, session: SessionKey, prompt: Waiting) -> None:
        summary = self._sessions.get(session)
        self._record(session)
        try:
            async with self._lock(session):
                driver = self._sessions.driver(session)
                # It counts as being sent until the agent says that it works.
                taken = await driver.prompt(summary.session_id, prompt.blocks())
            self._tell(prompt, taken)
        except ApiError as error:
            self._sending.discard(session)
            if self._tell(prompt, error):
                self._send_next(session)
                return
            log.warning("a prompt was not taken", session=session, reason=str(error))
            notice = {
                "sessionUpdate": "notice",
                "severity": "error",
                "title": "The prompt was not taken",
                "description": f"{error}. It was: {prompt.text}",
            }
            self._sessions.record(session, "update", notice)

    def _record(self, session: SessionKey) -> None:
        waiting = [msgspec.to_builtins(prompt) for prompt in self._waiting.get(session, ())]
        self._sessions.record(session, "prompts", {"waiting": waiting})


def _tells_state(event: Event) -> bool:
    if event.kind != "update":
        return False
    return msgspec.json.decode(event.body).get("sessionUpdate") == "state_update"
