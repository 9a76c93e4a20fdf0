"""What was in unstable drafts of version 1, was removed, and is still sent by older clients.

`models` in the answer of `session/new` went with it: a model is chosen by a config option of the
category `model`.
"""

from __future__ import annotations

from punie.acp.schema._base import Wire


class SetSessionModelRequest(Wire, frozen=True, kw_only=True):
    """`session/set_model`: choose the model."""

    session_id: str
    model_id: str


class SetSessionModelResponse(Wire, frozen=True, kw_only=True):
    """The model is chosen."""
