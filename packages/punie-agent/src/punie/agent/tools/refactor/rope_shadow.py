"""rope over a copy: the project's Python files with the editor's text, in a folder of their own.

rope reads and would write the disk; over a copy it sees unsaved text and can touch nothing. Blocking:
call it in a thread.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from punie.agent.tools.refactor.changes import CannotError
from punie.agent.tools.walk import walk_files

COPYING = 20.0
"""Seconds that copying a project may take."""
NOT_INSTALLED = "rope is not installed beside Punie: install punie-agent[refactor]"


def installed() -> bool:
    """Whether rope can be used."""
    return find_spec("rope") is not None


def rename(
    root: Path, texts: Mapping[Path, str], path: Path, index: int, new_name: str
) -> dict[Path, str]:
    """Rename what stands at a place, in a class's relatives too.

    Args:
        root: The project's folder.
        texts: Files as the editor has them; the others are read from disk.
        path: The file.
        index: Where the name begins in it.
        new_name: The new name.

    Returns:
        The files that change, with their new text.

    Raises:
        CannotError: rope cannot do it.
    """
    refactor = _rope("rope.refactor.rename")
    with _project(root, texts) as (project, shadow):
        resource = project.get_file(path.relative_to(root).as_posix())
        changes = refactor.Rename(project, resource, _index(texts[path], index)).get_changes(
            new_name, in_hierarchy=True
        )
        return _new_texts(changes, root, shadow)


def move(
    root: Path, texts: Mapping[Path, str], path: Path, index: int, target: Path
) -> dict[Path, str]:
    """Move a function, class or variable of a module to another module.

    Args:
        root: The project's folder.
        texts: Files as the editor has them; a target that does not exist among them, empty.
        path: The file it is in.
        index: Where its name begins.
        target: The file it goes to.

    Returns:
        The files that change, with their new text.

    Raises:
        CannotError: rope cannot do it.
    """
    refactor = _rope("rope.refactor.move")
    with _project(root, texts) as (project, shadow):
        resource = project.get_file(path.relative_to(root).as_posix())
        goal = project.get_file(target.relative_to(root).as_posix())
        changes = refactor.create_move(project, resource, _index(texts[path], index)).get_changes(
            goal
        )
        return _new_texts(changes, root, shadow)


def _rope(module: str) -> Any:
    """Import a module of rope, whose types say too little to be checked."""
    if not installed():
        raise CannotError(NOT_INSTALLED)
    return importlib.import_module(module)


def _rope_error() -> type[Exception]:
    return _rope("rope.base.exceptions").RopeError


@contextmanager
def _project(root: Path, texts: Mapping[Path, str]) -> Generator[tuple[Any, Path]]:
    open_project, rope_error = _rope("rope.base.project").Project, _rope_error()
    with _shadow(root, texts) as shadow:
        sources = ["src"] if (shadow / "src").is_dir() else []
        project: Any = open_project(
            str(shadow), ropefolder=None, source_folders=sources, save_objectdb=False
        )
        try:
            yield project, shadow
        except rope_error as error:
            raise CannotError(f"rope refuses: {error}") from error
        finally:
            project.close()


@contextmanager
def _shadow(root: Path, texts: Mapping[Path, str]) -> Generator[Path]:
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="punie-rope-"))
            shadow = Path(folder).resolve()
            _copy(root, shadow, texts)
        except OSError as error:
            raise CannotError(f"the project cannot be copied for rope: {error}") from error
        yield shadow


def _copy(root: Path, shadow: Path, texts: Mapping[Path, str]) -> None:
    end = time.monotonic() + COPYING
    for path in walk_files(root, budget=COPYING):
        if path.suffix == ".py" and path not in texts:
            copy = shadow / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    if time.monotonic() > end:
        raise CannotError("the project is too large for rope")
    for path, text in texts.items():
        copy = shadow / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(_lines(text).encode())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _index(text: str, index: int) -> int:
    """Count as rope does, which knows only one line ending."""
    return len(_lines(text[:index]))


def _new_texts(changes: Any, root: Path, shadow: Path) -> dict[Path, str]:
    """Read rope's change set; lines end with a line feed, whatever they ended with before."""
    texts: dict[Path, str] = {}
    for change in changes.changes:
        if not hasattr(change, "new_contents"):
            raise CannotError("rope would move or remove a file, which is not done here")
        relative = Path(change.resource.real_path).resolve().relative_to(shadow)
        texts[root / relative] = change.new_contents
    return texts
