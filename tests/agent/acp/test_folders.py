"""Further folders of a session: what they allow, what they do not, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.acp.errors import RequestError
from punie.acp.schema import v1
from punie.agent.config import Permissions
from punie.agent.permissions.effects import effects_of
from punie.agent.permissions.rules import parse_rules
from punie.agent.prompts.instructions import default_instructions
from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG
from punie.agent.workspaces.local import LocalWorkspace


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "b.txt").write_text("from the library\n")
    return folder


@pytest.fixture
def with_folders(opened: Any, project: Path) -> Callable[..., Any]:
    """Open one more session in a client's process, with further folders."""

    async def open_session(client: Any, *folders: Path, session_id: str = "") -> Any:
        more = [str(folder) for folder in folders]
        where = {"cwd": str(project), "mcp_servers": [], "additional_directories": more}
        if session_id:
            request = v1.LoadSessionRequest(session_id=session_id, **where)
            await client.agent.load_session(request)
            client.session_id = session_id
        else:
            answer = await client.agent.new_session(v1.NewSessionRequest(**where))
            client.session_id = answer.session_id

    return open_session


async def test_a_further_folder_is_read_without_asking_and_no_other_is(
    opened: Any, editor: Any, with_folders: Any, library: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.txt").write_text("neither here nor there\n")
    (library / "link.txt").symlink_to(tmp_path / "c.txt")
    editor.allow = False
    async with opened(editor) as client:
        await with_folders(client, library)
        await client.ask(f"read {library / 'b.txt'}")
        assert (client.text.endswith("1 line"), client.permissions) == (True, [])
        for path in (tmp_path / "c.txt", library / "link.txt", library.parent):
            await client.ask(f"read {path}")
        assert len(client.permissions) == 3


async def test_a_write_in_a_further_folder_is_asked_as_in_the_first_and_can_be_undone(
    opened: Any, editor: Any, with_folders: Any, library: Path
) -> None:
    async with opened(editor) as client:
        await with_folders(client, library)
        await client.ask(f"write {library / 'b.txt'} new")
        assert len(client.permissions) == 1
        client.permissions.clear()
        await client.ask(f"run echo more > {library / 'd.txt'}")
        assert (library / "d.txt").exists()
        await client.ask("/undo")
        assert not (library / "d.txt").exists()
        await client.ask("/undo b.txt")
        await client.ask(f"/undo {library / 'b.txt'}")
    assert (library / "b.txt").read_text() == "from the library\n"


async def test_the_folders_are_those_that_the_latest_client_named(
    opened: Any, editor: Any, editor_of: Any, with_folders: Any, library: Path
) -> None:
    async with opened(editor) as client:
        await with_folders(client, library)
        await client.ask("hello")
        session_id = client.session_id
        listed = await client.agent.list_sessions(v1.ListSessionsRequest())
        folders = {one.session_id: one.additional_directories for one in listed.sessions}
        assert folders.pop(session_id) == [str(library)]
        assert list(folders.values()) == [[]]
    strict = editor_of()
    strict.allow = False
    async with opened(strict) as client:
        await with_folders(client, session_id=session_id)
        await client.ask(f"read {library / 'b.txt'}")
        assert len(client.permissions) == 1


async def test_what_was_always_allowed_does_not_reach_into_a_folder_that_came_along(
    opened: Any, editor: Any, editor_of: Any, with_folders: Any, library: Path
) -> None:
    class Always(type(editor)):
        async def request_permission(self, params: Any) -> Any:
            self.permissions.append(params)
            outcome = v1.SelectedPermissionOutcome(option_id="allow_always")
            return v1.RequestPermissionResponse(outcome=outcome)

    async with opened(Always()) as client:
        await client.ask("write x.txt 1")
        await client.ask("write y.txt 2")
        assert len(client.permissions) == 1
        session_id = client.session_id
    async with opened(editor_of()) as client:
        await with_folders(client, library, session_id=session_id)
        await client.ask(f"write {library / 'b.txt'} new")
        assert len(client.permissions) == 1


@pytest.mark.parametrize("folder", ["relative", "/does/not/exist"])
async def test_a_folder_that_is_not_there_is_refused_with_its_place(
    opened: Any, editor: Any, with_folders: Any, library: Path, folder: str
) -> None:
    async with opened(editor) as client:
        with pytest.raises(RequestError) as refused:
            await with_folders(client, library, Path(folder))
    assert (refused.value.code, refused.value.data["path"]) == (
        -32602,
        "$.additionalDirectories[1]",
    )


async def test_what_a_rule_forbids_in_the_project_it_forbids_in_a_further_folder(
    project: Path, library: Path
) -> None:
    workspace = LocalWorkspace(project, more=[library])
    rules = parse_rules(Permissions(deny=("read_file(secrets/**)",)))
    tool = CATALOG["read_file"]
    for root in (project, library):
        args = tool.parse({"path": str(root / "secrets" / "a")})
        effects = effects_of(tool, args, Call(workspace), rules)
        assert effects.decide("bypass").verdict == "deny"


def test_further_folders_stand_behind_all_that_other_sessions_share(
    project: Path, library: Path
) -> None:
    alone = default_instructions(project)
    both = default_instructions(project, "NOTES", more=[library])
    assert both == f"{alone}\nMore folders, by absolute path: {library}\n\nNOTES"
