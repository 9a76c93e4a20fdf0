"""The check holds what is good, finds each kind of fault, and says what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from punie.acp.check import REQUIREMENTS, Finding, Prompts, Report, examine
from punie.acp.check.report import as_json, as_text
from punie.acp.check.run import SCENARIOS, read_prompts
from punie.acp.errors import AgentStartError

Command = Callable[..., list[str]]
CHECK = [sys.executable, "-m", "punie.acp", "check"]
PUNIE = [sys.executable, "-m", "punie", "acp", "--model", "test"]

FAULTS = {
    "initialize.answer": "shape",
    "initialize.version-1": "version",
    "initialize.version-newer": "echo",
    "initialize.repeated": "once",
    "initialize.terminal-auth": "login",
    "wire.stdout": "print",
    "wire.schema": "kind",
    "wire.parse-error": "parse",
    "wire.array": "array",
    "wire.scalar": "scalar",
    "wire.not-a-message": "object",
    "wire.survives": "dies",
    "wire.unknown-method": "method",
    "wire.unknown-notification": "notification",
    "wire.wrong-params": "params",
    "wire.ids": "ids",
    "session.new": "nothing",
    "session.order": "early",
    "session.parallel": "same",
    "session.cwd": "cwd",
    "session.unknown": "unknown",
    "session.config": "option",
    "capabilities.answered": "list",
    "capabilities.respected": "fs",
    "prompt.answer": "reason",
    "prompt.order": "late",
    "prompt.cancel": "cancel",
    "prompt.cancel-request": "cancel request",
    "prompt.second": "busy",
    "prompt.parallel": "one at a time",
    "permission.order": "no call",
    "permission.options": "options",
    "permission.rejected": "effect",
    "permission.cancelled": "asked",
    "end.eof": "eof",
    "end.sigterm": "sigterm",
    "end.children": "child",
}
OTHER_FAULTS = [
    ("capabilities.respected", "reads"),
    ("prompt.answer", "crash"),
    ("session.order", "list id"),
    ("prompt.order", "silent"),
    ("session.config", "any option"),
    ("wire.scalar", "dies"),
    ("permission.cancelled", "effect"),
    ("permission.rejected", "fs rejected"),
    ("initialize.version-newer", "two"),
    ("capabilities.answered", "resume"),
    ("wire.stdout", "long line"),
]
FAULTS_V2 = {
    "v2.initialize": "no info",
    "v2.initialize-first": "eager",
    "v2.older-client": "newer only",
    "v2.methods": "load",
    "v2.session-new": "modes",
    "v2.session-unknown": "unknown",
    "v2.baseline": "list",
    "v2.resume-state": "stateless",
    "v2.resume-cursor": "any cursor",
    "v2.replay": "other id",
    "v2.config": "partial",
    "v2.prompt-answer": "late answer",
    "v2.prompt-message": "other message",
    "v2.state-order": "no running",
    "v2.stop-reason": "no reason",
    "v2.cancel": "cancel",
    "v2.permission": "untold",
    "v2.requires-action": "running on",
    "v2.rejected": "effect",
    "v2.tool-calls": "open call",
}
OTHER_FAULTS_V2 = [
    ("v2.older-client", "refuses badly"),
    ("v2.session-new", "numbered"),
    ("v2.config", "any option"),
    ("v2.state-order", "late"),
    ("v2.state-order", "hangs"),
    ("v2.stop-reason", "hangs"),
]
V2 = [one.id for one in REQUIREMENTS if one.id.startswith("v2.")]


async def violated(command: list[str], *only: str) -> list[str]:
    verdicts = await examine(command, timeout=2.0, only=only)
    return [verdict.id for verdict in verdicts if verdict.outcome == "violated"]


async def test_an_agent_without_fault_holds_everything(agent: Command) -> None:
    verdicts = await examine(agent(), timeout=10.0)
    assert [verdict for verdict in verdicts if verdict.outcome != "held"] == [
        Finding(one.id, "skipped", "", "the agent does not speak version 2")
        for one in REQUIREMENTS
        if one.id.startswith("v2.")
    ]


@pytest.mark.parametrize(("requirement", "fault"), [*FAULTS.items(), *OTHER_FAULTS])
async def test_a_fault_is_found(agent: Command, requirement: str, fault: str) -> None:
    assert requirement in await violated(agent(fault), requirement)


@pytest.mark.parametrize("fault", ["", "refuses", "select"])
async def test_an_agent_of_version_2_without_fault_holds_all_of_it(
    agent_v2: Command, fault: str
) -> None:
    verdicts = await examine(agent_v2(fault), timeout=10.0, only=V2)
    assert [verdict for verdict in verdicts if verdict.outcome != "held"] == []


@pytest.mark.parametrize(("requirement", "fault"), [*FAULTS_V2.items(), *OTHER_FAULTS_V2])
async def test_a_fault_in_version_2_is_found(
    agent_v2: Command, requirement: str, fault: str
) -> None:
    assert requirement in await violated(agent_v2(fault), requirement)


@pytest.mark.parametrize(
    ("fault", "requirement", "reason"),
    [
        ("auth", "v2.session-new", "the agent asks for a login first"),
        ("no options", "v2.config", "the agent has no config options"),
        ("forgets", "v2.replay", "the agent keeps no history that it could replay"),
        ("refuses prompts", "v2.replay", "no turn could be run to its end"),
        ("hasty", "v2.cancel", "the long prompt ended before it could be cancelled"),
        ("never asks", "v2.rejected", "the agent never asked"),
        ("does not ask", "v2.rejected", "the agent wrote the file without asking"),
    ],
)
async def test_what_cannot_be_looked_at_in_version_2_is_skipped_with_the_reason(
    agent_v2: Command, fault: str, requirement: str, reason: str
) -> None:
    verdicts = await examine(agent_v2(fault), timeout=5.0, only=[requirement])
    assert verdicts == [Finding(requirement, "skipped", "", reason)]


async def test_an_agent_that_exits_at_once_is_skipped_in_version_2() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no licence found')"]
    (verdict,) = await examine(command, timeout=5.0, only=["v2.initialize"])
    assert verdict.outcome == "skipped"
    assert verdict.seen.endswith("stderr ends with: no licence found")


def test_each_requirement_has_a_fault_that_violates_it() -> None:
    assert {*FAULTS, *FAULTS_V2} == {requirement.id for requirement in REQUIREMENTS}


def test_each_requirement_is_decided_by_a_scenario() -> None:
    decided = {one for scenario in SCENARIOS for one in scenario.decides}
    assert decided == {requirement.id for requirement in REQUIREMENTS}


async def test_what_a_prompt_cannot_bring_about_is_skipped_with_the_reason(agent: Command) -> None:
    prompts = Prompts(long="hello", write="hello")
    only = ("prompt.cancel", "prompt.second", "permission.rejected", "permission.cancelled")
    verdicts = await examine(agent(), prompts=prompts, timeout=5.0, only=only)
    assert [verdict.outcome for verdict in verdicts] == ["skipped"] * 4
    assert "ended" in verdicts[0].seen
    assert "never asked" in verdicts[2].seen


@pytest.mark.parametrize(
    ("fault", "requirement", "reason"),
    [
        ("auth", "session.new", "the agent asks for a login first"),
        ("modest", "capabilities.answered", "the agent advertises no more methods"),
        ("no options", "session.config", "the agent has no config options"),
        (
            "impatient",
            "prompt.cancel-request",
            "the long prompt ended, or said nothing, before it could be cancelled",
        ),
    ],
)
async def test_what_the_agent_does_not_offer_is_skipped_with_the_reason(
    agent: Command, fault: str, requirement: str, reason: str
) -> None:
    verdicts = await examine(agent(fault), timeout=5.0, only=[requirement])
    assert verdicts == [Finding(requirement, "skipped", "", reason)]


async def test_many_stray_lines_are_counted(agent: Command) -> None:
    (verdict,) = await examine(agent("print"), timeout=5.0, only=["wire.stdout"])
    assert verdict.seen.startswith('10 times: "Welcome!"; "Welcome!"; "Welcome!"; ...')


@pytest.mark.parametrize("fault", ["reads", "reads itself", "asks"])
async def test_an_agent_may_ask_a_client_for_files_and_for_what_it_does_not_serve(
    agent: Command, fault: str
) -> None:
    (verdict,) = await examine(agent(fault), timeout=5.0, only=["permission.rejected"])
    assert verdict.outcome == "held"


async def test_an_agent_that_exits_at_once_is_reported_with_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no licence found')"]
    verdicts = await examine(command, timeout=5.0, only=["initialize.answer", "session.new"])
    assert (verdicts[0].outcome, verdicts[1].outcome) == ("violated", "skipped")
    assert verdicts[0].seen == "no answer: the agent exited with 1"
    assert verdicts[1].seen.endswith("stderr ends with: no licence found")


async def test_a_program_that_does_not_exist_is_no_agent() -> None:
    with pytest.raises(AgentStartError):
        await examine(["/nowhere/agent"])


async def test_an_unknown_requirement_is_refused(agent: Command) -> None:
    with pytest.raises(ValueError, match=r"no\.such"):
        await examine(agent(), only=["no.such"])


@pytest.mark.timeout(200)
def test_punie_holds_everything_and_the_command_exits_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    ran = subprocess.run(
        [*CHECK, "--json", "--", *PUNIE], capture_output=True, text=True, timeout=180, check=False
    )
    rows = json.loads(ran.stdout)["requirements"]
    assert [row for row in rows if row["outcome"] == "violated"] == []
    skipped = [row["id"] for row in rows if row["outcome"] == "skipped"]
    assert (skipped, ran.returncode, ran.stderr) == ([], 0, "")


def test_a_violation_makes_the_command_exit_with_1_and_names_the_source(agent: Command) -> None:
    ran = subprocess.run(
        [*CHECK, "--only", "wire.scalar", "--timeout", "5", "--", *agent("scalar")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[:4] == [
        "FAIL  wire.scalar               a scalar is answered with -32600 and a null id",
        "      expected  error -32600 with id null",
        "      seen      `42`: no answer",
        "      source    https://www.jsonrpc.org/specification#error_object",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "--", "/nowhere/agent"],
        ["check", "--only", "no.such", "--", "x"],
        ["check", "--prompts", "/no/file", "--", "x"],
        ["check", "--timeout", "soon", "--", "x"],
    ],
)
def test_wrong_use_exits_with_2_and_says_why(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "punie.acp", *arguments], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Traceback" not in ran.stderr


def test_prompts_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prompts.toml"
    path.write_text('long = "Zähle langsam bis 100."', encoding="utf-8")
    assert read_prompts(path) == Prompts(long="Zähle langsam bis 100.")


@pytest.mark.parametrize("text", ['other = "x"', "short = 1", "short ="])
def test_prompts_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"prompts\.toml"):
        read_prompts(path)


def test_one_violation_outweighs_what_held() -> None:
    report = Report()
    report.expect("wire.ids", True, expected="a", seen="b")
    report.expect("wire.ids", False, expected="c", seen="d")
    report.skip(["wire.ids"], "e")
    assert report.verdicts(["wire.ids"]) == [Finding("wire.ids", "violated", "c", "d")]


def test_a_requirement_that_nobody_looked_at_is_not_held() -> None:
    (verdict,) = Report().verdicts(["wire.ids"])
    assert verdict.outcome == "skipped"


def test_a_report_counts_and_can_be_read_by_programs() -> None:
    report = Report()
    report.expect("wire.ids", True, expected="a", seen="b")
    verdicts = report.verdicts()
    count = len(REQUIREMENTS)
    last = as_text(verdicts).splitlines()[-1]
    assert last == f"{count} requirements: 1 held, 0 violated, {count - 1} skipped"
    rows = {row["id"]: row for row in json.loads(as_json(verdicts))["requirements"]}
    assert rows["wire.ids"]["outcome"] == "held"
    assert rows["wire.ids"]["source"].startswith("https://www.jsonrpc.org/")


async def test_notifications_of_an_extension_are_nobodys_business(agent: Command) -> None:
    verdicts = await examine(agent("extends"), timeout=5.0, only=["prompt.answer", "wire.schema"])
    assert [verdict.outcome for verdict in verdicts] == ["held", "held"]


async def test_a_session_without_an_id_cannot_be_gone_on_with(agent: Command) -> None:
    (verdict,) = await examine(agent("numbered"), timeout=5.0, only=["prompt.answer"])
    assert verdict.outcome == "skipped"
    assert "session/new" in verdict.seen
