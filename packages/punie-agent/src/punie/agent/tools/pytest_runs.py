"""Running the project's tests: `run_tests`, by pytest, with its figures and every failure's place.

The figures come from pytest's JUnit report and its exit code, never from reading its screen; only
the duration is taken from its closing line, because people compare it with that.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.junit import Report, TestFailure, UnreadableReportError, read_report
from punie.agent.tools.programs import Target, locate, not_installed, stopped, unexplained
from punie.agent.tools.results import Result
from punie.agent.tools.shell import seconds
from punie.agent.workspaces.base import ProcessResult, ProgramMissingError, Workspace

TIMEOUT = 600.0
"""Seconds."""
MAX_FAILURES = 20

_INTERRUPTED = 2
_CLOSING_LINE = re.compile(r" in (\d+\.\d+)s(?: \(.*\))?[ =]*$")
_OPTIONS = ("-o", "junit_family=xunit1", "-o", "junit_logging=no", "--tb=short", "--color=no")
"""The older JUnit family is the one that says in which file a test is."""


class RunTests(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `run_tests`."""

    path: str = "."
    """File or folder, or a test id such as `tests/test_x.py::test_a`."""


class TestsResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The figures of a test run."""

    __test__ = False

    path: str
    passed: int = 0
    failed: int = 0
    errors: int = 0
    """Tests whose set-up or tear-down failed, and files that could not be collected."""
    skipped: int = 0
    xfailed: int = 0
    seconds: float = 0.0
    failures: tuple[TestFailure, ...] = ()
    """The first `MAX_FAILURES` failures and errors."""

    def headline(self) -> str:
        """Such as `12 passed, 1 failed, 2 skipped in 0.8 s`."""
        if self.error:
            return self.error
        others = {"failed": self.failed, "skipped": self.skipped, "xfailed": self.xfailed}
        if self.errors:
            others["errors" if self.errors > 1 else "error"] = self.errors
        counts = [f"{self.passed} passed", *(f"{n} {word}" for word, n in others.items() if n)]
        return f"{', '.join(counts)} in {seconds(self.seconds)}"

    def details(self) -> str:
        """Every failure with its place and message."""
        lines = [failure.text() for failure in self.failures]
        rest = self.failed + self.errors - len(self.failures)
        if self.failures and rest > 0:
            lines.append(f"({rest} more)")
        return "\n".join(lines)


async def run_tests(call: Call, args: RunTests, *, timeout: float = TIMEOUT) -> TestsResult:
    """Run pytest on a file, a folder or one test."""
    import tempfile

    file, separator, test = args.path.partition("::")
    target = await locate(call, file or ".")
    if target.error:
        return TestsResult(ok=False, path=target.shown, error=target.error)
    shown = target.shown + separator + test
    # A leading `./` keeps pytest from reading a name as an option or as an `@file` of options.
    argument = shown if Path(shown).is_absolute() else f"./{shown}"
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="punie-tests-"))
        except OSError as error:
            return TestsResult(
                ok=False, path=shown, error=f"there is no place for pytest's report: {error}"
            )
        report = Path(folder, "report.xml")
        options = [*_OPTIONS, f"--junit-xml={report}"]
        try:
            result = await _pytest(call.workspace, [*options, argument], timeout)
        except ProgramMissingError:
            return TestsResult(ok=False, path=shown, error=not_installed("pytest"))
        target = target._replace(shown=shown)
        return await asyncio.to_thread(_read, call.workspace, target, result, report, timeout)


async def _pytest(workspace: Workspace, options: list[str], timeout: float) -> ProcessResult:
    """Run pytest as a module, so that the project's folder is on its path, else as a program.

    Raises:
        ProgramMissingError: Neither is there, or the project's own environment lacks pytest.
    """
    own = await asyncio.to_thread((workspace.root / ".venv").is_dir)
    try:
        result = await workspace.run(["python", "-m", "pytest", *options], timeout=timeout)
    except ProgramMissingError:
        return await workspace.run(["pytest", *options], timeout=timeout)
    if result.exit_code == 1 and "No module named pytest" in result.stderr:
        if own:
            raise ProgramMissingError("pytest")
        return await workspace.run(["pytest", *options], timeout=timeout)
    return result


def _read(
    workspace: Workspace, target: Target, result: ProcessResult, report: Path, timeout: float
) -> TestsResult:
    error = ""
    if result.timed_out:
        error = stopped("pytest", result, timeout)
    try:
        interrupted = result.exit_code == _INTERRUPTED
        counted = Report() if error else read_report(report, workspace, interrupted=interrupted)
    except FileNotFoundError:
        error, counted = _without_report(result), Report()
    except UnreadableReportError as problem:
        error, counted = f"pytest's report cannot be read: {problem}", Report()
    error = error or _unexplained(target, result, counted)
    return TestsResult(
        ok=not error and not counted.failed and not counted.errors,
        path=target.shown,
        error=error,
        passed=counted.passed,
        failed=counted.failed,
        errors=counted.errors,
        skipped=counted.skipped,
        xfailed=counted.xfailed,
        seconds=_duration(result.stdout, counted),
        failures=tuple(counted.failures[:MAX_FAILURES]),
    )


def _unexplained(target: Target, result: ProcessResult, counted: Report) -> str:
    """Say what the exit code means when the figures do not say it.

    Source:
        https://docs.pytest.org/en/stable/reference/exit-codes.html
    """
    bad = counted.failed + counted.errors
    match result.exit_code:
        case 0 if not bad and counted.total:
            return ""
        case 1 | 2 if bad:
            return ""
        case 1:
            return f"no test failed, but pytest ended with exit code 1: {_last_line(result)}"
        case 2:
            return f"the test run was interrupted: {_last_line(result)}"
        case 3:
            return f"pytest had an internal error: {_last_line(result)}"
        case 4:
            return f"pytest could not start: {_usage_error(result)}"
        case 5:
            return f"no tests found in {target.shown}"
        case _:
            return stopped("pytest", result, 0) or unexplained("pytest", result)


def _without_report(result: ProcessResult) -> str:
    if result.exit_code == 4:
        return f"pytest could not start: {_usage_error(result)}"
    return stopped("pytest", result, 0) or f"pytest wrote no report: {_last_line(result)}"


def _usage_error(result: ProcessResult) -> str:
    """Give the exception of a broken `conftest.py`, else pytest's own first words."""
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    for line in lines:
        if " error: " in line:  # argparse, after its usage
            return line.partition(" error: ")[2][:400]
    raised = [line.removeprefix("E").strip() for line in lines if line.startswith("E  ")]
    words = [lines[0], raised[-1]] if lines and raised else lines[:1]
    return " ".join(words).removeprefix("ERROR: ")[:400] or _last_line(result)


def _last_line(result: ProcessResult) -> str:
    lines = [line.strip(" =!") for line in (result.stdout + "\n" + result.stderr).splitlines()]
    return next((line for line in reversed(lines) if line), "it said nothing")[:300]


def _duration(stdout: str, counted: Report) -> float:
    last = next((line for line in reversed(stdout.splitlines()) if line.strip()), "")
    match = _CLOSING_LINE.search(last)
    return float(match.group(1)) if match else counted.seconds
