"""All policies of a session, run over what a turn changed.

After an edit: syntax, installed policies, and the project's own where they are trusted. Before a
turn may end: those again over everything that was changed, and lint, types and affected tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fnmatch import fnmatch

from punie.agent.config import CheckSettings
from punie.agent.policies import builtin
from punie.agent.policies.base import Change, Finding
from punie.agent.policies.load import Loaded, installed
from punie.agent.policies.project import Own, find_own, run_own
from punie.agent.tools.base import Call

Trust = Callable[[Own], Awaitable[bool]]
"""Asks whether a project's own policies may run; answers at once when it is known."""
May = Callable[[str, str], Awaitable[bool]]
"""Tells whether a tool may run on a path without asking anybody."""


class Checks:
    """The policies of one session; a service of its tools."""

    def __init__(self, settings: CheckSettings | None = None, loaded: Loaded | None = None) -> None:
        """Set up.

        Args:
            settings: How many rounds, and what is switched off.
            loaded: Installed policies; found by entry point when first needed by default.
        """
        self.settings = settings or CheckSettings()
        self.broken: dict[str, str] = {}
        """Policies that could not be loaded or failed, with the reason."""
        self.told: set[str] = set()
        """Those of `broken` that a person has heard of."""
        self.trusted: dict[str, bool] = {}
        """What a person said about the project's own policies in this session, by digest."""
        self._loaded = loaded

    async def aclose(self) -> None:
        """Nothing is open."""

    async def after_edit(self, call: Call, changes: list[Change], trust: Trust) -> list[Finding]:
        """Check changes that were just made."""
        findings: list[Finding] = []
        for change in changes:
            findings += self._wanted(await builtin.syntax(call, change))
        if findings:
            return findings  # What does not parse tells the others nothing.
        findings += self._wanted(await asyncio.to_thread(self._installed, changes))
        findings += self._wanted(await self._own(call, changes, trust))
        return builtin.first(findings)

    async def before_end(
        self, call: Call, changes: list[Change], trust: Trust, may: May
    ) -> list[Finding]:
        """Check everything that a turn changed, with no program that the model could not run."""
        findings = await self.after_edit(call, changes, trust)
        if any(one.rule == "syntax" for one in findings):
            return findings
        if not self._is_off("lint"):
            allowed = [change for change in changes if await may("lint", change.path)]
            findings += self._wanted(await builtin.lint(call, allowed))
        if not self._is_off("types"):
            allowed = [change for change in changes if await may("typecheck", change.path)]
            findings += self._wanted(await builtin.types(call, allowed))
        if not self._is_off("tests"):
            found = await asyncio.to_thread(builtin.affected_tests, call.workspace.root, changes)
            files = [path for path in found if await may("run_tests", path)]
            findings += self._wanted(await builtin.tests(call, files))
        return builtin.first(findings)

    def _installed(self, changes: list[Change]) -> list[Finding]:
        if self._loaded is None:
            self._loaded = installed()
            self.broken |= self._loaded.broken
        findings: list[Finding] = []
        for policy in self._loaded.policies:
            for change in changes:
                try:
                    findings += policy(change)
                except Exception as error:  # noqa: BLE001 the edge: somebody else's code
                    self.broken[policy.name] = f"{type(error).__name__}: {error}"
        return findings

    async def _own(self, call: Call, changes: list[Change], trust: Trust) -> list[Finding]:
        if self._is_off("project"):
            return []
        try:
            own = await asyncio.to_thread(find_own, call.workspace.root)
        except OSError as error:
            self.broken[".punie/policies"] = str(error)
            return []
        if own is None or not await trust(own):
            return []
        if await asyncio.to_thread(find_own, call.workspace.root) != own:
            return []  # They changed while the question was open: the next check asks about these.
        report = await run_own(call, own, changes)
        self.broken |= report.broken
        return report.findings

    def _wanted(self, findings: list[Finding]) -> list[Finding]:
        return [one for one in findings if not self._is_off(one.rule)]

    def _is_off(self, rule: str) -> bool:
        return any(fnmatch(rule, pattern) for pattern in self.settings.off)
