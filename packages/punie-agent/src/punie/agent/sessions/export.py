"""A session as a document: Markdown for people, JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from punie.agent.events import (
    AgentMessageChunk,
    AgentThoughtChunk,
    AnyEvent,
    DiffContent,
    FilesChanged,
    Notice,
    TerminalContent,
    TextContent,
    ToolCallUpdate,
    ToolContent,
    UserMessage,
)
from punie.agent.markdown import fenced
from punie.agent.sessions.replay import replay
from punie.agent.sessions.store import Stored

FORMAT = "punie-session"
VERSION = 1


class Exported(Struct, frozen=True, kw_only=True):
    """The JSON form; fields are only ever added."""

    format: str
    version: int
    session: Stored
    events: list[AnyEvent]
    messages: list[Any]
    """What the model read and said, as Pydantic AI writes it."""


def to_json(session: Stored, events: Iterable[AnyEvent], messages: Iterable[bytes]) -> bytes:
    """Write everything that is kept of a session.

    Args:
        session: Which.
        events: What happened, in order.
        messages: The model's messages, JSON one each.
    """
    whole = Exported(
        format=FORMAT,
        version=VERSION,
        session=session,
        events=list(events),
        messages=[msgspec.json.decode(message) for message in messages],
    )
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def to_markdown(session: Stored, events: Iterable[AnyEvent]) -> str:
    """Write a session as a person would read it.

    Args:
        session: Which.
        events: What happened, in order.
    """
    head = [
        f"# {session.title or 'Session without a title'}",
        f"Session `{session.session_id}` in `{session.cwd}`,"
        f" {moment(session.created)} to {moment(session.updated)}.",
    ]
    return "\n\n".join([*head, *_blocks(replay(events))]) + "\n"


def moment(seconds: float) -> str:
    """Write a time, such as `2026-11-24 21:30 UTC`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _blocks(events: Sequence[AnyEvent]) -> Iterator[str]:
    for event in events:
        match event:
            case UserMessage(text=text, images=images):
                shown = [f"*(image, {image.mime_type})*" for image in images]
                yield "\n\n".join(filter(None, ["## You", text, *shown]))
            case AgentMessageChunk(text=text):
                yield f"## Punie\n\n{text}"
            case AgentThoughtChunk(text=text):
                yield "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())
            case ToolCallUpdate():
                yield _call(event)
            case FilesChanged():
                yield f"*{event.headline()}*"
            case Notice(title=title, description=description):
                yield f"*{title}. {description}*" if description else f"*{title}*"
            case _:
                pass


def _call(call: ToolCallUpdate) -> str:
    title = call.tool_call_id if call.title is UNSET else call.title
    status = "pending" if call.status is UNSET else call.status
    parts = [f"### {' '.join(title.split())} ({status})"]
    parts += [] if call.content is UNSET else [_content(content) for content in call.content]
    return "\n\n".join(parts)


def _content(content: ToolContent) -> str:
    match content:
        case TextContent(text=text):
            return fenced(text.rstrip())
        case DiffContent(path=path, old_text=old, new_text=new):
            import difflib

            lines = difflib.unified_diff(
                (old or "").splitlines(),
                new.splitlines(),
                path if old is not None else "/dev/null",
                path,
                lineterm="",
            )
            return fenced("\n".join(lines).rstrip(), "diff")
        case TerminalContent(terminal_id=terminal_id):
            return f"(in the editor's terminal `{terminal_id}`)"
