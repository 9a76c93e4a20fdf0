"""The commands that every session has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from punie.agent.commands.base import Command, Desk, Instead, said
from punie.agent.commands.control import changes, permissions
from punie.agent.events import PlanUpdate, UsageUpdate
from punie.agent.models.choices import DEFAULT
from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.policy import MODE_DESCRIPTIONS, MODES
from punie.agent.sessions.replies import Reply
from punie.agent.skills import PROJECT_FOLDER, find_skills
from punie.agent.tools.paths import plural
from punie.agent.turns.emit import Emitter
from punie.agent.turns.outcome import Cancellation

_MARKS = {"pending": "[ ]", "in_progress": "[~]", "completed": "[x]"}
_FORMS = ("local", "embedded", "test")

_REVIEW = (
    "Review the uncommitted changes of this project. Look at them with git_diff and at the code "
    "around them, run the checks that fit, and list what is wrong or risky: file, line, why, and "
    "what to do. Change nothing."
)
_PLAN = "Make a plan and change nothing yet: look at what matters, then list the steps. The task: "


def _help(desk: Desk, argument: str) -> Reply:
    async def answer() -> str:
        lines = [
            f"- `/{command.name}{f' {command.hint}' if command.hint else ''}` {command.description}"
            for command in COMMANDS.values()
        ]
        return "\n".join(["Commands:", "", *lines])

    return said(answer)


def _model(desk: Desk, argument: str) -> Reply:
    async def answer() -> str:
        choices = desk.chooser.models_for(desk.session)
        if argument:
            by_name = {choice.name: choice.value for choice in choices}
            value = by_name.get(argument, argument)
            known = value in {choice.value for choice in choices}
            if not known and ":" not in value and value not in _FORMS:
                return f"There is no model `{argument}`.\n\n{_listed(desk)}"
            await desk.chooser.choose(desk.session, model="" if value == DEFAULT else value)
            return f"The next prompt is answered by `{value}`. The conversation stays."
        return _listed(desk)

    return said(answer)


def _listed(desk: Desk) -> str:
    current = desk.session.model or DEFAULT
    lines = [
        f"- `{choice.value}` {choice.description}{' **(now)**' if choice.value == current else ''}"
        for choice in desk.chooser.models_for(desk.session)
    ]
    return "\n".join(["Models, `/model NAME` changes it:", "", *lines])


def _mode(desk: Desk, argument: str) -> Reply:
    async def answer() -> str:
        if argument in MODES:
            await desk.chooser.choose(desk.session, mode=argument)
            return f"Mode `{argument}`: {MODE_DESCRIPTIONS[argument]}."
        lines = [
            f"- `{mode}` {description}{' **(now)**' if mode == desk.session.mode else ''}"
            for mode, description in MODE_DESCRIPTIONS.items()
        ]
        said = f"There is no mode `{argument}`.\n\n" if argument else ""
        return said + "\n".join(["Modes, `/mode NAME` changes it:", "", *lines])

    return said(answer)


def _usage(desk: Desk, argument: str) -> Reply:
    async def answer() -> str:
        calls = [event for event in desk.session.events if isinstance(event, UsageUpdate)]
        if not calls:
            return "The model has not been called yet."
        last = calls[-1]
        size = f" of {last.size:,} ({100 * last.used // last.size} %)" if last.size else ""
        sent = sum(call.input_tokens for call in calls)
        cached = sum(call.cached_tokens for call in calls)
        written = sum(call.output_tokens for call in calls)
        return (
            f"Context: {last.used:,} tokens{size}. {plural(len(calls), 'model call')}: {sent:,} "
            f"tokens read, {cached:,} of them from the cache, {written:,} written."
        )

    return said(answer)


def _compact(desk: Desk, argument: str) -> Reply:
    async def answer() -> str:
        if await desk.session.compact():
            return "The conversation is shorter now: all but the latest turn was summed up."
        return "There is nothing to take out yet."

    return said(answer)


def _undo(desk: Desk, argument: str) -> Reply:
    async def answer() -> str:
        changed = await desk.session.undo(argument)
        return f"{changed.headline()}: back to what was. `/undo` again takes this back."

    return said(answer)


def _test(desk: Desk, argument: str) -> Reply:
    async def reply(emitter: Emitter, cancellation: Cancellation) -> str:
        from punie.agent.tools.catalog import CATALOG
        from punie.agent.turns.context import TurnContext
        from punie.agent.turns.execute import execute

        session = desk.session
        context = TurnContext(
            workspace=session.workspace,
            gate=session.gate,
            emitter=emitter,
            tools=CATALOG,
            spec=ModelSpec(spec=""),
            services=session.services,
            cancellation=cancellation,
            claim_id=session.call_ids.claim,
        )
        arguments = {"path": argument} if argument else {}
        try:
            done = await execute(context, "run_tests", arguments, tool_call_id="test")
        finally:
            await context.close_rest("cancelled")
        return done.text

    return reply


def _review(desk: Desk, argument: str) -> Instead:
    return Instead(f"{_REVIEW} {argument}".strip())


def _plan(desk: Desk, argument: str) -> Reply | Instead:
    if argument:
        return Instead(_PLAN + argument, mode="plan")

    async def answer() -> str:
        plans = [event for event in desk.session.events if isinstance(event, PlanUpdate)]
        if not plans:
            return "There is no plan yet. `/plan TASK` makes one; `/mode plan` changes nothing."
        return "\n".join(f"{_MARKS[e.status]} {e.content}" for e in plans[-1].entries)

    return said(answer)


def _skills(desk: Desk, argument: str) -> Reply:
    async def answer() -> str:
        root = desk.session.workspace.root
        found = await asyncio.to_thread(find_skills, root, desk.chooser.config_folder)
        lines = [f"- `{skill.name}` {skill.description}" for skill in found.by_name.values()]
        lines += [f"- {folder} cannot be used: {why}" for folder, why in found.broken.items()]
        if not lines:
            return f"There are no skills. `{PROJECT_FOLDER}/NAME/SKILL.md` makes one."
        return "\n".join(["Skills, which the model reads when it needs them:", "", *lines])

    return said(answer)


COMMANDS: Mapping[str, Command] = MappingProxyType({
    command.name: command
    for command in (
        Command("help", "Lists the commands", _help),
        Command("model", "Shows the models, or changes the model", _model, "[NAME]"),
        Command("mode", "Shows the permission modes, or changes the mode", _mode, "[NAME]"),
        Command(
            "permissions",
            "Shows what is allowed, or forgets what you answered",
            permissions,
            "[forget NUMBER]",
        ),
        Command("usage", "Tells the tokens used so far", _usage),
        Command("compact", "Shortens the conversation", _compact),
        Command("changes", "Shows what the latest turn changed", changes, "[FILE]"),
        Command("undo", "Takes back what the latest turn changed", _undo, "[FILE]"),
        Command("review", "Reviews the uncommitted changes", _review, "[WHAT TO LOOK AT]"),
        Command("test", "Runs the tests", _test, "[PATH]"),
        Command("skills", "Lists the skills of the project and your own", _skills),
        Command("plan", "Shows the plan, or makes one for a task", _plan, "[TASK]"),
    )
})
"""All of them by name; each works as it is listed."""
