"""The config options of a session: what a person chooses for it in the editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from punie.acp.errors import RequestError
from punie.acp.schema import v2
from punie.agent.models.choices import DEFAULT
from punie.agent.permissions.policy import MODE_DESCRIPTIONS, MODES
from punie.agent.sessions.session import Session

if TYPE_CHECKING:
    from punie.agent.acp.host import Host

MODE = "mode"
MODEL = "model"
THOUGHT = "thought_level"


def options_of(session: Session, host: Host) -> list[v2.SessionConfigOption]:
    """The complete list, with what is chosen now.

    Args:
        session: The session.
        host: Knows the models.
    """
    options: list[v2.SessionConfigOption] = [
        v2.SessionConfigSelect(
            config_id=MODE,
            name="Mode",
            category="mode",
            current_value=session.mode,
            options=[
                v2.SessionConfigSelectOption(
                    value=mode, name=mode.replace("-", " ").capitalize(), description=description
                )
                for mode, description in MODE_DESCRIPTIONS.items()
            ],
        ),
        v2.SessionConfigSelect(
            config_id=MODEL,
            name="Model",
            category="model",
            current_value=session.model or DEFAULT,
            options=[
                v2.SessionConfigSelectOption(
                    value=choice.value, name=choice.name, description=choice.description or None
                )
                for choice in host.models_for(session)
            ],
        ),
    ]
    return [*options, _thought(session)] if session.levels else options


def _thought(session: Session) -> v2.SessionConfigOption:
    """How much the model is to reason, where its spec says that it can be told."""
    levels = {DEFAULT: "As the model does by itself"} | dict.fromkeys(session.levels)
    return v2.SessionConfigSelect(
        config_id=THOUGHT,
        name="Reasoning",
        category="thought_level",
        current_value=session.thought if session.thought in session.levels else DEFAULT,
        options=[
            v2.SessionConfigSelectOption(
                value=level, name=level.capitalize(), description=description
            )
            for level, description in levels.items()
        ],
    )


async def choose(session: Session, host: Host, params: v2.SetSessionConfigOptionRequest) -> None:
    """Choose the value of an option.

    Raises:
        RequestError: There is no such option, or no such value.
    """
    match params.config_id, params.value:
        case "mode", mode:
            if mode not in MODES:
                reason = f"must be one of {', '.join(MODES)}"
                raise RequestError.invalid_params(reason, path="$.value")
            await host.choose(session, mode=mode)
        case "model", str(model):
            known = {choice.value for choice in host.models_for(session)}
            if model not in known:
                reason = "no such model: /model NAME takes those that are not listed"
                raise RequestError.invalid_params(reason, path="$.value")
            await host.choose(session, model="" if model == DEFAULT else model)
        case "thought_level", str(level) if session.levels:
            if level not in {DEFAULT, *session.levels}:
                reason = f"must be one of {', '.join((DEFAULT, *session.levels))}"
                raise RequestError.invalid_params(reason, path="$.value")
            await host.choose(session, thought="" if level == DEFAULT else level)
        case _:
            raise RequestError.invalid_params("unknown option", path="$.configId")
