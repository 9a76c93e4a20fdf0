"""An agent for your own program: Punie's tools and permissions behind a plain Pydantic AI agent.

    from punie.agent.factory import create_pydantic_agent

    agent = create_pydantic_agent(model="local", cwd="my-project")
    result = await agent.run("Which tests fail, and why?")

Importing this module loads Pydantic AI, and nothing of a model: that is opened by the first run.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from punie.agent import config
from punie.agent.errors import ConfigError
from punie.agent.events import AnyEvent
from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.policy import MODES, Mode
from punie.agent.permissions.standing import standing_in
from punie.agent.turns.build import build_agent
from punie.agent.turns.context import TurnContext
from punie.agent.turns.emit import Emitter
from punie.agent.workspaces.base import Workspace

if TYPE_CHECKING:
    from pydantic_ai import Agent
    from pydantic_ai.models import Model

    from punie.agent.permissions.gate import Ask
    from punie.agent.tools.base import Tool

OnEvent = Callable[[AnyEvent], Awaitable[None]]


def create_pydantic_agent(
    model: str | Model | None = None,
    *,
    workspace: Workspace | None = None,
    cwd: Path | str | None = None,
    mode: Mode | None = None,
    ask: Ask | None = None,
    on_event: OnEvent | None = None,
) -> Agent[object, str]:
    """Make a Pydantic AI agent with Punie's tools, ready for `await agent.run("...")`.

    Args:
        model: A model spec such as `"local"`, `"embedded"` or `"openai:gpt-5"`, or a Pydantic AI
            model. Without one, it is found as `punie ask` finds it: environment, settings, a local
            server that answers, the embedded model.
        workspace: Where tools work; the folder `cwd` of this disk by default.
        cwd: The project's folder; the current one by default. Not together with `workspace`.
        mode: How much the agent may do without asking; by default `ask`, or what the settings of the
            folder say if that is stricter.
        ask: Asked for permission when the mode says so. Without it, what would have to be asked is
            denied, and the model is told.
        on_event: Awaited with every tool call, its result and the usage, as session events.

    Returns:
        The agent. A model named by a spec is opened by the first run. Runs share no history unless
        you pass `message_history`. The rules of the person and of the project hold, and so does what
        was answered with "always" for the project.

    Raises:
        ConfigError: `mode` is unknown, `cwd` is no folder, or its settings cannot be used.

    Example:
        >>> from pydantic_ai.models.test import TestModel
        >>> agent = create_pydantic_agent(TestModel(call_tools=["git_status"]))
        >>> agent.run_sync("What has changed?").output  # doctest: +ELLIPSIS
        '{"git_status":...'
    """
    if mode is not None and mode not in MODES:
        raise ConfigError(f"unknown mode {mode!r}; known are {', '.join(MODES)}")
    place = workspace or _local(Path.cwd() if cwd is None else Path(cwd))
    source = _Source(model, place.root)
    chosen = mode or _strict(place.root)
    standing = standing_in(place.root, place.root)

    def new_context() -> TurnContext:
        from punie.agent.permissions.gate import Gate

        return TurnContext(
            workspace=place,
            gate=Gate(chosen, ask=ask, standing=standing),
            emitter=Emitter(on_event or _nobody),
            tools=source.known.tools,
            spec=source.known.spec,
        )

    return build_agent(source.open, new_context=new_context)


def _strict(root: Path) -> Mode:
    """Give the default mode, or a stricter one of the settings."""
    configured = config.load(root).mode
    return cast("Mode", config.stricter(config.DEFAULT_MODE, configured))


class _Known(NamedTuple):
    model: Model
    spec: ModelSpec
    tools: dict[str, Tool[Any, Any]]


class _Source:
    """A model that is opened once, by the first run."""

    def __init__(self, model: str | Model | None, root: Path) -> None:
        self._model = model
        self._root = root
        self._known: _Known | None = None

    @property
    def known(self) -> _Known:
        if self._known is None:
            raise LookupError("the model is opened before a run gets its context")
        return self._known

    async def open(self) -> Model:
        if self._known is None:
            self._known = await self._open()
        return self._known.model

    async def _open(self) -> _Known:
        from punie.agent.tools import catalog

        if self._model is None or isinstance(self._model, str):
            from punie.agent.models import registry

            name, _ = registry.resolve_name(self._model, self._root, os.environ)
            opened = await registry.open_model(name)
            spec, model = opened.spec, opened.model
        else:
            model = self._model
            # No sampling settings of ours: the model brings its own.
            spec = ModelSpec(spec="")
        return _Known(model, spec, {tool.name: tool for tool in catalog.select(spec.tools)})


def _local(folder: Path) -> Workspace:
    from punie.agent.workspaces.local import LocalWorkspace

    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder")
    return LocalWorkspace(folder)


async def _nobody(_event: AnyEvent) -> None:
    """Hear an event and do nothing."""
