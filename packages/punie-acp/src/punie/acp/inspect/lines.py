"""Frames as lines for people: who, when, which method, how long an answer took, what is in it."""

from __future__ import annotations

import base64
from typing import Any, cast

import msgspec

from punie.acp.recording import Sender, readable, redact

_WIDTH = 160
"""Characters of content in a line."""
_ARROWS: dict[Sender, str] = {"client": "client -> agent ", "agent": "client <- agent "}


class Describer:
    """Turns frames into lines; remembers requests, to name what an answer answers."""

    def __init__(self) -> None:
        self._asked: dict[tuple[Sender, object], tuple[str, float]] = {}

    def line(self, sender: Sender, frame: bytes, at: float) -> str:
        """Describe a frame.

        Args:
            sender: Who sent it.
            frame: As it passed, without its line end.
            at: Seconds since the start.
        """
        text = self._describe(sender, frame, at)
        printable = "".join(one if one.isprintable() else "?" for one in text)
        return f"{at:9.3f}  {_ARROWS[sender]} {printable}"

    def _describe(self, sender: Sender, frame: bytes, at: float) -> str:
        clean = redact(frame)
        if clean is None:
            return f"NOT JSON  {_short(readable(frame))}"
        value: object = msgspec.json.decode(clean)
        if not isinstance(value, dict):
            return f"NOT A MESSAGE  {_short(clean.decode())}"
        message = cast("dict[str, Any]", value)
        if "method" in message:
            return self._call(sender, message, at)
        return self._answer(sender, message, at)

    def _call(self, sender: Sender, message: dict[str, Any], at: float) -> str:
        method, params = str(message["method"]), message.get("params", {})
        content = _update(params) if method == "session/update" else _short(_text(params))
        if "id" not in message:
            return f"{method}  {content}"
        self._asked[sender, _hashable(message["id"])] = (method, at)
        return f"{method} #{message['id']}  {content}"

    def _answer(self, sender: Sender, message: dict[str, Any], at: float) -> str:
        asker: Sender = "client" if sender == "agent" else "agent"
        number = message.get("id")
        method, asked = self._asked.pop((asker, _hashable(number)), ("nothing that was asked", at))
        took = f"after {(at - asked) * 1000:.0f} ms"
        if message.get("error") is not None:
            return f"{method} #{number} FAILED {took}  {_short(_text(message['error']))}"
        return f"{method} #{number} answered {took}  {_short(_text(message.get('result')))}"


def _update(params: Any) -> str:
    """An update: its session, its kind, and the text if it is one."""
    try:
        update = dict(params["update"])
        session, kind = params["sessionId"], update.pop("sessionUpdate")
    except (KeyError, TypeError, ValueError):
        return _short(_text(params))
    return f"{session} {kind}  {_short(_content(cast('dict[str, Any]', update)))}"


def _content(update: dict[str, Any]) -> str:
    """What an update says: a text, a state, what a terminal printed, else all of it."""
    match update:
        case {"content": {"text": text}}:
            return _text(text)
        case {"content": [{"type": "text", "text": text}]}:
            return _text(text)
        case {"state": "idle", "stopReason": reason}:
            return f"idle, {reason}"
        case {"state": str(state)}:
            return state
        case {"terminalId": terminal, "data": str(data)}:
            return f"{terminal}  {_text(_printed(data))}"
        case _:
            return _text(update)


def _printed(data: str) -> str:
    """The output of a terminal of version 2; as it came when it is no base64."""
    try:
        return base64.b64decode(data, validate=True).decode(errors="replace")
    except ValueError:
        return data


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}... ({len(text)} characters)"


def _hashable(value: object) -> object:
    return value if isinstance(value, str | int | None) else repr(value)
