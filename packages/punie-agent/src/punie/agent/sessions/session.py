"""A session: one conversation in one folder, one turn at a time, told to every attached reader.

Prompts that come while a turn runs wait their turn. Whoever is attached hears every event in order
before the prompt's outcome is known; whoever can answer is asked for permission, and the first
answer wins. An event is on disk, by the session's record, before anybody hears it. The model stack is
loaded only when a turn begins.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from punie.agent.errors import PunieError, UndoError
from punie.agent.events import (
    AnyEvent,
    CompactionUpdate,
    FilesChanged,
    ImageContent,
    Progress,
    SessionInfoUpdate,
    SettingsUpdate,
    StateUpdate,
    UserMessage,
)
from punie.agent.mcp.server import McpServer
from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.gate import Ask, Gate, PermissionAnswer, PermissionAsk, Standing
from punie.agent.permissions.policy import Mode
from punie.agent.sessions.brain import OpenBrain, SessionWorkspace, opened
from punie.agent.sessions.callids import CallIds
from punie.agent.sessions.memory import Memory
from punie.agent.sessions.modes import for_a_turn
from punie.agent.sessions.news import with_news
from punie.agent.sessions.questions import Questions
from punie.agent.sessions.readers import Listener, Readers
from punie.agent.sessions.recovery import Cut, Past, find_cut
from punie.agent.sessions.replay import replay
from punie.agent.sessions.replies import Reply, replied, replying_in
from punie.agent.sessions.titles import last_title, title_of
from punie.agent.tools.services import Services
from punie.agent.turns.emit import Emitter
from punie.agent.turns.outcome import Cancellation, TurnOutcome

if TYPE_CHECKING:
    from punie.agent.sessions.checkpoints import Checkpoints
    from punie.agent.sessions.record import Record


class Session:
    """One conversation. Made by `sessions.manager.Sessions`."""

    def __init__(
        self,
        session_id: str,
        *,
        workspace: SessionWorkspace,
        mode: Mode,
        open_brain: OpenBrain,
        standing: Standing | None = None,
        model: str = "",
        thought: str = "",
        servers: tuple[McpServer, ...] = (),
        record: Record | None = None,
        past: Past | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.id = session_id
        self.workspace = workspace
        self.services = Services()
        self.gate = Gate(mode, ask=self._ask, standing=standing, keep=self.keep_settings)
        self.events: list[AnyEvent] = [] if past is None else past.events
        """Everything that happened, in order; progress is shown but not kept."""
        self.title = last_title(self.events)
        self.model = model
        """The model that was chosen for it; empty when nobody did, and the settings decide."""
        self.thought = thought
        """How much the model is to reason; empty, or none of its `levels`, leaves it to the model."""
        self.levels: tuple[str, ...] = ()
        """What its model can be told of that; known once it is open."""
        self.servers = servers
        """The MCP servers that it reaches, or reached in an earlier process."""
        self._open_brain = open_brain
        self._record = record
        self.memory = Memory(record, past)
        self.checkpoints = checkpoints
        self._cut: Cut | None = None
        self._readers = Readers()
        self._turns: list[Cancellation] = []
        self._one_at_a_time = asyncio.Lock()
        self._emitter: Emitter | None = None
        self._questions = Questions(new_id)
        self.call_ids = CallIds(self.events)

    @property
    def mode(self) -> Mode:
        """How much the session may do without asking; in a turn that is held to less, that."""
        return self.gate.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self.gate.mode = self.gate.usual = mode
        self.keep_settings()

    def think_with(self, model: str, open_brain: OpenBrain) -> None:
        """Change the model from the next turn on; the conversation stays as it is.

        Args:
            model: Its name; empty for what the settings lead to.
            open_brain: Opens it.
        """
        self.model, self._open_brain = model, open_brain
        self.keep_settings()

    async def meet(self, spec: ModelSpec) -> None:
        """Learn what its model can be told about reasoning, and tell when that is new."""
        if spec.thought_levels != self.levels:
            self.levels = spec.thought_levels
            chosen = SettingsUpdate(mode=self.mode, model=self.model, thought=self.thought)
            await self.tell(chosen)

    def keep_settings(self) -> None:
        """Write what it should start with when it is loaded."""
        if self._record is not None:
            from punie.agent.sessions.settings import settings_of

            self._record.set_settings(**settings_of(self))

    @property
    def asking(self) -> bool:
        """Whether a person is being asked."""
        return self._questions.open

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
        if asker is not None:
            self._questions.ask_too(asker)
        return self._readers.add(listener, asker, since=len(self.events))

    async def join(self, listener: Listener, *, asker: Ask | None = None) -> Callable[[], None]:
        """Tell somebody what happened so far, then everything that happens, without a gap.

        Args:
            listener: As for `attach`; hears the past as `sessions.replay` shortens it.
            asker: Asked for permissions from now on.

        Returns:
            A function that detaches.
        """
        heard = 0
        while heard < len(self.events):
            past = self.events[heard:]
            heard += len(past)
            for event in replay(past):
                await listener(event)
        return self.attach(listener, asker=asker)

    async def recover(self, *, asks: bool = True) -> None:
        """Close what the process before left open. Called once, before anybody listens.

        Args:
            asks: A question that was open stays open, for `go_on`.
        """
        cut = find_cut(self.events, asks=asks)
        if cut is None:
            return
        self._cut = cut if cut.asks else None
        if self.checkpoints is not None:
            told = [e.checkpoint for e in self.events if isinstance(e, FilesChanged)]
            await self.checkpoints.go_on(told)
            if not cut.asks:
                await self._tell_changes()
        for event in cut.closing:
            await self._deliver(event)

    async def undo(self, path: str = "") -> FilesChanged:
        """Take back what the latest turn, or the latest undo, changed; after the running turn.

        Args:
            path: Only what was last done to this file.

        Returns:
            What was changed by that; readers have been told.

        Raises:
            UndoError: There is nothing to take back, or a file was changed since; nothing was done.
        """
        if self.checkpoints is None:
            raise UndoError("This session keeps nothing that could be taken back.")
        async with self._between_turns():
            changed = await self.checkpoints.undo(path)
            await self._deliver(changed)
        return changed

    async def _tell_changes(self) -> None:
        changed = None if self.checkpoints is None else await self.checkpoints.end_turn()
        if changed is not None:
            await self._deliver(changed)

    async def go_on(self) -> TurnOutcome | None:
        """Ask again what was being asked when the process before ended, and finish that turn.

        Returns:
            How it ended; `None` when nothing was being asked.
        """
        cut, self._cut = self._cut, None
        return None if cut is None else await self._queued(None, mode=cut.mode)

    async def prompt(
        self,
        text: str,
        *,
        images: tuple[ImageContent, ...] = (),
        message_id: str = "",
        reply: Reply | None = None,
        mode: Mode | None = None,
    ) -> TurnOutcome:
        """Run a prompt, after those that came before it.

        Args:
            text: What the person wrote.
            images: What the person showed with it.
            message_id: By which its `UserMessage` is known, from `new_id`; made here by default.
            reply: Answers instead of the model, which hears nothing of it.
            mode: The mode of this turn alone, unless the session's is stricter.

        Returns:
            How it ended, whatever happened; every event of the turn has been delivered.
        """
        message = UserMessage(message_id=message_id or new_id(), text=text, images=images)
        return await self._queued(message, reply, mode)

    async def _queued(
        self, message: UserMessage | None, reply: Reply | None = None, mode: Mode | None = None
    ) -> TurnOutcome:
        cancellation = Cancellation()
        self._turns.append(cancellation)
        try:
            async with self._one_at_a_time:
                overtaken = message is None and not self.memory.unread
                if cancellation.requested or overtaken:
                    return TurnOutcome(stop_reason="cancelled")
                return await self._turn(message, cancellation, reply, mode)
        finally:
            self._turns.remove(cancellation)

    async def compact(self) -> bool:
        """Shorten the conversation, after the turns that run or wait; told as a compaction.

        Returns:
            Whether there was something to take out.

        Raises:
            PunieError: There is no model.
        """
        async with self._between_turns():
            brain = await self._open_brain(on_progress=lambda _: None)
            events = await self.memory.shorten(brain)
            for event in events:
                await self._deliver(event)
            return isinstance(last := events[-1], CompactionUpdate) and last.status == "completed"

    def _between_turns(self) -> AbstractAsyncContextManager[None]:
        # A reply is a turn itself: it would wait for its own end.
        return nullcontext() if replying_in(self) else self._one_at_a_time

    async def tell(self, event: AnyEvent) -> None:
        """Tell something that no turn made, now."""
        await (self._deliver(event) if self._emitter is None else self._emitter.emit(event))

    def cancel(self) -> None:
        """Stop the running turn and drop the prompts that wait."""
        for cancellation in list(self._turns):
            cancellation.cancel()

    async def leave(self) -> None:
        """End with the process: what is being asked stays open, for the next one to ask again."""
        if self._record is not None and self._questions.open:
            self._record.stop()
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel everything and wait until nothing runs any more."""
        self.cancel()
        self.workspace.close()
        async with self._one_at_a_time:
            await self.services.aclose()
            if self._record is not None:
                await self._record.end()

    async def _turn(
        self,
        message: UserMessage | None,
        cancellation: Cancellation,
        reply: Reply | None,
        mode: Mode | None,
    ) -> TurnOutcome:
        async with Emitter(self._deliver) as emitter:
            self._emitter = emitter
            try:
                if message is not None:
                    await emitter.emit(message)
                await emitter.emit(StateUpdate(state="running"))
                if reply is None:
                    async with for_a_turn(self, mode):
                        outcome = await self._think(message, cancellation, emitter)
                else:
                    outcome = await replied(self, reply, cancellation, emitter)
                await self._questions.withdraw(emitter)
                await self._tell_changes()
                await emitter.emit(outcome.idle)
            finally:
                self._emitter = None
        return outcome

    async def _entitle(self, message: UserMessage | None, emitter: Emitter) -> None:
        if not self.title and message is not None and (title := title_of(message.text)):
            self.title = title
            await emitter.emit(SessionInfoUpdate(title=title))

    async def _think(
        self, message: UserMessage | None, cancellation: Cancellation, emitter: Emitter
    ) -> TurnOutcome:
        await self._entitle(message, emitter)
        loop = asyncio.get_running_loop()

        def on_progress(progress: Progress) -> None:  # perhaps in a worker thread
            key = ("progress", progress.what)
            loop.call_soon_threadsafe(emitter.latest, key, lambda: progress)

        try:
            brain = await opened(self._open_brain, cancellation, on_progress=on_progress)
        except PunieError as error:
            return TurnOutcome(stop_reason="error", error=str(error), error_code=error.exit_code)
        if brain is None:
            return TurnOutcome(stop_reason="cancelled")
        from punie.agent.sessions.additions import with_additions
        from punie.agent.sessions.thinking import context_of
        from punie.agent.turns.run import run_turn

        await self.meet(brain.spec)
        rules, services = self.gate.rules, self.services
        brain = await with_additions(
            brain, self.workspace, services, emitter=emitter, cancellation=cancellation, rules=rules
        )
        restored = self.memory.recall(brain, goes_on=message is None)
        context = context_of(
            self, brain, emitter=emitter, cancellation=cancellation, restored=restored
        )
        with brain.told(on_progress):
            end = await run_turn(
                brain.agent,
                with_news(message, self.events),
                context=context,
                history=self.memory.messages,
                new_id=new_id,
            )
        await emitter.flush()
        await self.memory.end_turn(end.history, end.outcome, model=brain.spec.spec)
        return end.outcome

    async def _deliver(self, event: AnyEvent) -> None:
        place = len(self.events)
        notice = None
        if not isinstance(event, Progress):
            self.events.append(event)
            if self._record is not None:
                notice = await self._record.append(event)
        await self._readers.tell(event, place)
        if notice is not None:
            await self._deliver(notice)

    async def _ask(self, ask: PermissionAsk) -> PermissionAnswer:
        askers = self._readers.askers
        if not askers or self._emitter is None:
            return PermissionAnswer(outcome="unanswerable")
        return await self._questions.put(ask, askers, self._emitter)


def new_id() -> str:
    """Make an id that is unique among sessions and machines."""
    return secrets.token_hex(8)
