"""svcs and svcs-di: registering and injecting services.

Source:
    svcs 26.2 and svcs-di 0.3: a field is injected when the origin of its annotation is `Inject`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from punie.agent.policies.base import Change, Finding, dotted, named, policy

_AUTO = ("auto", "auto_async", "svcs_di.auto", "svcs_di.auto_async")


def _is_inject(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and named(node.value, "Inject", "svcs_di.Inject")


@policy("svcs-di/optional-inject")
def optional_inject(change: Change) -> Iterator[Finding]:
    """`Inject[T] | None` is no longer `Inject`: the field keeps its default for ever."""
    if not change.imports("svcs_di"):
        return
    for node in ast.walk(change.tree):
        inner: list[ast.expr] = []
        match node:
            case ast.BinOp(op=ast.BitOr()):
                inner = [node.left, node.right]
            case ast.Subscript() if named(node.value, "Optional", "typing.Optional", "Union"):
                inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            case _:
                continue
        if any(map(_is_inject, inner)):
            yield Finding(
                line=node.lineno,
                message="a union with Inject is never injected",
                suggestion="write Inject[T | None], or Inject[T] with a default",
            )


@policy("svcs-di/auto-not-called")
def auto_not_called(change: Change) -> Iterator[Finding]:
    """`auto` makes a factory for a class: it is called with it."""
    if not change.imports("svcs_di"):
        return
    for node in change.calls(".register_factory"):
        factory = node.args[1] if len(node.args) > 1 else None
        if factory is not None and named(factory, *_AUTO):
            yield Finding(
                line=node.lineno,
                message=f"{dotted(factory)} itself is registered as the factory",
                suggestion=f"{dotted(factory)}(TheClass)",
            )


@policy("svcs-di/factory-as-value")
def factory_as_value(change: Change) -> Iterator[Finding]:
    """`register_value` with a factory hands out the function instead of the service."""
    if not change.imports("svcs_di"):
        return
    for node in change.calls(".register_value", ".register_local_value"):
        value = node.args[1] if len(node.args) > 1 else None
        if isinstance(value, ast.Call) and named(value.func, *_AUTO):
            yield Finding(
                line=node.lineno,
                message="a factory is registered as a value: callers get the function",
                suggestion="use register_factory",
            )


@policy("svcs-di/async-target")
def async_target(change: Change) -> Iterator[Finding]:
    """`auto` of an async function hands out a coroutine that nobody awaits."""
    if not change.imports("svcs_di"):
        return
    coroutines = {
        node.name for node in ast.walk(change.tree) if isinstance(node, ast.AsyncFunctionDef)
    }
    for node in change.calls("auto", "svcs_di.auto"):
        target = dotted(node.args[0]) if node.args else ""
        if target in coroutines:
            yield Finding(
                line=node.lineno,
                message=f"{target} is async, and auto does not await it",
                suggestion=f"auto_async({target}), and aget",
            )


@policy("svcs/kept-container")
def kept_container(change: Change) -> Iterator[Finding]:
    """A service that keeps the container hides what it needs and outlives the request."""
    if not change.imports("svcs"):
        return
    for node in ast.walk(change.tree):
        if not isinstance(node, ast.ClassDef) or "dataclass" not in ast.dump(node):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and named(
                field.annotation, "Container", "svcs.Container"
            ):
                yield Finding(
                    line=field.lineno,
                    message=f"{node.name} keeps a container",
                    suggestion="take the services that it needs as fields",
                    blocking=False,
                )
