"""Rules: what a pattern covers, which one wins, and what a call that a rule is about may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punie.agent.config import Permissions
from punie.agent.errors import ConfigError
from punie.agent.permissions.gate import Gate, Standing, Verdict
from punie.agent.permissions.policy import MODES, Decision, decide, strictest
from punie.agent.permissions.rules import NO_RULES, Place, Ruling, parse_rule, parse_rules
from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG

HOME = Path.home().as_posix()


def place(path: str, *, named: str = "") -> Place:
    resolved = path if path.startswith("/") else f"/p/{path}".rstrip("/.")
    return Place(resolved, f"/p/{named}" if named else resolved, "/p")


@pytest.mark.parametrize(
    ("pattern", "path", "covers"),
    [
        ("src/**", "src/a/b.py", True),
        ("src/**", "src", True),
        ("src", "src/a.py", True),
        ("src/", "src/a.py", True),
        ("./src", "src/a.py", True),
        ("src", "srcs/a.py", False),
        ("src/*", "src/a.py", True),
        ("src/*.py", "src/a/b.py", False),
        ("**/*.py", "a.py", True),
        ("**/*.py", "src/a/b.py", True),
        ("**", ".", True),
        ("*", "a/b", True),
        ("?.py", "a.py", True),
        ("?.py", "ab.py", False),
        (".env", ".env", True),
        (".env", "sub/.env", False),
        ("**/.env", "sub/.env", True),
        ("a[b].py", "a[b].py", True),
        ("Src", "src/a.py", False),
        ("src", "/etc/src", False),
        ("**", "/etc/hosts", False),
        ("/etc/**", "/etc/hosts", True),
        ("/p/src", "src/a.py", True),
        ("~/x/**", f"{HOME}/x/y", True),
        ("~/x/**", f"{HOME}/y", False),
    ],
)
def test_a_pattern_covers_paths(pattern: str, path: str, covers: bool) -> None:
    held = parse_rules(Permissions(allow=(f"edit_file({pattern})",)))
    assert (held.on_path("edit_file", place(path)).verdict == "allow") == covers


@pytest.mark.parametrize(
    ("pattern", "where"),
    [
        ("secrets", place("secrets/x")),
        ("secrets", place("Secrets/x")),
        ("/p/secrets", place("secrets/x")),
        ("**/x", place("/etc/x")),
        ("link", place("/etc/x", named="link")),
        ("target", place("target", named="link")),
        ("link", place("target", named="link")),
    ],
)
def test_what_is_denied_is_denied_by_every_name_it_has(pattern: str, where: Place) -> None:
    held = parse_rules(Permissions(deny=(f"edit_file({pattern})",), allow=("*",)))
    assert held.on_path("edit_file", where) == Ruling("deny", f"edit_file({pattern})")


def test_what_is_allowed_is_allowed_by_where_it_leads_alone() -> None:
    held = parse_rules(Permissions(allow=("edit_file(link)",)))
    assert held.on_path("edit_file", place("target", named="link")).verdict == "none"


def test_a_rule_without_a_pattern_allows_nothing_outside_and_denies_everywhere() -> None:
    allow = parse_rules(Permissions(allow=("edit_file",)))
    assert allow.on_path("edit_file", place("x")).verdict == "allow"
    assert allow.on_path("edit_file", place("/etc/x")).verdict == "none"
    assert allow.on_path("write_file", place("x")).verdict == "none"
    deny = parse_rules(Permissions(deny=("*_file",)))
    assert deny.on_path("write_file", place("/etc/x")).verdict == "deny"


def test_where_nobody_can_tell_the_path_a_rule_about_any_makes_it_a_question() -> None:
    deny = parse_rules(Permissions(deny=("write_file(secrets)",)))
    ask = parse_rules(Permissions(ask=("write_file(secrets)",)))
    assert deny.on_path("write_file", None).verdict == "hidden"
    assert ask.on_path("write_file", None).verdict == "ask"
    assert ask.on_path("read_file", None).verdict == "none"
    assert NO_RULES.on_path("write_file", None).verdict == "none"


def test_a_tool_without_arguments_is_ruled_on_by_its_name() -> None:
    held = parse_rules(Permissions(ask=("git_status", "git_log(x)"), allow=("git_*",)))
    assert held.on_tool("git_status").verdict == "ask"
    assert held.on_tool("git_log").verdict == "allow"
    assert held.on_tool("lint").verdict == "none"


@pytest.mark.parametrize("text", ["", "run command(x)", "run_command(x", "run_command x", "(x)"])
def test_what_is_no_rule_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ConfigError, match="is no rule: write TOOL or"):
        parse_rule(text)


def test_empty_parentheses_are_about_every_call() -> None:
    assert parse_rule("edit_file()").pattern is None


RULINGS = st.builds(
    Ruling, st.sampled_from(["deny", "hidden", "ask", "allow", "none"]), st.just("x(y)")
)
RISKS = st.sampled_from(["read", "check", "write", "execute"])


@given(st.sampled_from(MODES), RISKS, st.booleans(), RULINGS)
def test_rules_decide_within_what_the_mode_grants(mode, risk, outside, ruling) -> None:
    without = decide(mode, risk, outside=outside)
    decision = decide(mode, risk, outside=outside, ruling=ruling)
    order = ("deny", "ask", "allow")
    if ruling.verdict == "none":
        assert decision == without
    elif ruling.verdict == "deny":
        assert decision.verdict == "deny"
    elif without.verdict == "deny":
        assert decision == without
    elif ruling.verdict == "hidden":
        assert decision.verdict == "ask"
    elif ruling.verdict == "allow":
        assert decision.verdict == "allow"
    else:
        assert order.index(decision.verdict) <= order.index(without.verdict)
        assert (decision.verdict == "ask") == (mode != "bypass")


def test_the_strictest_decision_counts_and_of_equals_the_first() -> None:
    allow, one, two = Decision("allow", "a"), Decision("ask", "1"), Decision("ask", "2")
    assert strictest([allow, one, two]) is one
    assert strictest([one, Decision("deny", "d")]).verdict == "deny"


# Calls, through the gate.


async def check(call: Call, person: Any, name: str, *, mode: str = "ask", **rules: Any) -> Verdict:
    arguments = rules.pop("arguments")
    gate = Gate(mode, ask=person, standing=Standing(rules=parse_rules(Permissions(**rules))))  # type: ignore[arg-type]
    tool = CATALOG[name]
    return await gate.check(tool, tool.parse(arguments), call, "call-1")


async def test_an_allowed_command_is_not_asked_about(call, person) -> None:
    verdict = await check(
        call,
        person,
        "run_command",
        allow=("run_command(git status*)",),
        arguments={"command": "git status -s"},
    )
    assert verdict == Verdict(True, "the rule run_command(git status*) allows it", False)


async def test_an_allowed_command_is_asked_about_in_a_folder_outside(call, person) -> None:
    arguments = {"command": "git status", "cwd": ".."}
    await check(call, person, "run_command", allow=("run_command",), arguments=arguments)
    assert [ask.reason for ask in person.questions] == ["it reaches outside the project"]


async def test_a_rule_about_a_tool_without_paths_holds_for_its_calls(call, person) -> None:
    await check(call, person, "git_status", ask=("git_*",), arguments={})
    assert [ask.reason for ask in person.questions] == ["the rule git_* says so"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_denied_call_is_denied_in_every_mode(call, person, mode) -> None:
    verdict = await check(
        call, person, "read_file", mode=mode, deny=("*(.env)",), arguments={"path": ".env"}
    )
    assert verdict == Verdict(False, "the rule *(.env) denies it", False)


async def test_bypass_asks_where_something_denied_may_hide(call, person) -> None:
    rules = {"deny": ("run_command(rm *)",), "mode": "bypass"}
    hidden = await check(call, person, "run_command", arguments={"command": "$x"}, **rules)
    plain = await check(call, person, "run_command", arguments={"command": "ls $x"}, **rules)
    assert (hidden.asked, plain.asked) == (True, False)
    assert person.questions[0].reason == "it may do what the rule run_command(rm *) denies"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo x > y", "it can change files"),
        ("echo x > ../y", "it reaches outside the project"),
        ("echo x > $y", "it reaches outside the project"),
        ("cat < ../y", "it reaches outside the project"),
        ("cd sub; echo x > y", "it reaches outside the project"),
        ("echo x > link/y", "it reaches outside the project"),
    ],
)
async def test_a_redirection_counts_as_the_call_that_it_is(call, person, command, reason) -> None:
    (call.workspace.root / "link").symlink_to(call.workspace.root.parent)
    (call.workspace.root / "sub").mkdir()
    arguments = {"command": command}
    await check(call, person, "run_command", allow=("run_command(*)",), arguments=arguments)
    assert [ask.reason for ask in person.questions] == [reason]


@pytest.mark.parametrize(
    "command", ["echo x > /dev/null", "cat < sub/y", "echo x 2>&1", "cd /; echo x >&2"]
)
async def test_a_redirection_that_may_be_is_not_asked_about(call, person, command) -> None:
    arguments = {"command": command}
    await check(call, person, "run_command", allow=("run_command(*)",), arguments=arguments)
    assert person.questions == []


async def test_a_redirection_into_what_is_denied_is_denied(call, person) -> None:
    verdict = await check(
        call,
        person,
        "run_command",
        mode="bypass",
        deny=("write_file(.env)",),
        arguments={"command": "cat <<END > ./sub/../.env\nx\nEND"},
    )
    assert verdict == Verdict(False, "the rule write_file(.env) denies it", False)


async def test_in_mode_edit_a_redirection_inside_is_an_edit(call, person) -> None:
    arguments = {"command": "echo x > y"}
    await check(
        call, person, "run_command", mode="edit", allow=("run_command(*)",), arguments=arguments
    )
    assert person.questions == []


async def test_a_call_is_ruled_on_by_every_file_that_its_preview_changes(call, person) -> None:
    tool = CATALOG["edit_file"]
    rules = parse_rules(Permissions(deny=("edit_file(secrets)",)))
    gate = Gate("edit", ask=person, standing=Standing(rules=rules))
    args = tool.parse({"path": "a.py", "old": "a", "new": "b"})
    changes = [str(call.workspace.root / name) for name in ("a.py", "secrets/b.py")]
    assert (await gate.check(tool, args, call, "1", changes=changes[:1])).allowed
    assert not (await gate.check(tool, args, call, "1", changes=changes)).allowed


async def test_always_spares_only_the_file_where_a_rule_wants_a_question(call, person) -> None:
    person.kind = "allow_always"
    rules = parse_rules(Permissions(ask=("edit_file(*.toml)",)))
    gate = Gate("ask", ask=person, standing=Standing(rules=rules))
    tool = CATALOG["edit_file"]
    for path in ("x.py", "y.py", "a.toml", "a.toml", "b.toml"):
        await gate.check(tool, tool.parse({"path": path, "old": "a", "new": "b"}), call, "1")
    assert [ask.options[1].name for ask in person.questions] == [
        "Always allow edit_file in this session",
        "Always allow edit_file of a.toml in this session",
        "Always allow edit_file of b.toml in this session",
    ]
