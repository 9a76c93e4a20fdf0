"""FastAPI: dependencies, routes and blocking calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from punie.agent.policies.base import Change, Finding, dotted, policy

_METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}
_BLOCKING = (
    "time.sleep",
    "requests.get",
    "requests.post",
    "requests.put",
    "requests.patch",
    "requests.delete",
    "requests.request",
    "subprocess.run",
    "subprocess.check_output",
    "urllib.request.urlopen",
)


def _routes(change: Change) -> Iterator[tuple[str, str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Give method, path and function of every route, in order."""
    if not change.imports("fastapi"):
        return
    found: list[tuple[str, str, ast.FunctionDef | ast.AsyncFunctionDef]] = []
    for function in change.functions():
        for decorator in function.decorator_list:
            match decorator:
                case ast.Call(
                    func=ast.Attribute(attr=method), args=[ast.Constant(value=str(path)), *_]
                ) if method in _METHODS:
                    found.append((method, path, function))
                case _:
                    pass
    yield from sorted(found, key=lambda route: route[2].lineno)


@policy("fastapi/depends-called")
def depends_called(change: Change) -> Iterator[Finding]:
    """`Depends(get_db())` runs once, at import, instead of once for each request."""
    if not change.imports("fastapi"):
        return
    for node in change.calls("Depends", "fastapi.Depends", "Security", "fastapi.Security"):
        match node.args:
            case [ast.Call(func=func, args=[], keywords=[]), *_]:
                name = dotted(func) or "it"
                message = f"{name} is called once, at import, not for each request"
                yield Finding(line=node.lineno, message=message, suggestion=f"pass {name} itself")
            case _:
                pass


@policy("fastapi/blocking-call")
def blocking_call(change: Change) -> Iterator[Finding]:
    """A blocking call in an `async def` route stops every request of the process."""
    for _, _, function in _routes(change):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and dotted(node.func) in _BLOCKING:
                yield Finding(
                    line=node.lineno,
                    message=f"{dotted(node.func)} blocks the event loop of all requests",
                    suggestion="make the route a plain def, or await an async call",
                )


@policy("fastapi/shadowed-route")
def shadowed_route(change: Change) -> Iterator[Finding]:
    """`/users/{id}` before `/users/me` takes its requests: the first route that matches wins."""
    seen: list[tuple[str, str]] = []
    for method, path, function in _routes(change):
        for earlier_method, earlier in seen:
            pattern = re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(earlier))
            if method == earlier_method and "{" not in path and re.fullmatch(pattern, path):
                yield Finding(
                    line=function.lineno,
                    message=f"{path} is never reached: {earlier} above it matches first",
                    suggestion="put it above",
                )
                break
        seen.append((method, path))


@policy("fastapi/path-parameter")
def path_parameter(change: Change) -> Iterator[Finding]:
    """A `{name}` in the path that the function does not take is never read."""
    for _, path, function in _routes(change):
        arguments = function.args
        taken = {
            one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        }
        if arguments.kwarg or {"request", "req"} & taken:
            continue
        for name in re.findall(r"\{(\w+)(?::\w+)?\}", path):
            if name not in taken and "Depends" not in ast.dump(arguments):
                yield Finding(
                    line=function.lineno,
                    message=f"{function.name} does not take {name} of its path {path}",
                    suggestion=f"add the parameter {name}",
                )
