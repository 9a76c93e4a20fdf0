"""Running the model's Python in Monty: no files, no network, no programs, only the tools.

The code is type-checked before a line of it runs. Each call of a tool goes through the session's
gate and events like a call of the model. Time, memory, depth, output and calls are limited.

Source:
    pydantic-monty 1.4: an interpreter of a subset of Python in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from typing import Any

from msgspec import Struct

from punie.agent.codemode.stubs import plain, stubs_of
from punie.agent.tools.base import Call, Tool
from punie.agent.tools.paths import plural
from punie.agent.tools.results import Result

NAME = "execute_python"
SECONDS = 10.0
"""That the code itself may take; what it waits for tools and people does not count."""
MEMORY = 128 * 1024 * 1024
"""Bytes."""
DEPTH = 200
CALLS = 100
OUTPUT = 64_000
"""Bytes that it may print."""
GONE = 0.2
"""Seconds after which the sandbox's threads are gone; Python before 3.13 may abort at its exit
while one of them still is."""
ABOUT = """\
Run Python that calls tools as async functions; use await. It is a subset: no imports beyond json, \
re, math, itertools, collections, functools, datetime, asyncio; no classes that inherit, no yield, \
no open. What you print, and the value of the last line, comes back. Results are dictionaries; a \
denied call raises an exception. The functions:
"""


class ExecutePython(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `execute_python`."""

    code: str


class CodeResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a piece of code."""

    output: str = ""
    """What it printed."""
    value: str = ""
    """The value of its last line, as JSON where that is possible."""
    problem: str = ""
    """What the type checker or the interpreter said."""
    calls: int = 0

    def headline(self) -> str:
        """Such as `ran, 3 calls`."""
        return self.error or f"ran, {plural(self.calls, 'call')}"

    def details(self) -> str:
        """Output, value and problem, as far as there are any."""
        return "\n".join(
            part.rstrip("\n") for part in (self.output, self.value, self.problem) if part
        )


def installed() -> bool:
    """Whether the sandbox can be used: the extra `code`."""
    return find_spec("pydantic_monty") is not None


class Sandbox:
    """The interpreter of one session; a service of its tools."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def pool(self) -> Any:
        """Give the pool, started by the first piece of code."""
        async with self._opening:
            if self._pool is None:
                from pydantic_monty import AsyncMonty

                pool: Any = AsyncMonty(request_timeout=30)
                await pool.__aenter__()
                self._pool = pool
            return self._pool

    async def aclose(self) -> None:
        """End its processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(None, None, None)
            await asyncio.sleep(GONE)


def code_tool(tools: Mapping[str, Tool[Any, Any]]) -> Tool[ExecutePython, CodeResult]:
    """Make the tool that runs code over other tools.

    Args:
        tools: Those that the code may call, by name.
    """
    stubs = stubs_of(tools.values())
    functions = stubs.partition("\n")[2].partition("\n")[2]

    async def run(call: Call, args: ExecutePython) -> CodeResult:
        return await _run(call, args.code, tools, stubs)

    return Tool(
        name=NAME,
        kind="execute",
        # The code can do nothing by itself; each call that it makes is judged as its own.
        risk="read",
        description=ABOUT + functions,
        arguments=ExecutePython,
        result=CodeResult,
        run=run,
        title=lambda args: f"Run {plural(len(args.code.splitlines()), 'line')} of Python",
        group="code",
        examples=(ExecutePython(code='print((await git_status())["branch"])'),),
    )


async def _run(
    call: Call, code: str, tools: Mapping[str, Tool[Any, Any]], stubs: str
) -> CodeResult:
    from pydantic_monty import CollectString, MontyError, MontyTypingError

    if call.nested is None:
        return CodeResult(ok=False, error="code cannot be run here")
    nested, made = call.nested, [0]

    def function(tool: Tool[Any, Any]) -> Callable[..., Awaitable[Any]]:
        names = list(tool.schema["properties"])

        async def called(*args: Any, **kwargs: Any) -> Any:
            made[0] += 1
            arguments = dict(zip(names, args, strict=False)) | kwargs
            return plain(await nested(tool.name, arguments))

        return called

    output = CollectString(max_bytes=OUTPUT)
    pool = await call.services.get(Sandbox, Sandbox).pool()
    limits = {
        "max_feed_duration_secs": SECONDS,
        "max_memory": MEMORY,
        "max_recursion_depth": DEPTH,
        "max_suspensions": CALLS,
    }
    try:
        async with pool.checkout(
            limits=limits,
            type_check=True,
            type_check_stubs=stubs,
            type_check_format="concise",
        ) as session:
            value = await session.feed_run(
                code,
                external_lookup={name: function(tool) for name, tool in tools.items()},
                print_callback=output,
            )
    except MontyTypingError as error:
        said = str(error.display())
        return CodeResult(ok=False, error="nothing was run: the type check failed", problem=said)
    except MontyError as error:
        said = _display(error)
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "it failed")
        return CodeResult(
            ok=False, error=last[:300], output=output.output, problem=said, calls=made[0]
        )
    return CodeResult(ok=True, output=output.output, value=_value(value), calls=made[0])


def _display(error: Exception) -> str:
    display: Any = getattr(error, "display", None)
    return str(display()) if callable(display) else str(error)


def _value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)
