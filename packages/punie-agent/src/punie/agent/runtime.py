"""The one composition root of the commands: settings, model, workspace and sessions put together.

Opening a session is light; the model stack loads in a worker thread when the first turn, or `warm`,
needs it. A model is opened once and shared by all sessions that resolve to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec import structs

from punie.agent import config, stack
from punie.agent.events import Progress, SettingsUpdate
from punie.agent.permissions import remembered
from punie.agent.permissions.policy import MODES, Mode
from punie.agent.permissions.standing import standing_in
from punie.agent.sessions.brain import Brain, OnProgress, OpenBrain, SessionWorkspace
from punie.agent.sessions.journal import Journal
from punie.agent.sessions.manager import Parts, Sessions, new_session_id
from punie.agent.sessions.preferences import Preference, Preferences
from punie.agent.sessions.session import Session
from punie.agent.sessions.settings import read_servers

if TYPE_CHECKING:
    from punie.agent.models.choices import ModelChoice
    from punie.agent.sessions.store import Stored

TRACES = "traces"
"""The folder of traces, in the state folder."""
CLOSING = 2.0
"""Seconds that closing may take."""
LOOK_AGAIN = 2.0
"""Seconds for which a look at the servers of this machine holds."""


class Runtime:
    """What a command composes: sessions that share models."""

    def __init__(
        self, *, model: str | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        """Begin; nothing is opened yet.

        Args:
            model: The model that the command line named.
            environ: Environment variables; those of this process by default.
        """
        self._model = model
        self._environ = os.environ if environ is None else environ
        self._journal = Journal(config.locations(self._environ).state)
        self.sessions = Sessions(self._journal)
        self._preferences = Preferences(config.locations(self._environ).state)
        self._served: list[ModelChoice] = []
        self._written: dict[Path, list[ModelChoice]] = {}
        self._opening: dict[str, _Opening] = {}
        self._looking: asyncio.Future[list[ModelChoice]] | None = None
        self._looked = 0.0
        self._resolving: dict[tuple[Path, str], asyncio.Future[str]] = {}

    def open_session(
        self,
        cwd: Path,
        *,
        session_id: str | None = None,
        mode: Mode | None = None,
        model: str = "",
        thought: str = "",
        workspace: SessionWorkspace | None = None,
    ) -> Session:
        """Begin a session in a folder.

        Args:
            cwd: An existing folder.
            session_id: From `sessions.manager.new_session_id`; made here by default.
            mode: How much it may do without asking; what the settings say by default.
            model: Its model; what the settings lead to by default.
            thought: How much the model is to reason; as it does by itself by default.
            workspace: Where its tools work; this disk by default.

        Raises:
            ConfigError: The settings of the folder cannot be used.
        """
        chosen = mode or _configured_mode(cwd, self._environ)
        parts = self._parts(cwd, chosen, model, workspace)._replace(thought=thought)
        return self.sessions.open(session_id or new_session_id(), **parts._asdict())

    async def load_session(
        self, session_id: str, *, cwd: Path | None = None, workspace: SessionWorkspace | None = None
    ) -> Session:
        """Join a session that is open here, or open one that an earlier process left.

        Args:
            session_id: Which.
            cwd: Its folder; where it was begun by default.
            workspace: Where its tools work, for one that is opened; this disk by default.

        Raises:
            UnknownSessionError: There is none of that id.
            PunieError: It is open in another process, or the file of sessions cannot be read.
        """
        return await self.sessions.load(session_id, self._again(cwd, workspace))

    async def fork_session(
        self,
        session_id: str,
        *,
        new_id: str | None = None,
        cwd: Path | None = None,
        workspace: SessionWorkspace | None = None,
    ) -> Session:
        """Open a copy of a session.

        Args:
            session_id: Which to copy.
            new_id: The copy's id, from `sessions.manager.new_session_id`; made here by default.
            cwd: The copy's folder; the session's own by default.
            workspace: Where the copy's tools work; this disk by default.

        Raises:
            UnknownSessionError: There is none of that id.
            PunieError: The file of sessions cannot be used.
        """
        return await self.sessions.fork(
            session_id, self._again(cwd, workspace), new_id=new_id or new_session_id()
        )

    def _again(
        self, cwd: Path | None, workspace: SessionWorkspace | None
    ) -> Callable[[Stored], Parts]:
        def put_together(stored: Stored) -> Parts:
            folder = cwd or Path(stored.cwd)
            settings = json.loads(stored.settings)
            mode = settings.get("mode")
            chosen = mode if mode in MODES else _configured_mode(folder, self._environ)
            parts = self._parts(folder, chosen, settings.get("model", ""), workspace)
            servers = read_servers(settings.get("servers", []))
            parts = parts._replace(thought=settings.get("thought", ""), servers=servers)
            folders = {str(path) for path in parts.workspace.roots}
            known = {stored.cwd, *settings.get("folders", [])}
            if parts.standing is None or str(parts.workspace.root) != stored.cwd:
                return parts  # what was allowed in one folder was not allowed in another
            if not folders <= known:
                return parts  # nor in one that came along
            earlier = remembered.of_session(settings.get("answers", []))
            return parts._replace(standing=structs.replace(parts.standing, earlier=earlier))

        return put_together

    def _parts(
        self, cwd: Path, mode: Mode, model: str, workspace: SessionWorkspace | None
    ) -> Parts:
        if workspace is None:
            from punie.agent.workspaces.local import LocalWorkspace

            workspace = LocalWorkspace(cwd)

        standing = standing_in(cwd, workspace.root, self._environ)
        return Parts(
            workspace=workspace,
            mode=mode,
            open_brain=self._opener(cwd, model),
            standing=standing,
            model=model,
            traces=self._traces(cwd),
        )

    def _traces(self, cwd: Path) -> Path | None:
        wanted = config.load(cwd, self._environ).traces
        return config.locations(self._environ).state / TRACES if wanted else None

    def _opener(self, cwd: Path, model: str) -> OpenBrain:
        async def open_brain(*, on_progress: OnProgress) -> Brain:
            return await self.brain(cwd, model=model, on_progress=on_progress)

        return open_brain

    @property
    def config_folder(self) -> Path:
        """Where the person's settings and skills are."""
        return config.locations(self._environ).config_file.parent

    def preference(self, cwd: Path) -> Preference:
        """Tell what a new session in a folder should begin with: what was chosen there last.

        A project can tighten the mode that was chosen, and `--model` is above the model.

        Args:
            cwd: An existing folder.

        Raises:
            ConfigError: The settings of the folder cannot be used.
        """
        last = self._preferences.of(cwd)
        explicit = self._model or self._environ.get("PUNIE_MODEL")
        return Preference(
            mode=config.stricter(last.mode, config.load_project(cwd).mode) if last.mode else "",
            model="" if explicit else last.model,
            thought=last.thought,
        )

    async def choose(
        self,
        session: Session,
        *,
        mode: Mode | None = None,
        model: str | None = None,
        thought: str | None = None,
    ) -> None:
        """Change what is chosen for a session, and remember it for the next one in its folder.

        Args:
            session: An open one.
            mode: The new mode; as it is by default.
            model: The new model, from the next turn on; empty for what the settings lead to; as it
                is by default.
            thought: How much the model is to reason from the next turn on; empty leaves it to the
                model; as it is by default.
        """
        modes = {session.mode, session.gate.usual}  # two in a turn that is held to a stricter one
        model = session.model if model is None else model
        thought = session.thought if thought is None else thought
        same_mode = mode is None or modes == {mode}
        if same_mode and (model, thought) == (session.model, session.thought):
            return  # some editors choose everything again before each prompt
        root, session.thought = session.workspace.root, thought
        if mode is not None and not same_mode:
            session.mode = mode
        if model != session.model:
            session.think_with(model, self._opener(root, model))
        session.keep_settings()
        await session.tell(SettingsUpdate(mode=session.mode, model=model, thought=thought))
        chosen = Preference(mode=session.gate.usual, model=model, thought=thought)
        await asyncio.to_thread(self._preferences.keep, root, chosen)

    def models_for(self, session: Session) -> list[ModelChoice]:
        """List the models that a session can be given; those of local servers once `look` saw them.

        Raises:
            ConfigError: The settings of its folder cannot be used.
        """
        from punie.agent.models import choices

        root = session.workspace.root
        if root not in self._written:
            self._written[root] = choices.written(self._model, root, self._environ)
        written = self._written[root]
        current = session.model
        chosen = [choices.ModelChoice(current, current, "Chosen here")] if current else []
        return choices.unique([*written, *self._served, *chosen])

    async def look(self) -> bool:
        """See which models the servers of this machine serve; tell whether that has changed.

        Sessions that are opened together look once: each look is a handful of connections.
        """
        from punie.agent.models import choices

        before, now = self._served, time.monotonic()
        if self._looking is None or (self._looking.done() and now > self._looked + LOOK_AGAIN):
            self._written.clear()
            self._looked = now
            self._looking = asyncio.ensure_future(asyncio.to_thread(choices.look_around))
        self._served = await asyncio.shield(self._looking)
        return self._served != before

    async def warm(self, session: Session) -> None:
        """Open a session's model before the first prompt asks for it.

        Raises:
            PunieError: There is no model; the first prompt will say so again.
        """
        brain = await self.brain(session.workspace.root, model=session.model)
        await session.meet(brain.spec)

    async def brain(
        self, cwd: Path, *, model: str = "", on_progress: OnProgress | None = None
    ) -> Brain:
        """Open a model, or wait for whoever opens it.

        Args:
            cwd: The session's folder.
            model: Which; the one that the settings of the folder lead to by default.
            on_progress: Told how downloading and loading go.

        Raises:
            PunieError: There is no such model; the message says what to do.
        """
        name = await self._resolved(cwd, model or self._model or "")
        opening = self._opening.get(name)
        if opening is None or opening.failed:
            opening = self._opening[name] = _Opening(name)
        with opening.told(on_progress) if on_progress else nullcontext():
            brain = await asyncio.shield(opening.task)
        return await asyncio.to_thread(_as_configured, brain, cwd, self._environ)

    async def _resolved(self, cwd: Path, model: str) -> str:
        """Find out which model is meant; sessions that are opened together ask once."""
        key = (cwd, model)
        if (asked := self._resolving.get(key)) is None:
            asked = asyncio.ensure_future(asyncio.to_thread(_resolve, model, cwd, self._environ))
            self._resolving[key] = asked
            asked.add_done_callback(lambda _: self._resolving.pop(key, None))
        return await asyncio.shield(asked)

    async def aclose(self) -> None:
        """Cancel turns, kill what they started, stop opening models; takes a bounded time."""
        try:
            async with asyncio.timeout(CLOSING):
                await self.sessions.aclose()
        except TimeoutError:
            pass
        tasks = [opening.task for opening in self._opening.values() if not opening.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING)
        await self._journal.aclose()


class _Opening:
    """A model on its way, and everybody who wants to know how far it is."""

    def __init__(self, name: str) -> None:
        self._listeners: list[OnProgress] = []
        self.task = asyncio.ensure_future(self._open(name))

    @property
    def failed(self) -> bool:
        task = self.task
        return task.done() and (task.cancelled() or task.exception() is not None)

    @contextmanager
    def told(self, listener: OnProgress) -> Generator[None]:
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def _open(self, name: str) -> Brain:
        from punie.agent.models import registry
        from punie.agent.tools import catalog
        from punie.agent.turns.build import build_agent

        opened = await registry.open_model(name, on_progress=self._on_progress)
        tools = {tool.name: tool for tool in catalog.select(opened.spec.tools)}
        agent = build_agent(opened.model)
        return Brain(agent=agent, spec=opened.spec, tools=tools, told=self.told)

    def _on_progress(self, progress: Progress) -> None:
        for listener in list(self._listeners):
            listener(progress)


def _as_configured(brain: Brain, cwd: Path, environ: Mapping[str, str]) -> Brain:
    """Check as a folder's settings say, and offer its tools unless the model has its own choice."""
    from punie.agent.models.served import is_small
    from punie.agent.tools import catalog

    settings = config.load(cwd, environ)
    small = is_small(brain.spec.name, brain.spec.context_window)
    if not brain.spec.tools:
        names = settings.tools or catalog.default_names(small=small)
        tools = {tool.name: tool for tool in catalog.select(names)}
        brain = brain._replace(tools=tools)
    folder = config.locations(environ).config_file.parent
    return brain._replace(checks=settings.checks, config_folder=folder)


def _configured_mode(cwd: Path, environ: Mapping[str, str]) -> Mode:
    return cast("Mode", config.load(cwd, environ).mode or config.DEFAULT_MODE)


def _resolve(flag: str | None, cwd: Path, environ: Mapping[str, str]) -> str:
    # In a worker thread: the imports take a second, and a look at the ports takes a moment.
    stack.load()
    if config.load(cwd, environ).spans:
        _tell_spans()
    from punie.agent.models import registry

    return registry.resolve_name(flag, cwd, environ)[0]


def _tell_spans() -> None:
    """Let each run, model call and tool call be a span, without what was said in them."""
    from pydantic_ai import Agent
    from pydantic_ai.models.instrumented import InstrumentationSettings

    Agent.instrument_all(InstrumentationSettings(include_content=False))
