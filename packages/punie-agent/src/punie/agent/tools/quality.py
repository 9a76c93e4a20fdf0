"""Checking the project with its own linters and type checkers: `lint` and `typecheck`.

Each reads the machine format of the real program. What that format does not explain is an error,
never a clean result. Neither changes a file: no fixes, no caches where that can be said.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display, plural
from punie.agent.tools.programs import Target, locate, not_installed, stopped, unexplained
from punie.agent.tools.results import Result
from punie.agent.workspaces.base import ProcessResult, ProgramMissingError, Workspace

TIMEOUT = 120.0
"""Seconds."""
MAX_FINDINGS = 100

Severity: TypeAlias = Literal["error", "warning"]


class Lint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `lint`."""

    path: str = "."


class Typecheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `typecheck`."""

    path: str = "."


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that a program complains about."""

    path: str
    line: int
    column: int
    """Both 1-based."""
    code: str
    message: str
    severity: Severity = "error"

    def text(self) -> str:
        """Write it as programs do: `path:line: code message`."""
        return f"{self.path}:{self.line}: {self.code} {self.message}".rstrip()


class LintResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What ruff found."""

    path: str
    problems: int = 0
    files: int = 0
    """Files that have a problem."""
    fixable: int = 0
    """Problems that `ruff check --fix` would mend."""
    findings: tuple[Finding, ...] = ()
    """The first `MAX_FINDINGS`."""

    def headline(self) -> str:
        """Such as `3 problems in 2 files`, or `no problems`."""
        if self.error:
            return self.error
        if not self.problems:
            return "no problems"
        return f"{plural(self.problems, 'problem')} in {plural(self.files, 'file')}"

    def details(self) -> str:
        """One finding a line."""
        return _listing(self.findings, self.problems)


class TypecheckResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What the type checker found. Warnings alone leave it `ok`."""

    path: str
    program: str = ""
    """`ty` or `pyright`."""
    errors: int = 0
    warnings: int = 0
    findings: tuple[Finding, ...] = ()
    """The first `MAX_FINDINGS`."""

    def headline(self) -> str:
        """Such as `2 errors, 1 warning`, or `no errors`."""
        if self.error:
            return self.error
        if not self.errors and not self.warnings:
            return "no errors"
        warnings = f", {plural(self.warnings, 'warning')}" if self.warnings else ""
        return f"{plural(self.errors, 'error')}{warnings}"

    def details(self) -> str:
        """One finding a line."""
        return _listing(self.findings, self.errors + self.warnings)


def _listing(findings: tuple[Finding, ...], total: int) -> str:
    lines = [finding.text() for finding in findings]
    if total > len(findings):
        lines.append(f"({total - len(findings)} more: name a smaller path)")
    return "\n".join(lines)


async def lint(call: Call, args: Lint, *, timeout: float = TIMEOUT) -> LintResult:
    """Run ruff over a file or folder."""
    target = await locate(call, args.path)
    if target.error:
        return LintResult(ok=False, path=target.shown, error=target.error)
    # A project may have switched fixing on; looking must not change files.
    options = ["--no-fix", "--no-cache", "--output-format", "json"]
    try:
        result = await call.workspace.run(
            ["ruff", "check", *options, "--", str(target.path)], timeout=timeout
        )
    except ProgramMissingError:
        return LintResult(ok=False, path=target.shown, error=not_installed("ruff"))
    return _read_ruff(call.workspace, target, result, timeout)


class _Place(Struct):
    row: int = 1
    column: int = 1


class _RuffFinding(Struct):
    filename: str
    message: str
    code: str | None = None
    location: _Place | None = None
    fix: object = None


def _read_ruff(
    workspace: Workspace, target: Target, result: ProcessResult, timeout: float
) -> LintResult:
    error = stopped("ruff", result, timeout)
    if not error and result.exit_code not in {0, 1}:
        error = unexplained("ruff", result)
    if not error and _nothing_to_check(result):
        error = f"{target.shown} holds no Python files"
    if error:
        return LintResult(ok=False, path=target.shown, error=error)
    try:
        found = msgspec.json.decode(result.stdout, type=list[_RuffFinding])
    except msgspec.DecodeError as problem:
        error = f"the output of ruff cannot be read: {problem}"
        return LintResult(ok=False, path=target.shown, error=error)
    if bool(found) != (result.exit_code == 1):
        return LintResult(ok=False, path=target.shown, error=unexplained("ruff", result))
    findings = [_from_ruff(workspace, one) for one in found]
    return LintResult(
        ok=not findings,
        path=target.shown,
        problems=len(findings),
        files=len({finding.path for finding in findings}),
        fixable=sum(one.fix is not None for one in found),
        findings=_first(findings),
    )


def _from_ruff(workspace: Workspace, one: _RuffFinding) -> Finding:
    place = one.location or _Place()
    return Finding(
        path=display(workspace, Path(one.filename)),
        line=place.row,
        column=place.column,
        code=one.code or "invalid-syntax",
        message=one.message,
    )


def _nothing_to_check(result: ProcessResult) -> bool:
    return "no python files found" in result.stderr.lower()


def _first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    ordered = sorted(findings, key=lambda one: (one.path, one.line, one.column))
    return tuple(ordered[:MAX_FINDINGS])


async def typecheck(call: Call, args: Typecheck, *, timeout: float = TIMEOUT) -> TypecheckResult:
    """Run ty, or pyright where ty is missing, over a file or folder."""
    target = await locate(call, args.path)
    if target.error:
        return TypecheckResult(ok=False, path=target.shown, error=target.error)
    path = str(target.path)
    try:
        options = ["--no-progress", "--color", "never", "--output-format", "gitlab"]
        result = await call.workspace.run(["ty", "check", *options, "--", path], timeout=timeout)
        return _read_ty(call.workspace, target, result, timeout)
    except ProgramMissingError:
        pass
    try:
        result = await call.workspace.run(["pyright", "--outputjson", path], timeout=timeout)
    except ProgramMissingError:
        return TypecheckResult(ok=False, path=target.shown, error=not_installed("ty"))
    return _read_pyright(call.workspace, target, result, timeout)


class _TyPositions(Struct):
    begin: _TyPlace


class _TyPlace(Struct):
    line: int
    column: int


class _TyLocation(Struct):
    path: str
    positions: _TyPositions


class _TyFinding(Struct):
    check_name: str
    description: str
    severity: str
    location: _TyLocation


def _read_ty(
    workspace: Workspace, target: Target, result: ProcessResult, timeout: float
) -> TypecheckResult:
    error = stopped("ty", result, timeout)
    if not error and result.exit_code not in {0, 1}:
        error = unexplained("ty", result)
    if not error and _nothing_to_check(result):
        error = f"{target.shown} holds no Python files"
    if error:
        return TypecheckResult(ok=False, path=target.shown, program="ty", error=error)
    try:
        found = msgspec.json.decode(result.stdout, type=list[_TyFinding])
    except msgspec.DecodeError as problem:
        error = f"the output of ty cannot be read: {problem}"
        return TypecheckResult(ok=False, path=target.shown, program="ty", error=error)
    return _typecheck_result(target, "ty", result, [_from_ty(workspace, one) for one in found])


def _from_ty(workspace: Workspace, one: _TyFinding) -> Finding:
    begin = one.location.positions.begin
    return Finding(
        path=display(workspace, workspace.root / one.location.path),
        line=begin.line,
        column=begin.column,
        code=one.check_name,
        message=one.description.removeprefix(f"{one.check_name}: "),
        # GitLab's words: ty writes `major` or `critical` for errors.
        severity="warning" if one.severity in {"info", "minor"} else "error",
    )


class _PyrightPlace(Struct):
    line: int
    character: int


class _PyrightRange(Struct):
    start: _PyrightPlace


class _PyrightFinding(Struct):
    file: str
    severity: str
    message: str
    rule: str = ""
    range: _PyrightRange | None = None


class _PyrightSummary(Struct, rename="camel"):
    files_analyzed: int


class _PyrightReport(Struct, rename="camel"):
    general_diagnostics: list[_PyrightFinding]
    summary: _PyrightSummary


def _read_pyright(
    workspace: Workspace, target: Target, result: ProcessResult, timeout: float
) -> TypecheckResult:
    error = stopped("pyright", result, timeout)
    if not error and result.exit_code not in {0, 1}:
        error = unexplained("pyright", result)
    try:
        # The wrapper from the package index may print a notice about its version first.
        text = result.stdout[max(0, result.stdout.find("{")) :]
        report = msgspec.json.decode(text, type=_PyrightReport)
    except msgspec.DecodeError as problem:
        error = error or f"the output of pyright cannot be read: {problem}"
        return TypecheckResult(ok=False, path=target.shown, program="pyright", error=error)
    if not error and not report.summary.files_analyzed:
        error = f"{target.shown} holds no Python files"
    if error:
        return TypecheckResult(ok=False, path=target.shown, program="pyright", error=error)
    findings = [
        _from_pyright(workspace, one)
        for one in report.general_diagnostics
        if one.severity in {"error", "warning"}
    ]
    return _typecheck_result(target, "pyright", result, findings)


def _from_pyright(workspace: Workspace, one: _PyrightFinding) -> Finding:
    start = one.range.start if one.range else _PyrightPlace(line=0, character=0)
    return Finding(
        path=display(workspace, Path(one.file)),
        line=start.line + 1,
        column=start.character + 1,
        code=one.rule or "syntax",
        message=one.message.replace("\n", " "),
        severity="warning" if one.severity == "warning" else "error",
    )


def _typecheck_result(
    target: Target, program: str, result: ProcessResult, findings: list[Finding]
) -> TypecheckResult:
    errors = sum(finding.severity == "error" for finding in findings)
    # ty also ends with 1 for warnings alone, pyright does not.
    explained = not errors if result.exit_code == 0 else bool(findings)
    if not explained:
        error = unexplained(program, result)
        return TypecheckResult(ok=False, path=target.shown, program=program, error=error)
    return TypecheckResult(
        ok=not errors,
        path=target.shown,
        program=program,
        errors=errors,
        warnings=len(findings) - errors,
        findings=_first(findings),
    )
