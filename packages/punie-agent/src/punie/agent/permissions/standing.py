"""What holds in a folder before anybody is asked: its rules, and the answers for the project.

Rules about tools that do not exist protect nothing, so a name that is misspelt is an error. The tools
of MCP servers are known only to a session that has them: their names (`SERVER_TOOL`) are believed
here, and `unmatched` tells later which of them were about nothing.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from punie.agent import config
from punie.agent.errors import ConfigError
from punie.agent.permissions import remembered
from punie.agent.permissions.gate import Standing
from punie.agent.permissions.remembered import Answers
from punie.agent.permissions.rules import Rule, Rules, parse_rule, parse_rules

_NEAR = 0.8
"""How alike a misspelt name and the one that was meant are, from 0 to 1."""
_LONGER = 2
"""Characters by which they may differ in length."""


def standing_in(cwd: Path, root: Path, environ: Mapping[str, str] | None = None) -> Standing:
    """Read the rules of the settings, and where answers are kept.

    Args:
        cwd: The folder whose settings hold.
        root: The folder by which answers are known, absolute.
        environ: Environment variables; those of this process by default.

    Raises:
        ConfigError: The settings cannot be used, or a rule is about a tool that does not exist.
    """
    environ = os.environ if environ is None else environ
    for where, written in config.permissions_in(cwd, environ):
        _check(written, where)
    return Standing(
        rules=parse_rules(config.load(cwd, environ).permissions),
        answers=Answers(config.locations(environ).state / remembered.FILE, root),
    )


def unmatched(rules: Rules, tools: Collection[str]) -> list[str]:
    """Name the rules that are about one tool which a session does not have.

    Args:
        rules: Those that hold.
        tools: The names of all tools of the session.
    """
    every = (*rules.deny, *rules.ask, *rules.allow)
    if not every:
        return []
    known = {*tools, *_known()}
    return [rule.text for rule in every if "*" not in rule.tool and rule.tool not in known]


def _known() -> frozenset[str]:
    from punie.agent.tools.catalog import CATALOG, SESSION_TOOLS, plugged_in  # loads a lot

    return SESSION_TOOLS.union(CATALOG, plugged_in().tools)


def _check(permissions: config.Permissions, where: str) -> None:
    """Refuse rules about tools that do not exist, as far as that can be known.

    Raises:
        ConfigError: There is one; the message names the key, the rule and the nearest tool.
    """
    for key in ("deny", "ask", "allow"):
        rules: tuple[str, ...] = getattr(permissions, key)
        for text in rules:
            if problem := _problem(parse_rule(text)):
                raise ConfigError(f"permissions.{key} in {where} has the rule {text!r}: {problem}")


def _problem(rule: Rule) -> str:
    known, name = _known(), rule.tool
    if any(rule.of_tool(tool) for tool in known):
        return ""
    meant = name.strip("*").lower().replace("-", "_")
    near = difflib.get_close_matches(meant, known, 1, _NEAR)
    if near and abs(len(near[0]) - len(meant)) <= _LONGER:
        return f"there is no tool {name}; did you mean {near[0]}?"
    if "_" in name or "*" in name:  # a server's tool, perhaps
        return ""
    choices = ", ".join(sorted(known))
    return f"there is no tool {name}: choose from {choices}, or SERVER_TOOL for an MCP server's"
