"""Moving a function, class or variable to another module, with every import of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from punie.agent.tools.base import Call
from punie.agent.tools.language.server import LanguageServer
from punie.agent.tools.navigation import ask, the_one
from punie.agent.tools.paths import display
from punie.agent.tools.refactor import edits, rope_shadow
from punie.agent.tools.refactor.changes import CannotError, Plan, plan_of, texts_of
from punie.agent.tools.refactor.imports import SORT, SORT_AND_SPACE, ruff_fix
from punie.agent.tools.refactor.renaming import files_with
from punie.agent.tools.replace import like


async def plan_move(call: Call, symbol: str, to: str) -> Plan:
    """Work out what moving a symbol to another module would change.

    Args:
        call: In which workspace.
        symbol: Dotted, as `definition` takes it; defined at the top of a module.
        to: The file it goes to; it may be new, in a folder that is there.

    Raises:
        CannotError: It cannot be done as asked.
        NoAnswerError: The symbol is not clear, or there is no language server.
    """
    workspace = call.workspace
    target = workspace.resolve(to)
    if target.suffix != ".py" or not target.is_relative_to(workspace.root):
        raise CannotError(f"{display(workspace, target)} is not a Python file of the project")
    if not await asyncio.to_thread(target.parent.is_dir):
        raise CannotError(f"the folder {display(workspace, target.parent)} does not exist")

    async def question(server: LanguageServer) -> Plan:
        found = await the_one(call, server, symbol)
        name = found.name.rpartition(".")[2]
        paths = await asyncio.to_thread(files_with, workspace.root, name)
        wanted = {*paths, found.path}
        is_new = not await asyncio.to_thread(target.exists)
        texts = await texts_of(workspace, [*wanted, *([] if is_new else [target])])
        index = edits.index_of(texts[found.path], found.position)
        given = texts | ({target: ""} if is_new else {})
        new = await asyncio.to_thread(
            rope_shadow.move, workspace.root, given, found.path, index, target
        )
        return await _plan(call, texts, new)

    return await ask(call, question)


async def _plan(call: Call, texts: dict[Path, str], new: dict[Path, str]) -> Plan:
    note = ""
    after: dict[Path, str] = {}
    for path, text in new.items():
        if path not in texts and path.exists():
            texts |= await texts_of(call.workspace, [path])
        old = texts.get(path, "")
        after[path] = like(old, text.lstrip("\n"))
        try:
            # rope is careless about blank lines; where they were in order, they shall stay so.
            tidy = await ruff_fix(call, path, old, SORT_AND_SPACE) == old
            rules = SORT_AND_SPACE if tidy else SORT
            after[path] = await ruff_fix(call, path, after[path], rules)
        except CannotError as error:
            note = f"imports were not sorted: {error}"
    return plan_of(call.workspace, texts, after, places=len(after), note=note)
