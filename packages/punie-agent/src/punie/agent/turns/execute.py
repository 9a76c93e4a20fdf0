"""The one way by which a tool is run: shown, permitted, run, reported.

Native calls of the model go through here, and so will slash commands and code mode. Nothing here
knows Pydantic AI; `turns.build` turns the outcome into what a model reads.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Any, Literal, NamedTuple

import msgspec

from punie.agent.events import (
    DiffContent,
    Location,
    PlanUpdate,
    TerminalContent,
    TextContent,
    ToolCallUpdate,
    ToolContent,
)
from punie.agent.tools.asking import AskResult
from punie.agent.tools.base import Call, Said, Tool
from punie.agent.tools.planning import PlanResult
from punie.agent.tools.results import Result, render, to_json
from punie.agent.turns.checked import check_edit
from punie.agent.turns.context import REPEATS, TurnContext

log = logging.getLogger(__name__)

SHOWN = 8_000
"""Characters of a result that a person is shown."""
TAIL = 4_000
"""Characters of running output that a person is shown: the last ones."""


class Executed(NamedTuple):
    """What became of a call."""

    status: Literal["done", "denied", "broken", "exhausted"]
    """`broken`: the tool itself raised. `exhausted`: the turn's calls are used up."""
    text: str
    """What the model reads."""
    result: Result | None = None
    """What the tool returned, when it ran."""


def parse(tool: Tool[Any, Any], arguments: object) -> Any:
    """Turn a model's arguments into the tool's struct.

    Raises:
        ValueError: They do not fit; the message is one sentence for the model.
    """
    try:
        return tool.parse(arguments)
    except msgspec.ValidationError as error:
        shown = ", ".join(tool.schema["properties"])
        raise ValueError(f"{tool.name} takes ({shown}): {error}") from error


async def execute(
    context: TurnContext,
    name: str,
    arguments: dict[str, Any],
    *,
    tool_call_id: str,
    nested: bool = False,
) -> Executed:
    """Run one call with everything around it.

    The order is the promise: the call is shown with its change, then permission is asked, then it
    runs, then its result is shown; and only then does the model read it.

    Args:
        context: The turn.
        name: A tool of `context.tools`.
        arguments: What the model wrote, an object that `parse` accepts.
        tool_call_id: The model's id of the call.
        nested: The call is made by another one, by code: repeating it is no sign of a loop.

    Raises:
        ValueError: The arguments do not fit.
    """
    tool = context.tools[name]
    parsed = parse(tool, arguments)
    if context.exhausted:
        return Executed("exhausted", "No more calls in this turn: answer with what you know now.")
    run = _Run(context, tool, parsed, arguments, context.claim_id(tool_call_id), nested=nested)
    return await run.whole()


class _Live:
    """Shows what a command prints while it runs: the end of it, or the client's own terminal."""

    def __init__(self, context: TurnContext, tool_call_id: str) -> None:
        self.terminal: TerminalContent | None = None
        self._context = context
        self._id = tool_call_id
        self._output = ""
        self._new: list[str] = []

    def __call__(self, piece: str) -> None:
        self._output = (self._output + piece)[-TAIL:]
        self._new.append(piece)
        if self.terminal is None:
            self._context.emitter.latest(("output", self._id), self._update)

    def show_terminal(self, terminal_id: str) -> None:
        self.terminal = TerminalContent(terminal_id=terminal_id)
        self._context.emitter.latest(("output", self._id), self._update)

    def _update(self) -> ToolCallUpdate:
        if self.terminal is not None:
            return ToolCallUpdate(tool_call_id=self._id, content=(self.terminal,))
        new, self._new = "".join(self._new), []
        content = TextContent(text=self._output)
        return ToolCallUpdate(tool_call_id=self._id, content=(content,), printed=new)


class _Run:
    """One call on its way."""

    def __init__(
        self,
        context: TurnContext,
        tool: Tool[Any, Any],
        parsed: Any,
        arguments: dict[str, Any],
        tool_call_id: str,
        *,
        nested: bool,
    ) -> None:
        self.context = context
        self.nested = nested
        self.tool = tool
        self.parsed = parsed
        self.arguments = arguments
        self.id = tool_call_id
        self.diffs: tuple[DiffContent, ...] = ()
        self.shown = False
        """Whether a person could see before the question what would change, were it nothing."""
        self.live = _Live(context, tool_call_id)
        self.call = Call(
            context.workspace, self.live, context.services, self._nested_call, self._ask
        )

    async def whole(self) -> Executed:
        self.context.open(self.id, self.tool.name, self.arguments)
        try:
            return await self._steps()
        except (Exception, SystemExit) as error:  # a tool of another make may raise anything
            log.exception("tool raised", extra={"tool": self.tool.name})
            text = f"{self.tool.name} broke: {type(error).__name__}: {error}"
            if self.id in self.context.open_calls:
                self.context.close(self.id, "failed", ok=False)
            await self._update(status="failed", content=(TextContent(text=text),))
            return Executed("broken", text)

    async def _nested_call(self, name: str, arguments: dict[str, Any]) -> Result:
        """Make a call for the code that this call runs."""
        call_id = f"{self.id}-{name}"
        done = await execute(self.context, name, arguments, tool_call_id=call_id, nested=True)
        match done.status:
            case "denied" | "exhausted":
                raise PermissionError(done.text)
            case _ if done.result is None:
                raise ValueError(done.text)
            case _:
                return done.result

    async def _ask(self, question: str, choices: tuple[str, ...]) -> Said:
        """Ask the person; a call that waits for an answer is pending, as one that waits for leave."""
        await self._update(status="pending")
        said = await self.context.gate.put(
            question, choices, tool_call_id=self.id, tool=self.tool.name
        )
        await self._update(status="in_progress")
        return said

    async def _steps(self) -> Executed:
        await self._show()
        verdict = await self.context.gate.check(
            self.tool,
            self.parsed,
            self.call,
            tool_call_id=self.id,
            changes=[diff.path for diff in self.diffs],
        )
        if not verdict.allowed:
            return await self._denied(verdict.reason)
        if verdict.asked and await self._changed_meanwhile():
            return await self._stale()
        if not self.diffs:
            await self._preview()
        await self._update(status="in_progress")
        async with self.context.workspace_for(self.tool.risk) as workspace:
            call = dataclasses.replace(self.call, workspace=workspace)
            result: Result = await self.tool.run(call, self.parsed)
        return await self._finished(result)

    async def _show(self) -> None:
        places = self._places()
        # A preview reads the old text: not of a file outside before somebody allowed it.
        if all(self.context.workspace.contains(path) for path, _ in places):
            await self._preview()
            self.shown = True
        await self.context.emitter.emit(
            ToolCallUpdate(
                tool_call_id=self.id,
                title=self.tool.title(self.parsed),
                name=self.tool.name,
                kind=self.tool.kind,
                status="pending",
                raw_input=self.arguments,
                content=self.diffs,
                locations=tuple(Location(path=str(path), line=line) for path, line in places),
            )
        )

    async def _preview(self) -> None:
        if self.tool.preview is not None:
            self.diffs = await self.tool.preview(self.call, self.parsed)

    async def _changed_meanwhile(self) -> bool:
        """Whether the person allowed another change than the one that would be made now."""
        shown = self.diffs
        if self.shown:
            await self._preview()
        return shown != self.diffs

    async def _stale(self) -> Executed:
        text = "The files changed while the question was open. Nothing was done: try again."
        self.context.close(self.id, "failed", ok=False)
        await self._update(status="failed", content=(TextContent(text=text),))
        return Executed("done", text)

    def _places(self) -> list[tuple[Any, int | None]]:
        line = getattr(self.parsed, "line", None)
        line = line if isinstance(line, int) and line > 0 else None
        resolve = self.context.workspace.resolve
        return [
            (resolve(getattr(self.parsed, name)), line)
            for name in self.tool.path_arguments
            if getattr(self.parsed, name)
        ]

    async def _denied(self, reason: str) -> Executed:
        text = f"Permission denied: {reason}. Nothing was done."
        self.context.denied = True
        self.context.close(self.id, "denied")
        await self._update(status="failed", content=self._content(text))
        await self._mind_circles(text)
        return Executed("denied", text)

    async def _finished(self, result: Result) -> Executed:
        text = render(result, limit=self.context.result_limit)
        if result.ok and self.diffs:
            text += await check_edit(self.context, self.call, self.diffs)
        shown = render(result, limit=SHOWN)
        status = "failed" if result.error else "completed"
        content = self.diffs if self.diffs and not result.error else self._content(shown)
        if content is self.diffs and (remark := result.remark()):
            content = self._content(remark)
        if self.live.terminal is not None:
            content = (self.live.terminal,)  # it keeps showing its output after its end
        self.context.close(self.id, status, ok=result.ok)
        await self._update(status=status, raw_output=to_json(result), content=content)
        if isinstance(result, PlanResult) and result.ok:
            await self.context.emitter.emit(PlanUpdate(entries=result.entries))
        if isinstance(result, AskResult) and result.outcome == "later":
            asked = (self.context.parting, self.parsed.as_text())
            self.context.parting = "\n\n".join(filter(None, asked))
        if not self.nested:
            await self._mind_circles(text)
        return Executed("done", text, result)

    async def _mind_circles(self, text: str) -> None:
        """Ask the person, or stop the turn, when the model makes the same call again and again."""
        if not self.context.goes_in_circles(self.tool.name, self.arguments, text):
            return
        allowed = await self.context.gate.go_on(
            tool_call_id=self.id,
            tool=self.tool.name,
            title=self.tool.title(self.parsed),
            reason=f"the model made this call {REPEATS} times and learned nothing new",
        )
        if not allowed:
            self.context.stop_circling()

    def _content(self, text: str) -> tuple[ToolContent, ...]:
        return (*self.diffs, TextContent(text=text))

    async def _update(self, **changes: Any) -> None:
        await self.context.emitter.emit(ToolCallUpdate(tool_call_id=self.id, **changes))
