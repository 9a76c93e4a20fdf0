"""Look into JSON from a stranger, whatever shape it has."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, cast

import msgspec

Message: TypeAlias = dict[str, Any]


def at(value: Any, *keys: str) -> Any:
    """What stands below some keys, or `None`."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = cast("Message", value).get(key)
    return value


def objects(value: Any) -> list[Message]:
    """The objects in a list; none when it is no list."""
    if not isinstance(value, list):
        return []
    return [cast("Message", one) for one in cast("list[Any]", value) if isinstance(one, dict)]


def has(value: Any, *keys: str) -> bool:
    """Whether a value is an object with these keys."""
    return isinstance(value, dict) and set(keys) <= set(cast("Message", value))


class Answer(NamedTuple):
    """What came for a request."""

    message: Message | None
    """The response; `None` when there is none."""
    missing: str = ""
    """Why there is none."""

    @property
    def result(self) -> Message | None:
        """The result, when it is an object."""
        result = (self.message or {}).get("result")
        return cast("Message", result) if isinstance(result, dict) else None

    @property
    def code(self) -> int | None:
        """The code of an error."""
        return at(self.message, "error", "code")

    def describe(self) -> str:
        """What came, for the report."""
        if self.message is None:
            return self.missing
        part = {key: value for key, value in self.message.items() if key not in {"jsonrpc", "id"}}
        text = msgspec.json.encode(part).decode()
        return text if len(text) <= 200 else f"{text[:200]}..."
