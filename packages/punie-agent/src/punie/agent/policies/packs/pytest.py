"""pytest: tests that cannot fail, and tests that were made to stop failing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from punie.agent.policies.base import Change, Finding, dotted, named, parse, policy

FILES = ("test_*.py", "*_test.py", "conftest.py")
_CHECKING = ("assert", "raises", "warns", "check", "expect", "verify", "fail", "snapshot")


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if is_function and node.name.startswith("test"):
            yield node


@policy("pytest/asserts-nothing", FILES)
def asserts_nothing(change: Change) -> Iterator[Finding]:
    """A test without an assertion passes whatever the code does."""
    for test in _tests(change.tree):
        if _is_fixture(test) or any(map(_checks, ast.walk(test))):
            continue
        yield Finding(
            line=test.lineno,
            message=f"{test.name} asserts nothing",
            suggestion="assert what the code should do",
        )


def _checks(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)
        return any(word in name.lower() for word in _CHECKING)
    return False


@policy("pytest/always-true", FILES)
def always_true(change: Change) -> Iterator[Finding]:
    """`assert True` and `assert (x, "message")` hold always."""
    for node in ast.walk(change.tree):
        if not isinstance(node, ast.Assert):
            continue
        match node.test:
            case ast.Constant(value=value) if value:
                yield Finding(line=node.lineno, message="this assertion always holds")
            case ast.Tuple(elts=[_, *_]):
                yield Finding(
                    line=node.lineno,
                    message="a tuple is always true",
                    suggestion="leave out the parentheses",
                )
            case _:
                pass


def _is_fixture(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    for decorator in function.decorator_list:
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        if named(func, "fixture", "pytest.fixture"):
            return True
    return False


@policy("pytest/fixture-called", FILES)
def fixture_called(change: Change) -> Iterator[Finding]:
    """A fixture cannot be called: pytest gives it to who names it as a parameter."""
    fixtures = {one.name for one in change.functions() if _is_fixture(one)}
    for node in ast.walk(change.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in fixtures and not _rebound(change.tree, name, node):
                yield Finding(
                    line=node.lineno,
                    message=f"the fixture {name} is called",
                    suggestion=f"take {name} as a parameter",
                )


def _rebound(tree: ast.Module, name: str, call: ast.Call) -> bool:
    """Tell whether the call is in a function that was given the fixture's value."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = node.lineno <= call.lineno <= (node.end_lineno or node.lineno)
            if inside and name in {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}:
                return True
    return False


@policy("pytest/skipped", FILES)
def skipped(change: Change) -> Iterator[Finding]:
    """A change that skips a test hides what it should have mended."""
    for function in change.functions():
        for decorator in function.decorator_list:
            func = decorator.func if isinstance(decorator, ast.Call) else decorator
            if named(func, "pytest.mark.skip", "pytest.mark.xfail"):
                yield Finding(
                    line=function.lineno,
                    message=f"{function.name} is switched off",
                    suggestion="mend the code instead, or say why the test is wrong",
                )


@policy("pytest/removed", FILES)
def removed(change: Change) -> Iterator[Finding]:
    """Tests that are gone after a change are told to the person."""
    before = parse(change.old) if change.old else None
    if before is None:
        return
    gone = {one.name for one in _tests(before)} - {one.name for one in _tests(change.tree)}
    for name in sorted(gone):
        yield Finding(line=1, message=f"{name} was removed", blocking=False)
