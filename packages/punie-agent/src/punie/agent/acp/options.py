"""The config options of a session: what a person chooses for it in the editor."""

from __future__ import annotations

from punie.acp.errors import RequestError
from punie.acp.schema import v2
from punie.agent.permissions.policy import MODE_DESCRIPTIONS, MODES
from punie.agent.sessions.session import Session

MODE = "mode"


def options_of(session: Session) -> list[v2.SessionConfigOption]:
    """The complete list, with what is chosen now."""
    return [
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
        )
    ]


def choose(session: Session, params: v2.SetSessionConfigOptionRequest) -> None:
    """Choose the value of an option.

    Raises:
        RequestError: There is no such option, or no such value.
    """
    if params.config_id != MODE:
        raise RequestError.invalid_params("unknown option", path="$.configId")
    if params.value not in MODES:
        raise RequestError.invalid_params(f"must be one of {', '.join(MODES)}", path="$.value")
    if session.mode != params.value:
        session.mode = params.value
