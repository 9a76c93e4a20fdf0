"""Sessions as a client lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from punie.acp.errors import RequestError
from punie.acp.schema import v2
from punie.agent.sessions.manager import Sessions, UnknownCursorError

LIVE = "punie/live"
"""Whether a session is open in this process, and so can be joined."""


async def page(sessions: Sessions, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
    """Read one page of the sessions that are open or kept.

    Raises:
        RequestError: The cursor is none of ours.
    """
    cwd = None if params.cwd is None else Path(params.cwd)
    try:
        read = await sessions.page(cwd=cwd, cursor=params.cursor)
    except UnknownCursorError:
        raise RequestError.invalid_params("unknown cursor", path="$.cursor") from None
    return v2.ListSessionsResponse(
        sessions=[
            v2.SessionInfo(
                session_id=one.session_id,
                cwd=one.cwd,
                additional_directories=_folders(one.settings),
                title=one.title or None,
                updated_at=datetime.fromtimestamp(one.updated, UTC).isoformat(),
                meta={LIVE: sessions.is_open(one.session_id)},
            )
            for one in read.sessions
        ],
        next_cursor=read.next_cursor,
    )


def _folders(settings: str) -> list[str]:
    return [str(folder) for folder in msgspec.json.decode(settings).get("folders", [])]
