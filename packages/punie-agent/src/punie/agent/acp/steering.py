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
from punie.agent.acp.content import prompt_text
from punie.agent.acp.prompts import Prompts
from punie.agent.commands import Desk
from punie.agent.events import UserMessage
from punie.agent.sessions.session import new_id
from punie.agent.turns.steering import Steering


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
        blocks = msgspec.convert(params.get("prompt"), list[v2.ContentBlock])
    except msgspec.ValidationError as error:
        raise RequestError.invalid_params(str(error), path="$.prompt") from error
    session = desk.session
    text = prompt_text(blocks, root=session.workspace.root)
    steering = session.services.find(Steering)
    if steering is not None and steering.put(text):
        await session.tell(UserMessage(message_id=new_id(), text=text))
        return {"outcome": "injected"}
    if _idle_behavior(params) == "promptRequired" and not session.busy:
        return {"outcome": "promptRequired"}
    await prompts.put(desk, text)
    return {"outcome": "startedNewTurn"}


def _idle_behavior(params: dict[str, Any]) -> Any:
    meta = params.get("_meta") or {}
    asked = meta.get("steering") or {} if isinstance(meta, dict) else {}
    return asked.get("idleBehavior") if isinstance(asked, dict) else None
