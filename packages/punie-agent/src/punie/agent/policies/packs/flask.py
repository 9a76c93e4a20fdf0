"""Flask: secrets, the debugger, templates from values, and views of one name."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from punie.agent.policies.base import Change, Finding, dotted, is_built, keyword, named, policy


@policy("flask/debug")
def debug(change: Change) -> Iterator[Finding]:
    """The debugger runs any code that a visitor types."""
    if not change.imports("flask"):
        return
    for node in change.calls(".run"):
        value = keyword(node, "debug")
        if isinstance(value, ast.Constant) and value.value is True:
            yield Finding(
                line=node.lineno,
                message="debug=True lets visitors run code",
                suggestion="use flask --debug run while developing",
            )


@policy("flask/secret-key")
def secret_key(change: Change) -> Iterator[Finding]:
    """A secret in the source is none."""
    if not change.imports("flask"):
        return
    for node in ast.walk(change.tree):
        if not isinstance(node, ast.Assign):
            continue
        if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
            continue
        for target in node.targets:
            if _is_secret(target):
                yield Finding(
                    line=node.lineno,
                    message="the secret key stands in the source",
                    suggestion="read it from the environment",
                )


def _is_secret(target: ast.expr) -> bool:
    match target:
        case ast.Attribute(attr="secret_key"):
            return True
        case ast.Subscript(value=value, slice=ast.Constant(value="SECRET_KEY")):
            return named(value, ".config", "config")
        case _:
            return False


@policy("flask/template-from-values")
def template_from_values(change: Change) -> Iterator[Finding]:
    """A template that holds a value runs what the value says."""
    if not change.imports("flask"):
        return
    for node in change.calls("render_template_string", "flask.render_template_string"):
        if node.args and is_built(node.args[0]):
            yield Finding(
                line=node.lineno,
                message="a value becomes part of the template",
                suggestion="pass it as a variable: render_template_string(text, name=value)",
            )


@policy("flask/view-name")
def view_name(change: Change) -> Iterator[Finding]:
    """Two views of one name stop the application at its start."""
    if not change.imports("flask"):
        return
    seen: dict[tuple[str, str], int] = {}
    functions = sorted(change.functions(), key=lambda one: one.lineno)
    for function in functions:
        for decorator in function.decorator_list:
            if not isinstance(decorator, ast.Call) or not named(decorator.func, ".route"):
                continue
            owner = dotted(decorator.func).rpartition(".")[0]
            endpoint = keyword(decorator, "endpoint")
            name = function.name
            if isinstance(endpoint, ast.Constant):
                name = str(endpoint.value)
            first = seen.setdefault((owner, name), function.lineno)
            if first != function.lineno:
                yield Finding(
                    line=function.lineno,
                    message=f"{owner} has a view {name} already",
                    suggestion="give it another name",
                )
