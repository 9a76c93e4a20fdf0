"""Agent Skills: folders with a SKILL.md, of the project and of the person.

Only names and descriptions stand in the prompt; the model reads a body, or a file beside it, by a
call of the tool `skill`, when it needs it. Without any skill nothing is offered and nothing is said.

Source:
    https://agentskills.io/specification
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from punie.agent.tools.base import Call, Tool
from punie.agent.tools.results import Result

PROJECT_FOLDER = Path(".punie", "skills")
PERSON_FOLDER = Path("skills")
"""Below the folder of the person's settings."""
LONGEST_BODY = 50_000
"""Characters of a file that is read."""
MAX_SKILLS = 50
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LONGEST_NAME, _LONGEST_DESCRIPTION = 64, 1_024


class Skill(NamedTuple):
    """One skill, as the prompt has it."""

    name: str
    description: str
    folder: Path


class Skills(NamedTuple):
    """What was found."""

    by_name: Mapping[str, Skill]
    broken: Mapping[str, str]
    """Reasons, by folder."""


class ReadSkill(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `skill`."""

    name: str
    file: str = ""
    """A file in the skill's folder; its SKILL.md by default."""


class SkillResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """A file of a skill."""

    name: str
    text: str = ""
    files: tuple[str, ...] = ()
    """Other files of the skill, to be read when its text says so."""

    def headline(self) -> str:
        """Such as `skill release-notes`."""
        return self.error or f"skill {self.name}"

    def details(self) -> str:
        """The text, then the names of the other files."""
        more = f"\n\nfiles of this skill: {', '.join(self.files)}" if self.files else ""
        return self.text + more


def find_skills(root: Path, person: Path | None) -> Skills:
    """Look for skills; reads files. A project's skill hides the person's of the same name.

    Args:
        root: The project's folder.
        person: The folder of the person's settings.
    """
    by_name: dict[str, Skill] = {}
    broken: dict[str, str] = {}
    folders = [root / PROJECT_FOLDER, *([person / PERSON_FOLDER] if person else [])]
    for parent in folders:
        for file in sorted(parent.glob("*/SKILL.md"))[:MAX_SKILLS]:
            try:
                skill = _read_skill(file)
            except (OSError, ValueError) as error:
                broken[str(file.parent)] = str(error)
                continue
            by_name.setdefault(skill.name, skill)
    return Skills(by_name, broken)


def section(skills: Sequence[Skill]) -> str:
    """Write what the prompt says of skills; empty when there are none."""
    if not skills:
        return ""
    lines = [f"- {skill.name}: {' '.join(skill.description.split())}" for skill in skills]
    return "\n".join([
        "Skills: before you do what one is for, read it with the tool skill.",
        *lines,
    ])


def skill_tool(skills: Mapping[str, Skill]) -> Tool[ReadSkill, SkillResult]:
    """Make the tool that reads them."""

    async def run(_call: Call, args: ReadSkill) -> SkillResult:
        return await asyncio.to_thread(_read, skills, args)

    return Tool(
        name="skill",
        kind="read",
        risk="read",
        description="Read a skill, or another file of it.",
        arguments=ReadSkill,
        result=SkillResult,
        run=run,
        title=lambda args: f"Read the skill {args.name}" + (f", {args.file}" if args.file else ""),
        copied_arguments=("name",),
        group="skills",
        examples=(ReadSkill(name=next(iter(skills), "release-notes")),),
    )


def _read(skills: Mapping[str, Skill], args: ReadSkill) -> SkillResult:
    skill = skills.get(args.name)
    if skill is None:
        error = f"there is no skill {args.name}; there are {', '.join(skills)}"
        return SkillResult(ok=False, name=args.name, error=error)
    folder = skill.folder.resolve()
    try:
        path = (folder / (args.file or "SKILL.md")).resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"{args.file} is not in the folder of the skill")
        text = path.read_text(encoding="utf-8")[:LONGEST_BODY]
    except (OSError, ValueError) as error:
        return SkillResult(ok=False, name=args.name, error=f"it cannot be read: {error}")
    if args.file:
        return SkillResult(ok=True, name=args.name, text=text)
    others = sorted(
        one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()
    )
    files = tuple(one for one in others if one != "SKILL.md")[:MAX_SKILLS]
    return SkillResult(ok=True, name=args.name, text=_split(text)[1].strip(), files=files)


def _read_skill(file: Path) -> Skill:
    head, _ = _split(file.read_text(encoding="utf-8"))
    fields = _fields(head)
    name, description = fields.get("name", ""), fields.get("description", "")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError("its name must be small letters, digits and single hyphens")
    if name != file.parent.name:
        raise ValueError(f"its name is {name}, but its folder is called {file.parent.name}")
    if not description or len(description) > _LONGEST_DESCRIPTION:
        raise ValueError(f"it needs a description of 1 to {_LONGEST_DESCRIPTION} characters")
    return Skill(name, description, file.parent)


def _split(text: str) -> tuple[str, str]:
    """Split a SKILL.md into what stands between the two lines of hyphens, and the rest."""
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[0].rstrip() == "---":
        for number, line in enumerate(lines[1:], 1):
            if line.rstrip() == "---":
                return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :])
    raise ValueError("it does not begin with a block between two lines of ---")


def _fields(head: str) -> dict[str, str]:
    """Read the plain keys of the block: texts on one line, quoted or not, and folded ones."""
    fields: dict[str, str] = {}
    key = ""
    for line in head.split("\n"):
        match = re.match(r"(\w[\w-]*):\s*(.*)$", line)
        if match:
            key, value = match[1], match[2].strip()
            fields[key] = "" if value in {">", "|", ">-", "|-"} else _unquoted(value)
        elif key and line.startswith((" ", "\t")):
            fields[key] = f"{fields[key]} {line.strip()}".strip()
    return fields


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
