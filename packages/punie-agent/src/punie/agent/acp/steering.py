"""The extension `_session/steering`: what a person adds while a turn runs.

Source:
    As claude-agent-acp and codex-acp serve it: `{sessionId, prompt, _meta?}` to `{outcome}`, which is
    `injected`, `startedNewTurn` or, where the client asked for that, `promptRequired`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from punie.acp.errors import RequestError
from punie.acp.schema import v2
from punie.agent.acp.prompts import Prompts
from punie.agent.commands import Desk
from punie.agent.events import UserMessage
from punie.agent.sessions.session import new_id
from punie.agent.turns.steering import Steering


class _Behavior(msgspec.Struct, rename="camel"):
    idle_behavior: str = ""


class _Meta(msgspec.Struct):
    steering: _Behavior = msgspec.field(default_factory=_Behavior)


class _Params(msgspec.Struct):
    prompt: list[v2.ContentBlock]
    meta: _Meta = msgspec.field(name="_meta", default_factory=_Meta)


async def steer(desk: Desk, prompts: Prompts, params: dict[str, Any]) -> dict[str, Any]:
    """Put a prompt before the model of the running turn, or begin a turn with it.

    Args:
        desk: The session, and what its commands need.
        prompts: The client's prompts.
        params: As the client sent them.

    Raises:
        RequestError: They are not what the extension takes.
    """
    try:
        asked = msgspec.convert(params, _Params)
    except msgspec.ValidationError as error:
        raise RequestError.invalid_params(str(error), path="$") from error
    session = desk.session
    arrived = await prompts.read(asked.prompt, session)
    said = arrived.asked
    steering = session.services.find(Steering)
    if steering is not None and steering.put(said.text, said.images):
        await session.tell(UserMessage(message_id=new_id(), text=said.text, images=said.images))
        return {"outcome": "injected"}
    if asked.meta.steering.idle_behavior == "promptRequired" and not session.busy:
        return {"outcome": "promptRequired"}
    await prompts.put(desk, arrived)
    return {"outcome": "startedNewTurn"}
