"""A session: one conversation in one folder, one turn at a time, told to every attached reader.

Prompts that come while a turn runs wait their turn. Whoever is attached hears every event in order
before the prompt's outcome is known; whoever can answer is asked for permission, and the first
answer wins. Nothing here is written to disk, and the model stack is loaded only when a turn begins.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from punie.agent.errors import PunieError
from punie.agent.events import (
    AnyEvent,
    PermissionRequested,
    PermissionResolved,
    Progress,
    StateUpdate,
    UserMessage,
)
from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.gate import Ask, Gate, PermissionAnswer, PermissionAsk
from punie.agent.permissions.policy import Mode
from punie.agent.tools.base import Tool
from punie.agent.tools.services import Services
from punie.agent.turns.context import Meter, TurnContext
from punie.agent.turns.emit import Emitter
from punie.agent.turns.outcome import Cancellation, TurnOutcome
from punie.agent.workspaces.base import Workspace

if TYPE_CHECKING:
    from pydantic_ai import Agent

log = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[AnyEvent], Awaitable[None]]
OnProgress: TypeAlias = Callable[[Progress], None]


class Brain(NamedTuple):
    """What a turn thinks with."""

    agent: Agent[object, str]
    spec: ModelSpec
    tools: dict[str, Tool[Any, Any]]
    told: Callable[[OnProgress], AbstractContextManager[None]] = lambda _: nullcontext()
    """Lets somebody hear, for a while, how far the model's long steps are."""


class OpenBrain(Protocol):
    """Opens the session's model when a turn needs it; later calls are quick.

    `on_progress` may be called from another thread.
    """

    async def __call__(self, *, on_progress: OnProgress) -> Brain:
        """Open it.

        Raises:
            PunieError: There is no model; the message says what to do.
        """
        ...


class SessionWorkspace(Workspace, Protocol):
    """A workspace that a session owns and closes."""

    def close(self) -> None:
        """Kill what still runs, and start nothing more."""
        ...


class Session:
    """One conversation. Made by `sessions.manager.Sessions`."""

    def __init__(
        self,
        session_id: str,
        *,
        workspace: SessionWorkspace,
        mode: Mode,
        open_brain: OpenBrain,
    ) -> None:
        self.id = session_id
        self.workspace = workspace
        self.services = Services()
        self.gate = Gate(mode, ask=self._ask)
        self.events: list[AnyEvent] = []
        """Everything that happened, in order; progress is shown but not kept."""
        self._open_brain = open_brain
        self._history: list[Any] = []
        self._meter = Meter()
        self._readers: dict[object, tuple[Listener, Ask | None]] = {}
        self._turns: list[Cancellation] = []
        self._one_at_a_time = asyncio.Lock()
        self._emitter: Emitter | None = None
        self._questions: dict[str, str] = {}
        self._used_ids: set[str] = set()

    @property
    def mode(self) -> Mode:
        """How much the session may do without asking."""
        return self.gate.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self.gate.mode = mode

    @property
    def busy(self) -> bool:
        """Whether a prompt runs or waits."""
        return bool(self._turns)

    def attach(self, listener: Listener, *, asker: Ask | None = None) -> Callable[[], None]:
        """Let somebody hear what happens and, perhaps, answer for it.

        Args:
            listener: Awaited with every event, in order; a slow one slows the turn.
            asker: Asked for permissions.

        Returns:
            A function that detaches.
        """
        key = object()
        self._readers[key] = (listener, asker)

        def detach() -> None:
            self._readers.pop(key, None)

        return detach

    async def prompt(self, text: str) -> TurnOutcome:
        """Run a prompt, after those that came before it.

        Args:
            text: What the person wrote.

        Returns:
            How it ended, whatever happened; every event of the turn has been delivered.
        """
        cancellation = Cancellation()
        self._turns.append(cancellation)
        try:
            async with self._one_at_a_time:
                if cancellation.requested:
                    return TurnOutcome(stop_reason="cancelled")
                return await self._turn(text, cancellation)
        finally:
            self._turns.remove(cancellation)

    async def compact(self) -> bool:
        """Shorten the conversation, after the turns that run or wait; told as a compaction.

        Returns:
            Whether there was something to take out.

        Raises:
            PunieError: There is no model.
        """
        async with self._one_at_a_time:
            brain = await self._open_brain(on_progress=lambda _: None)
            from punie.agent.turns.window import compact_now, told

            compacted = compact_now(
                self._history, spec=brain.spec, tools=list(brain.tools.values())
            )
            if compacted is not None:
                self._history = compacted.messages
            async with Emitter(self._deliver) as emitter:
                for event in told(compacted):
                    await emitter.emit(event)
            return compacted is not None

    def cancel(self) -> None:
        """Stop the running turn and drop the prompts that wait."""
        for cancellation in list(self._turns):
            cancellation.cancel()

    async def aclose(self) -> None:
        """Cancel everything and wait until nothing runs any more."""
        self.cancel()
        self.workspace.close()
        async with self._one_at_a_time:
            await self.services.aclose()

    async def _turn(self, text: str, cancellation: Cancellation) -> TurnOutcome:
        async with Emitter(self._deliver) as emitter:
            self._emitter = emitter
            try:
                await emitter.emit(UserMessage(message_id=new_id(), text=text))
                await emitter.emit(StateUpdate(state="running"))
                outcome = await self._think(text, cancellation, emitter)
                await self._withdraw_questions(emitter)
                await emitter.emit(_idle(outcome))
            finally:
                self._emitter = None
        return outcome

    async def _think(self, text: str, cancellation: Cancellation, emitter: Emitter) -> TurnOutcome:
        loop = asyncio.get_running_loop()

        def on_progress(progress: Progress) -> None:  # perhaps in a worker thread
            key = ("progress", progress.what)
            loop.call_soon_threadsafe(emitter.latest, key, lambda: progress)

        try:
            brain = await self._brain(cancellation, on_progress)
        except PunieError as error:
            return TurnOutcome(stop_reason="error", error=str(error), error_code=error.exit_code)
        if brain is None:
            return TurnOutcome(stop_reason="cancelled")
        from punie.agent.turns.run import run_turn

        context = TurnContext(
            workspace=self.workspace,
            gate=self.gate,
            emitter=emitter,
            tools=brain.tools,
            spec=brain.spec,
            services=self.services,
            meter=self._meter,
            cancellation=cancellation,
            claim_id=self._claim_id,
        )
        with brain.told(on_progress):
            end = await run_turn(
                brain.agent, text, context=context, history=self._history, new_id=new_id
            )
        self._history = end.history
        return end.outcome

    async def _brain(self, cancellation: Cancellation, on_progress: OnProgress) -> Brain | None:
        """Open the model; `None` when the person did not want to wait for it."""
        async with _also(cancellation.wait()) as stopped:
            opening = asyncio.ensure_future(self._open_brain(on_progress=on_progress))
            try:
                await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
                return opening.result() if opening.done() else None
            finally:
                if not opening.done():
                    opening.cancel()
                    await asyncio.wait({opening})

    async def _deliver(self, event: AnyEvent) -> None:
        if not isinstance(event, Progress):
            self.events.append(event)
        for key, (listener, _) in list(self._readers.items()):
            try:
                await listener(event)
            except Exception:
                log.exception("reader dropped", extra={"session": self.id})
                self._readers.pop(key, None)

    def _claim_id(self, tool_call_id: str) -> str:
        claimed, count = tool_call_id, 1
        while claimed in self._used_ids:
            count += 1
            claimed = f"{tool_call_id}-{count}"
        self._used_ids.add(claimed)
        return claimed

    async def _ask(self, ask: PermissionAsk) -> PermissionAnswer:
        askers = [asker for _, asker in self._readers.values() if asker is not None]
        if not askers or self._emitter is None:
            return PermissionAnswer(outcome="unanswerable")
        emitter, request_id = self._emitter, new_id()
        self._questions[request_id] = ask.tool_call_id
        await emitter.emit(
            PermissionRequested(
                request_id=request_id,
                tool_call_id=ask.tool_call_id,
                title=ask.title,
                options=tuple(ask.options),
            )
        )
        await emitter.emit(StateUpdate(state="requires_action"))
        answer = await first_answer(askers, ask)
        del self._questions[request_id]
        await emitter.emit(
            PermissionResolved(
                request_id=request_id, outcome=answer.outcome, option_id=answer.option_id
            )
        )
        if not self._questions:
            await emitter.emit(StateUpdate(state="running"))
        return answer

    async def _withdraw_questions(self, emitter: Emitter) -> None:
        """Close what was still being asked when the turn ended."""
        while self._questions:
            request_id, _ = self._questions.popitem()
            await emitter.emit(PermissionResolved(request_id=request_id, outcome="cancelled"))


def new_id() -> str:
    """Make an id that is unique among sessions and machines."""
    return secrets.token_hex(8)


async def first_answer(askers: list[Ask], ask: PermissionAsk) -> PermissionAnswer:
    """Ask everybody at once; the first who allows or rejects decides, the others are cancelled.

    Args:
        askers: At least one.
        ask: The question.

    Returns:
        The first real answer; when nobody gave one, the last thing that was said instead.
    """
    waiting = {asyncio.ensure_future(_answer_of(asker, ask)) for asker in askers}
    answer = PermissionAnswer(outcome="unanswerable")
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                answer = task.result()
                if answer.outcome in {"allowed", "rejected"}:
                    return answer
        return answer
    finally:
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)


async def _answer_of(asker: Ask, ask: PermissionAsk) -> PermissionAnswer:
    try:
        return await asker(ask)
    except Exception:
        log.exception("asker failed")
        return PermissionAnswer(outcome="unanswerable")


def _idle(outcome: TurnOutcome) -> AnyEvent:
    if outcome.stop_reason == "error":
        return StateUpdate(state="idle", stop_reason="error", error=outcome.error)
    return StateUpdate(state="idle", stop_reason=outcome.stop_reason)


@asynccontextmanager
async def _also(awaitable: Awaitable[None]) -> AsyncGenerator[asyncio.Future[None]]:
    """Run something beside a block and cancel it at the block's end."""
    task = asyncio.ensure_future(awaitable)
    try:
        yield task
    finally:
        task.cancel()
