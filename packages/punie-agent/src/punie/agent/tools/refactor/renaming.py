"""Renaming a symbol wherever it is meant: the language server's places and rope's, taken together.

Neither finds all of them alone: servers leave re-exports and overriding methods, rope leaves what
only types tell. Mentions of the name that neither claims are left and listed.
"""

from __future__ import annotations

import asyncio
import keyword
from pathlib import Path

from msgspec import structs

from punie.agent.tools.base import Call
from punie.agent.tools.language.rpc import RefusedError
from punie.agent.tools.language.server import LanguageServer
from punie.agent.tools.language.symbols import Symbol
from punie.agent.tools.navigation import ask, the_one
from punie.agent.tools.paths import display
from punie.agent.tools.refactor import edits, rope_shadow
from punie.agent.tools.refactor.changes import CannotError, Plan, plan_of, texts_of
from punie.agent.tools.walk import walk_files

READING = 10.0
"""Seconds that looking for a name in all files may take."""
MAX_LEFT = 20
MAX_RELATIVES = 20
"""Overriding definitions whose own uses are looked for."""


async def plan_rename(call: Call, symbol: str, new_name: str) -> Plan:
    """Work out what renaming a symbol would change.

    Args:
        call: In which workspace.
        symbol: Dotted, as `definition` takes it.
        new_name: One word.

    Raises:
        CannotError: It cannot be done as asked.
        NoAnswerError: The symbol is not clear, or there is no language server.
    """
    if not new_name.isidentifier() or keyword.iskeyword(new_name):
        raise CannotError(f"{new_name!r} cannot be the name of a symbol: use one plain word")

    async def question(server: LanguageServer) -> Plan:
        found = await the_one(call, server, symbol)
        return await _Rename(call, server, found, new_name).plan()

    return await ask(call, question)


class _Rename:
    """One renaming on its way to a plan."""

    def __init__(self, call: Call, server: LanguageServer, symbol: Symbol, new_name: str) -> None:
        self.call = call
        self.server = server
        self.symbol = symbol
        self.name = symbol.name.rpartition(".")[2]
        self.new_name = new_name
        self.texts: dict[Path, str] = {}
        self.places: dict[Path, edits.Places] = {}

    async def plan(self) -> Plan:
        root = self.call.workspace.root
        if self.symbol.kind == "module":
            raise CannotError("a module is renamed by moving its file, which is not done here")
        if self.name == self.new_name:
            raise CannotError(f"it is called {self.new_name} already")
        paths = await asyncio.to_thread(files_with, root, self.name)
        self.texts = await texts_of(self.call.workspace, [*{*paths, self.symbol.path}])
        await self.server.sync(self.texts)
        text = self.texts[self.symbol.path]
        await self._ask(self.symbol.path, edits.index_of(text, self.symbol.position))
        note = await self._ask_rope()
        await self._follow_relatives()
        self._complete()
        self._refuse_clash()
        after = {
            path: edits.replace(self.texts[path], places, self.name, self.new_name)
            for path, places in self.places.items()
        }
        plan = plan_of(
            self.call.workspace,
            self.texts,
            after,
            places=sum(map(len, self.places.values())),
            left=self._left(),
            note=note,
        )
        return structs.replace(plan, home=self.symbol.path)

    async def _ask(self, path: Path, index: int) -> None:
        """Take the language server's places, as far as the name really stands there."""
        position = edits.position_of(self.texts[path], index)
        found = await self.server.rename(path, position, self.new_name)
        for file, positions in found.items():
            if file not in self.texts:
                self.texts |= await texts_of(self.call.workspace, [file])
            text = self.texts[file]
            known = set(edits.words(text, self.name))
            places = {edits.index_of(text, one) for one in positions}
            if not places <= known:
                raise CannotError(
                    f"{self.name} goes by another name in {display(self.call.workspace, file)}"
                )
            self.places.setdefault(file, set()).update(places)

    async def _ask_rope(self) -> str:
        """Take rope's places too; say why there are none."""
        if not rope_shadow.installed():
            return rope_shadow.NOT_INSTALLED
        path = self.symbol.path
        index = edits.index_of(self.texts[path], self.symbol.position)
        root = self.call.workspace.root
        try:
            new = await asyncio.to_thread(
                rope_shadow.rename, root, self.texts, path, index, self.new_name
            )
        except CannotError as error:
            return str(error)
        for file, text in new.items():
            if file in self.texts:
                found = edits.replaced(self.texts[file], text, self.name, self.new_name)
                self.places.setdefault(file, set()).update(found)
        return ""

    async def _follow_relatives(self) -> None:
        """Ask for the uses of the definitions that are renamed along, such as overriding methods."""
        asked = 0
        for path in list(self.places):
            text = self.texts[path]
            for index in sorted(self.places[path]):
                line = text[text.rfind("\n", 0, index) + 1 : index].split()
                if line[-1:] not in (["def"], ["class"]) or asked >= MAX_RELATIVES:
                    continue
                asked += 1
                try:
                    await self._ask(path, index)
                except RefusedError:
                    continue  # The server renames it with its base, or not at all.

    def _complete(self) -> None:
        """Add what syntax alone tells: `super().name` of a method, `__all__` of other names."""
        member = self.symbol.kind in {"method", "field", "property", "member"}
        for path, places in self.places.items():
            if member:
                places |= edits.super_calls(self.texts[path], self.name, places)
            elif places:
                places |= edits.exported(self.texts[path], self.name)

    def _refuse_clash(self) -> None:
        """Refuse a name that stands already in a file that would change."""
        taken = sorted(
            display(self.call.workspace, path)
            for path, places in self.places.items()
            if places and _defines(self.texts[path], self.new_name)
        )
        if taken:
            raise CannotError(f"{self.new_name} is defined already in {', '.join(taken)}")

    def _left(self) -> tuple[str, ...]:
        lines: list[str] = []
        for path in sorted(self.texts):
            text = self.texts[path]
            for place in edits.words(text, self.name):
                if place not in self.places.get(path, set()):
                    number = text.count("\n", 0, place)
                    shown = display(self.call.workspace, path)
                    lines.append(f"{shown}:{number + 1}: {text.split(chr(10))[number].strip()}")
        return tuple(dict.fromkeys(lines))


def _defines(text: str, name: str) -> bool:
    """Tell whether a module binds a name at its top level; a member of a class is another matter."""
    import ast

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    bound: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound.add(node.name)
            case ast.Import() | ast.ImportFrom():
                bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            case ast.Assign():
                bound |= {one.id for one in node.targets if isinstance(one, ast.Name)}
            case _:
                pass
    return name in bound


def files_with(root: Path, name: str) -> list[Path]:
    """Find every Python file that mentions a name; blocks.

    Raises:
        CannotError: There are too many to look at.
    """
    import time

    end = time.monotonic() + READING
    found: list[Path] = []
    for path in walk_files(root, budget=READING):
        if path.suffix not in {".py", ".pyi"}:
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="ignore")
        except OSError:
            continue  # Gone since the walk saw it.
        if edits.words(text, name):
            found.append(path)
    if time.monotonic() > end:
        raise CannotError("the project is too large to find every mention in time")
    return found
