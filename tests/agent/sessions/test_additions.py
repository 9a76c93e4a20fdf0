"""Notes and skills of a project: what the model reads of them, and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.agent.events import Notice
from punie.agent.models.spec import ModelSpec
from punie.agent.prompts.instructions import DEFAULT, read_notes
from punie.agent.skills import find_skills
from punie.agent.testing import Call

SKILL = """\
---
name: release-notes
description: >
  Write the notes of a release.
  Use it when a version is made.
---
# How

Read the changelog first.
"""


def put(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def instructions(scene: Any, request: int = 0) -> str:
    return scene.requests[request][0][0].instructions


async def test_without_notes_and_skills_nothing_is_said_of_them(play: Callable[..., Any]) -> None:
    scene = play([["hi"]])
    await scene.session.prompt("hello")
    assert instructions(scene) == DEFAULT.format(root=scene.root)
    assert "skill" not in {tool.name for tool in scene.requests[0][1].function_tools}


async def test_the_projects_notes_stand_after_what_never_changes(play: Callable[..., Any]) -> None:
    scene = play([["hi"], ["again"]])
    put(scene.root, "AGENTS.md", "Run `just check`.\n")
    put(scene.root, "CLAUDE.md", "Not read beside AGENTS.md.\n")
    await scene.session.prompt("hello")
    put(scene.root, "AGENTS.md", "Changed in the middle of a session.\n")
    await scene.session.prompt("hello")
    expected = DEFAULT.format(root=scene.root) + "\n\nThe project's AGENTS.md:\nRun `just check`."
    assert instructions(scene) == expected
    # The beginning stays as it was, else the server's cache of it is lost.
    assert instructions(scene, 1) == expected


async def test_a_skill_is_named_and_its_body_read_by_a_call(play: Callable[..., Any]) -> None:
    scene = play([[Call("skill", {"name": "release-notes"})], ["done"]])
    put(scene.root, ".punie/skills/release-notes/SKILL.md", SKILL)
    put(scene.root, ".punie/skills/release-notes/templates/a.md", "# Template\n")
    await scene.session.prompt("release")
    assert instructions(scene).endswith(
        "Skills: before you do what one is for, read it with the tool skill.\n"
        "- release-notes: Write the notes of a release. Use it when a version is made."
    )
    (part,) = scene.requests[1][0][-1].parts
    assert part.model_response_str() == (
        "skill release-notes\n# How\n\nRead the changelog first.\n\n"
        "files of this skill: templates/a.md"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "release-notes", "file": "templates/a.md"}, "skill release-notes\n# Template"),
        (
            {"name": "release-notes", "file": "../../../secret.txt"},
            "error: it cannot be read: ../../../secret.txt is not in the folder of the skill",
        ),
        (
            {"name": "release-notes", "file": "link"},
            "error: it cannot be read: link is not in the folder of the skill",
        ),
        ({"name": "other"}, "error: there is no skill other; there are release-notes"),
    ],
)
async def test_files_of_a_skill_are_read_from_its_folder_alone(
    play: Callable[..., Any], arguments: dict[str, str], said: str
) -> None:
    scene = play([[Call("skill", arguments)], ["done"]])
    put(scene.root, "secret.txt", "secret")
    put(scene.root, ".punie/skills/release-notes/SKILL.md", SKILL)
    put(scene.root, ".punie/skills/release-notes/templates/a.md", "# Template")
    (scene.root / ".punie/skills/release-notes/link").symlink_to(scene.root / "secret.txt")
    await scene.session.prompt("release")
    (part,) = scene.requests[1][0][-1].parts
    assert part.model_response_str() == said


async def test_a_broken_skill_is_told_once(play: Callable[..., Any]) -> None:
    scene = play([["hi"], ["again"]])
    put(scene.root, ".punie/skills/bad/SKILL.md", "no block")
    await scene.session.prompt("hello")
    await scene.session.prompt("hello")
    (notice,) = scene.heard.of(Notice)
    assert notice.title == f"The skill in {scene.root}/.punie/skills/bad cannot be used"
    assert notice.description == "it does not begin with a block between two lines of ---"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("---\nname: Big Name\ndescription: x\n---\n", "its name must be small letters"),
        ("---\nname: other\ndescription: x\n---\n", "its name is other, but its folder is called"),
        ("---\nname: a\n---\n", "it needs a description of 1 to 1024 characters"),
        ("---\nname: a\ndescription: x\n", "it does not begin with a block"),
    ],
)
def test_what_is_no_skill_says_why(tmp_path: Path, text: str, reason: str) -> None:
    put(tmp_path, ".punie/skills/a/SKILL.md", text)
    skills = find_skills(tmp_path, None)
    assert dict(skills.by_name) == {}
    (said,) = skills.broken.values()
    assert said.startswith(reason)


def test_a_projects_skill_hides_the_persons(tmp_path: Path) -> None:
    put(tmp_path, "p/.punie/skills/a/SKILL.md", "---\nname: a\ndescription: 'mine'\n---\n")
    put(tmp_path, "c/skills/a/SKILL.md", "---\nname: a\ndescription: theirs\n---\n")
    put(tmp_path, "c/skills/b/SKILL.md", '---\nname: b\ndescription: "b"\n---\n')
    found = find_skills(tmp_path / "p", tmp_path / "c").by_name
    assert {name: skill.description for name, skill in found.items()} == {"a": "mine", "b": "b"}


async def test_a_model_with_instructions_of_its_own_keeps_them(play: Callable[..., Any]) -> None:
    scene = play([["hi"]], spec=ModelSpec(spec="test", instructions="Be short."))
    put(scene.root, "AGENTS.md", "Be long.")
    put(scene.root, ".punie/skills/release-notes/SKILL.md", SKILL)
    await scene.session.prompt("hello")
    assert instructions(scene) == "Be short."
    assert "skill" not in {tool.name for tool in scene.requests[0][1].function_tools}


def test_notes_are_cut_to_a_tenth_of_the_context(tmp_path: Path) -> None:
    put(tmp_path, "p/CLAUDE.md", "x" * 50_000)
    put(tmp_path, "c/AGENTS.md", "Mine.")
    notes = read_notes(tmp_path / "p", tmp_path / "c", window=4_096)
    assert notes.startswith("The user's AGENTS.md:\nMine.\n\nThe project's CLAUDE.md:\nxxx")
    assert notes.endswith("\n[cut: read CLAUDE.md for the rest]")
    assert len(notes) < 4_096 * 0.1 * 3 + 150
    assert read_notes(tmp_path, None, window=0) == ""


def test_notes_that_are_a_link_out_of_the_project_are_left_out(tmp_path: Path) -> None:
    """Else a project that was only cloned sends any file of the person's to the model."""
    put(tmp_path, "secret", "key")
    put(tmp_path, "p/docs/agents.md", "Ours.")
    (tmp_path / "p/AGENTS.md").symlink_to(tmp_path / "secret")
    assert read_notes(tmp_path / "p", None, window=0) == ""
    (tmp_path / "p/CLAUDE.md").symlink_to("docs/agents.md")
    assert read_notes(tmp_path / "p", None, window=0) == "The project's CLAUDE.md:\nOurs."
