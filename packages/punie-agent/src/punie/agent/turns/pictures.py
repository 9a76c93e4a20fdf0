"""Images of a prompt: given to a model that sees them, and named to one that does not.

The conversation keeps them either way, so a model that is chosen later sees what an earlier one did not.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence

from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    UserContent,
    UserPromptPart,
)

from punie.agent.events import ImageContent, Notice
from punie.agent.models.spec import ModelSpec

UNSEEN = "[an image was attached here, which this model cannot see]"


def content_of(text: str, images: Sequence[ImageContent]) -> str | list[UserContent]:
    """Write a prompt as Pydantic AI takes it.

    Args:
        text: The prompt.
        images: What came with it; their data is known to be base64.
    """
    if not images:
        return text
    pictures: list[UserContent] = [
        BinaryContent(data=base64.b64decode(image.data), media_type=image.mime_type)
        for image in images
    ]
    return [text, *pictures] if text else pictures


def unseen(spec: ModelSpec, images: Sequence[ImageContent]) -> Notice | None:
    """Say that a model does not see the images of a prompt, if so.

    Args:
        spec: The model.
        images: Those of the prompt.
    """
    if not images or spec.images:
        return None
    return Notice(
        severity="warning",
        title=f"{spec.name or spec.spec} sees no images: it is told that there is one",
        description="The image stays in the conversation, for a model that does.",
    )


def without_images(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Put words in the places of images; messages without any stay as they are."""
    return [
        dataclasses.replace(message, parts=[_without(part) for part in message.parts])
        if isinstance(message, ModelRequest) and any(map(_shows, message.parts))
        else message
        for message in messages
    ]


def _shows(part: ModelRequestPart) -> bool:
    return (
        isinstance(part, UserPromptPart)
        and not isinstance(part.content, str)
        and any(isinstance(piece, BinaryContent) for piece in part.content)
    )


def _without(part: ModelRequestPart) -> ModelRequestPart:
    if not isinstance(part, UserPromptPart) or isinstance(part.content, str):
        return part
    pieces = [UNSEEN if isinstance(one, BinaryContent) else one for one in part.content]
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return dataclasses.replace(part, content="\n\n".join(texts) if texts == pieces else pieces)
