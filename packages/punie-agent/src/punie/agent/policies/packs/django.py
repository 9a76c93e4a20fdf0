"""Django: fields of models, and SQL that is put together from values."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from punie.agent.policies.base import Change, Finding, dotted, is_built, keyword, policy

_RELATIONS = ("models.ForeignKey", "models.OneToOneField", "ForeignKey", "OneToOneField")
_NOW = ("timezone.now", "datetime.now", "datetime.datetime.now", "datetime.utcnow", "date.today")


def _fields(change: Change) -> Iterator[ast.Call]:
    for node in ast.walk(change.tree):
        name = dotted(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name.startswith("models.") and name.endswith("Field"):
            yield node


@policy("django/on-delete")
def on_delete(change: Change) -> Iterator[Finding]:
    """A relation without `on_delete` raises `TypeError` when the models are loaded."""
    if not change.imports("django"):
        return
    for node in change.calls(*_RELATIONS):
        splat = any(one.arg is None for one in node.keywords)
        if len(node.args) < 2 and keyword(node, "on_delete") is None and not splat:
            yield Finding(
                line=node.lineno,
                message=f"{dotted(node.func)} needs on_delete",
                suggestion="such as on_delete=models.CASCADE",
            )


@policy("django/default-called")
def default_called(change: Change) -> Iterator[Finding]:
    """`default=timezone.now()` is the time of the import, for every row."""
    if not change.imports("django"):
        return
    for node in _fields(change):
        match keyword(node, "default"):
            case ast.Call(func=func, args=[], keywords=[]) if dotted(func) in _NOW:
                name = dotted(func)
                message = f"{name}() is called once, at import"
                yield Finding(line=node.lineno, message=message, suggestion=f"default={name}")
            case ast.List() | ast.Dict() | ast.Set():
                message = "all rows share this one mutable default"
                yield Finding(line=node.lineno, message=message, suggestion="default=list or dict")
            case _:
                pass


@policy("django/built-sql")
def built_sql(change: Change) -> Iterator[Finding]:
    """SQL with values put into it can be made to do anything."""
    if not change.imports("django"):
        return
    for node in change.calls(".execute", ".executemany", ".raw", "RawSQL"):
        if node.args and is_built(node.args[0]):
            yield Finding(
                line=node.lineno,
                message="SQL is put together from values",
                suggestion="use %s and pass the values as parameters",
            )


@policy("django/null-text")
def null_text(change: Change) -> Iterator[Finding]:
    """A text column with `null=True` has two empty values."""
    if not change.imports("django"):
        return
    for node in _fields(change):
        null = keyword(node, "null")
        is_null = isinstance(null, ast.Constant) and null.value is True
        text = dotted(node.func) in {"models.CharField", "models.TextField"}
        if text and is_null and keyword(node, "unique") is None:
            yield Finding(
                line=node.lineno,
                message="a text column with null=True has two empty values",
                suggestion='use blank=True, default=""',
                blocking=False,
            )
