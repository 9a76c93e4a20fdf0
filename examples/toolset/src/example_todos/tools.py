"""Two tools: `todos` lists the TODO comments of a file, `drop_todo` takes one out.

A tool declares what it is; Punie shows it, asks for permission, runs it and keeps what it changed.
Files are reached through the call's workspace: that knows unsaved text, and can be undone.
"""

from __future__ import annotations

import re

from msgspec import Struct

from punie.agent.events import DiffContent
from punie.agent.tools.base import Call, Tool
from punie.agent.tools.results import Result

TODO = re.compile(r"#\s*TODO\b:?\s*(.*)")


class Todos(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `todos`."""

    path: str


class Todo(Struct, frozen=True):
    """One comment."""

    line: int
    text: str


class TodosResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The comments of a file."""

    path: str
    todos: tuple[Todo, ...] = ()

    def headline(self) -> str:
        """Such as `2 TODO comments in src/x.py`."""
        return self.error or f"{len(self.todos)} TODO comments in {self.path}"

    def details(self) -> str:
        """One line per comment."""
        return "\n".join(f"{todo.line}: {todo.text}" for todo in self.todos)


class DropTodo(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `drop_todo`."""

    path: str
    text: str
    """What the comment says."""


class DropResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the comment."""

    path: str

    def headline(self) -> str:
        """Such as `src/x.py: the comment is gone`."""
        return self.error or f"{self.path}: the comment is gone"


async def list_todos(call: Call, args: Todos) -> TodosResult:
    """List the comments; what goes wrong is in the result, never raised."""
    try:
        text = await call.workspace.read_text(call.workspace.resolve(args.path))
    except (OSError, UnicodeDecodeError) as error:
        return TodosResult(ok=False, path=args.path, error=f"{args.path} cannot be read: {error}")
    todos = tuple(
        Todo(number, match[1].strip())
        for number, line in enumerate(text.splitlines(), 1)
        if (match := TODO.search(line))
    )
    return TodosResult(ok=True, path=args.path, todos=todos)


async def drop_todo(call: Call, args: DropTodo) -> DropResult:
    """Make the change that the preview shows."""
    changes = await preview_drop(call, args)
    if not changes:
        error = f"{args.path} holds no single TODO comment that says {args.text!r}"
        return DropResult(ok=False, path=args.path, error=error)
    path = call.workspace.resolve(args.path)
    try:
        await call.workspace.write_text(path, changes[0].new_text)
    except OSError as error:
        return DropResult(ok=False, path=args.path, error=f"{args.path} was not changed: {error}")
    return DropResult(ok=True, path=args.path)


async def preview_drop(call: Call, args: DropTodo) -> tuple[DiffContent, ...]:
    """Work out the change, for the person to see first; nothing when there is none."""
    path = call.workspace.resolve(args.path)
    try:
        old = await call.workspace.read_text(path)
    except (OSError, UnicodeDecodeError):
        return ()
    found = [match for match in TODO.finditer(old) if match[1].strip() == args.text.strip()]
    if len(found) != 1:
        return ()
    start, end = found[0].span()
    line = old[:start].rpartition("\n")[2]
    # A comment of its own goes with its line, one behind code leaves the code.
    start, end = (
        (start - len(line), end + 1) if not line.strip() else (len(old[:start].rstrip()), end)
    )
    return (DiffContent(path=str(path), old_text=old, new_text=old[:start] + old[end:]),)


TODOS = Tool(
    name="todos",
    kind="search",
    risk="read",
    description="List the TODO comments of a file.",
    arguments=Todos,
    result=TodosResult,
    run=list_todos,
    title=lambda args: f"List the TODO comments of {args.path}",
    path_arguments=("path",),
    examples=(Todos(path="src/app.py"),),
)
DROP_TODO = Tool(
    name="drop_todo",
    kind="edit",
    risk="write",
    description="Take a TODO comment out of a file.",
    arguments=DropTodo,
    result=DropResult,
    run=drop_todo,
    preview=preview_drop,
    title=lambda args: f"Take a TODO comment out of {args.path}",
    path_arguments=("path",),
    copied_arguments=("text",),
    examples=(DropTodo(path="src/app.py", text="name the unit"),),
)
