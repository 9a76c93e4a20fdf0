"""What every model that only knows how to stream has in common. Nothing here knows a model."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import StreamedResponse

MENDED = "mended"
"""Key of a response's details: what was mended in its calls, a clause each."""


async def whole(stream: AbstractAsyncContextManager[StreamedResponse]) -> ModelResponse:
    """Read a streamed answer to its end and give it in one piece.

    Args:
        stream: What a model's `request_stream` returns; opened and closed here.
    """
    async with stream as response:
        async for _ in response:
            pass
        return response.get()
