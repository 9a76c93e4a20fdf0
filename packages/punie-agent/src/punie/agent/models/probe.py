"""Prove that a model is the one that was asked for: by the server's list, by its answer's own id.

Servers load whatever a request names and some answer with another model; a score or a session on
the wrong model is worse than none.
"""

from __future__ import annotations

import asyncio

from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelRequest, TextPart, ThinkingPart
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from punie.agent.errors import ModelUnavailableError
from punie.agent.models import servers
from punie.agent.models.http import ChatModel

_LONGEST_ANSWER = 64
"""Tokens; enough for a word, also after some reasoning."""


async def probe(model: Model, prompt: str) -> str:
    """Let a model answer once.

    Args:
        model: Opened by the registry.
        prompt: A short one.

    Returns:
        What it said or, when it got no further, what it thought.

    Raises:
        ModelUnavailableError: Its server does not list it, or it does not answer.
    """
    if isinstance(model, ChatModel):
        await asyncio.to_thread(_check_listed, model)
    settings = ModelSettings(max_tokens=_LONGEST_ANSWER, temperature=0.0)
    try:
        response = await model_request(
            model, [ModelRequest.user_text_prompt(prompt)], model_settings=settings
        )
    except ModelAPIError as error:
        raise ModelUnavailableError(
            f"{model.model_name} does not answer a probe: {error}"
        ) from error
    if isinstance(model, ChatModel):
        _check_answered(model, (response.provider_details or {}).get("model"))
    spoken = [part.content for part in response.parts if isinstance(part, TextPart)]
    thought = [part.content for part in response.parts if isinstance(part, ThinkingPart)]
    return "".join(spoken) or "".join(thought)


def _check_listed(model: ChatModel) -> None:
    answering = servers.look([model.url], timeout=5)
    listed = answering[0].models if answering else ()
    if answering and not listed:
        return  # the id in its answer has to do
    if model.model_name not in listed:
        have = ", ".join(listed) or "nothing"
        raise ModelUnavailableError(
            f"the server at {model.url} does not list {model.model_name}; it lists {have}"
        )


def _check_answered(model: ChatModel, answered: str | None) -> None:
    if answered and answered != model.model_name:
        raise ModelUnavailableError(
            f"the server at {model.url} was asked for {model.model_name} and answered as {answered}"
        )
