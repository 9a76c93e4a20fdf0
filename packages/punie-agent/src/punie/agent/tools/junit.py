"""Reading pytest's JUnit report: figures, and for every failure its place and message.

The report is written by pytest, but names and messages in it are whatever the tests say, and a test
could write the file itself: it is read with a size limit, and a document type is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from msgspec import Struct

from punie.agent.tools.paths import display
from punie.agent.workspaces.base import Workspace

MAX_SIZE = 50_000_000
"""Bytes."""
MAX_MESSAGE = 500
"""Characters of one failure's message."""

_FRAME = re.compile(r"^(?P<file>[^\s:][^:]*):(?P<line>\d+): ", re.MULTILINE)
_SYNTAX_ERROR = re.compile(r'^E\s+File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_RAISED = re.compile(r"^E\s+(?P<text>\S.*)$", re.MULTILINE)


class UnreadableReportError(Exception):
    """The report is not what pytest writes."""


class TestFailure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test that failed, or one file that could not be collected."""

    __test__ = False

    test: str
    """Id, such as `tests/test_x.py::TestA::test_b[1]`; the file alone when collecting failed."""
    message: str
    file: str = ""
    line: int = 0
    """Where it happened, in the innermost frame of the project; 0 when unknown."""
    error: bool = False
    """Not the test itself failed, but its set-up, tear-down or import."""

    def text(self) -> str:
        """Write it in one or more lines, place first."""
        word = "ERROR" if self.error else "FAILED"
        place = f" ({self.file}:{self.line})" if self.line else ""
        return f"{word} {self.test}{place}: {self.message}"


class Report(Struct, kw_only=True):
    """What a report counts."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    xfailed: int = 0
    seconds: float = 0.0
    failures: list[TestFailure] = []

    @property
    def total(self) -> int:
        """Every outcome together."""
        return self.passed + self.failed + self.errors + self.skipped + self.xfailed


def read_report(path: Path, workspace: Workspace, *, interrupted: bool = False) -> Report:
    """Read a report.

    Args:
        path: The XML file.
        workspace: Says which files are the project's.
        interrupted: The run was stopped: a last test without an outcome did not pass.

    Raises:
        FileNotFoundError: pytest wrote none.
        UnreadableReportError: It is too large, no XML, or not of pytest's shape.
    """
    with path.open("rb") as file:
        data = file.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise UnreadableReportError(f"it is larger than {MAX_SIZE / 1e6:.0f} MB")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UnreadableReportError("it has a document type")
    try:
        root = ElementTree.fromstring(data)
        suites = root.findall("testsuite")
        seconds = sum(float(suite.get("time", "0")) for suite in suites)
    except (ElementTree.ParseError, ValueError) as error:
        raise UnreadableReportError(str(error)) from error
    if root.tag != "testsuites" or not suites:
        raise UnreadableReportError("it has no test suite")
    cases = list(root.iter("testcase"))
    if interrupted and cases and _outcome(cases[-1])[0] == "passed":
        cases.pop()
    return _count(cases, seconds, workspace)


def _count(cases: Iterable[ElementTree.Element], seconds: float, workspace: Workspace) -> Report:
    report = Report(seconds=seconds)
    failed: set[str] = set()
    for case in cases:
        test = _test_id(case)
        match _outcome(case):
            case "passed", _:
                report.passed += 1
            case "skipped", found:
                if found.get("type") == "pytest.xfail":
                    report.xfailed += 1
                else:
                    report.skipped += 1
            case "failure", found:
                report.failed += 1
                failed.add(test)
                report.failures.append(_failure(test, case, found, workspace))
            case _, found:
                report.errors += 1
                # A test whose tear-down failed has passed before, and pytest counts both.
                if "failed on teardown" in found.get("message", "") and test not in failed:
                    report.passed += 1
                report.failures.append(_failure(test, case, found, workspace, error=True))
    return report


def _outcome(case: ElementTree.Element) -> tuple[str, ElementTree.Element]:
    for tag in ("error", "failure", "skipped"):
        found = case.find(tag)
        if found is not None:
            return tag, found
    return "passed", case


def _test_id(case: ElementTree.Element) -> str:
    """Put pytest's node id together again: the class name repeats the file's path with dots."""
    name, classname, file = (case.get(key, "") for key in ("name", "classname", "file"))
    if not classname:
        return file or name
    module = file.removesuffix(".py").replace("\\", "/").replace("/", ".")
    classes = classname.removeprefix(module).strip(".").split(".")
    return "::".join([file or classname, *filter(None, classes if file else []), name])


def _failure(
    test: str,
    case: ElementTree.Element,
    found: ElementTree.Element,
    workspace: Workspace,
    *,
    error: bool = False,
) -> TestFailure:
    text = found.text or ""
    message = found.get("message", "").strip()
    if message in {"", "collection failure"}:
        raised = [match["text"] for match in _RAISED.finditer(text)]
        message = raised[-1] if raised else (text.strip().splitlines() or ["no message"])[-1]
    file, line = _place(text, workspace) or _declared(case)
    return TestFailure(test=test, message=message[:MAX_MESSAGE], file=file, line=line, error=error)


def _place(text: str, workspace: Workspace) -> tuple[str, int] | None:
    """Find the innermost place in the project that the traceback names."""
    for pattern in (_SYNTAX_ERROR, _FRAME):
        for match in reversed(list(pattern.finditer(text))):
            path = workspace.resolve(match["file"])
            shown = display(workspace, path)
            own = workspace.contains(path) and not shown.startswith(".venv/")
            if own and path.is_file():
                return shown, int(match["line"])
    return None


def _declared(case: ElementTree.Element) -> tuple[str, int]:
    line = case.get("line", "")
    # JUnit's line, as pytest writes it, counts from 0.
    return case.get("file", ""), int(line) + 1 if line.isdigit() else 0
