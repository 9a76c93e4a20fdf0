"""JSON in and out of requests, and the bodies that the API takes. `openapi` describes the same types."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct, field

from punie.http.errors import ApiError
from punie.http.limits import BODY_TIMEOUT
from punie.http.store.base import SessionKey

T = TypeVar("T")


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class NewSession(_Body, frozen=True, kw_only=True):
    """Open a session."""

    agent: str | None = None
    """The agent's name; the first one that is ready by default."""
    cwd: str | None = None
    """An existing folder, absolute; where the hub was started by default."""


class NewPrompt(_Body, frozen=True, kw_only=True):
    """Give a session work."""

    text: str
    files: list[str] = field(default_factory=list[str])
    """Files that it mentions, relative to the session's folder."""
    when: Literal["next", "now"] = "next"
    """`next`: when the session is idle. `now`: stop what runs and go first."""


class Choice(_Body, frozen=True, kw_only=True):
    """Choose the value of a config option, such as the mode."""

    config_id: str
    value: str | bool


class Selection(_Body, frozen=True, kw_only=True):
    """Answer an approval, or several that have the same options."""

    option_id: str
    also: list[str] = field(default_factory=list[str])
    """Ids of further approvals that get the same answer."""


class Form(_Body, frozen=True, kw_only=True):
    """Answer a question."""

    content: dict[str, Any] | None = None
    """The form's fields; `null` declines."""


class SlowError(ApiError):
    """A request takes too long to arrive."""

    status = 408


async def read(request: web.Request, of: type[T]) -> T:
    """Read a request's body.

    Raises:
        ApiError: It is no JSON of this shape; the message says where.
        SlowError: It does not come.
    """
    if request.content_type != "application/json":
        raise ApiError("send JSON, with Content-Type: application/json")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await request.read()
    except TimeoutError:
        raise SlowError("the body did not come") from None
    try:
        return msgspec.json.decode(body, type=of)
    except msgspec.DecodeError as error:
        raise ApiError(f"the body is not as it should be: {error}") from None


def answer(value: Any, *, status: int = 200) -> web.Response:
    """Write a JSON answer."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def session_key(request: web.Request) -> SessionKey:
    """The session that the path names; the router lets only digits through."""
    return SessionKey(int(request.match_info["session"][:15]))


def number(request: web.Request, name: str, *, default: int, most: int | None = None) -> int:
    """A number of the query.

    Raises:
        ApiError: It is none.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ApiError(f"{name} is a number, not {text[:30]!r}")
    value = int(text)
    return value if most is None else min(value, most)
