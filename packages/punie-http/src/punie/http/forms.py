"""The forms of questions, and whether what a person filled in fits them.

A form is the `requestedSchema` of ACP's elicitation, as it is on the wire: the JSON schema of an
object one level deep. Formats and patterns are left to the agent, which knows what it wants.
"""

from __future__ import annotations

from typing import Any, cast

from punie.http.errors import ApiError

LONGEST = 100_000
"""Characters of one text, whatever the form says."""

_NAMES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list of texts",
}


class FormError(ApiError):
    """What was filled in does not fit the form.

    Attributes:
        field: The field that is wrong.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


def fit(form: dict[str, Any] | None, content: dict[str, Any]) -> None:
    """Refuse what does not fit a form.

    Args:
        form: The form; with none of its own, nothing can be filled in.
        content: The fields by name.

    Raises:
        FormError: A field is missing, unknown or of another shape.

    Example:
        >>> fit({"properties": {"age": {"type": "integer"}}}, {"age": "ten"})
        Traceback (most recent call last):
        punie.http.forms.FormError: age: this is a whole number
    """
    fields: dict[str, dict[str, Any]] = (form or {}).get("properties") or {}
    for name in content:
        if name not in fields:
            raise FormError(name, f"the form has no such field; it has: {', '.join(fields)}")
    for name in (form or {}).get("required") or ():
        if content.get(name) is None:
            raise FormError(name, "this is needed")
    for name, value in content.items():
        _fit_field(name, fields[name], value)


def _fit_field(name: str, field: dict[str, Any], value: Any) -> None:
    kind = str(field.get("type"))
    if not _is(kind, value):
        raise FormError(name, f"this is {_NAMES[kind]}")
    match kind:
        case "string":
            _within(name, len(value), field, "minLength", "maxLength", "characters")
            _offered(name, [value], field.get("enum"), field.get("oneOf"))
        case "number" | "integer":
            _within(name, value, field, "minimum", "maximum", "")
        case "array":
            items: dict[str, Any] = field.get("items") or {}
            _within(name, len(value), field, "minItems", "maxItems", "choices")
            _offered(name, value, items.get("enum"), items.get("anyOf"))
        case _:
            pass


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str) and len(value) <= LONGEST
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list) and all(
                isinstance(one, str) for one in cast("list[Any]", value)
            )
        case _:
            return True  # a kind of a later version: the agent decides


def _within(name: str, size: float, field: dict[str, Any], low: str, high: str, unit: str) -> None:
    least, most = field.get(low), field.get(high)
    if least is not None and size < least:
        raise FormError(name, f"at least {least} {unit}".rstrip())
    if most is not None and size > most:
        raise FormError(name, f"at most {most} {unit}".rstrip())


def _offered(
    name: str, chosen: list[str], values: list[str] | None, titled: list[dict[str, Any]] | None
) -> None:
    offered = values or [one["const"] for one in titled or ()]
    for value in chosen:
        if offered and value not in offered:
            raise FormError(name, f"{value[:50]!r} is none of {', '.join(offered)}")
