"""run_tests, with the real pytest: its figures, and every way in which it can end."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.junit import TestFailure
from punie.agent.tools.pytest_runs import RunTests, run_tests
from punie.agent.tools.results import render
from punie.agent.workspaces.local import LocalWorkspace

EVERY_OUTCOME = """\
import pytest


def test_passes():
    pass


def test_fails():
    assert 1 == 2, "numbers"


@pytest.mark.skip
def test_skipped():
    pass


@pytest.mark.xfail
def test_expected_failure():
    assert 0


class TestGroup:
    @pytest.mark.parametrize("value", ["a/b", "<&>"])
    def test_raises(self, value):
        raise ValueError(value)


@pytest.fixture
def broken():
    raise RuntimeError("no database")


def test_setup(broken):
    pass


@pytest.fixture
def untidy():
    yield
    raise RuntimeError("still open")


def test_teardown(untidy):
    pass


def test_both(untidy):
    assert 0
"""


@pytest.fixture
def fake(root: Path):
    """Make a workspace whose `python` says what the test wants."""

    def fake(script: str) -> Call:
        folder = root.parent / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "python").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "python").chmod(0o755)
        return Call(LocalWorkspace(root, programs=[folder]))

    return fake


def without_time(headline: str) -> str:
    assert re.search(r" in \d+\.\d\d? s$", headline), headline
    return headline.rpartition(" in ")[0]


async def test_the_figures_are_pytests_own(use, write) -> None:
    write("tests/test_x.py", EVERY_OUTCOME)
    result = await use("run_tests", path="tests/test_x.py")
    assert without_time(result.headline()) == ("2 passed, 4 failed, 1 skipped, 1 xfailed, 3 errors")
    printed = await use("run_command", command=f"{sys.executable} -m pytest tests/test_x.py")
    assert "4 failed, 2 passed, 1 skipped, 1 xfailed, 3 errors in " in printed.output


async def test_every_failure_has_its_place_and_message(use, write) -> None:
    write("tests/test_x.py", EVERY_OUTCOME)
    result = await use("run_tests", path="tests")
    assert result.failures[0] == TestFailure(
        test="tests/test_x.py::test_fails",
        message="AssertionError: numbers\nassert 1 == 2",
        file="tests/test_x.py",
        line=9,
    )
    shown = [failure.text().splitlines()[0] for failure in result.failures]
    assert shown[1:4] == [
        "FAILED tests/test_x.py::TestGroup::test_raises[a/b] (tests/test_x.py:25): ValueError: a/b",
        "FAILED tests/test_x.py::TestGroup::test_raises[<&>] (tests/test_x.py:25): ValueError: <&>",
        "ERROR tests/test_x.py::test_setup (tests/test_x.py:30): "
        'failed on setup with "RuntimeError: no database"',
    ]
    assert result.failures[3].error


async def test_a_failure_deep_in_the_project_names_the_innermost_line(use, write) -> None:
    write("app.py", "def half(value):\n    return 1 / value\n")
    write("test_app.py", "from app import half\n\ndef test_half():\n    half(0)\n")
    result = await use("run_tests")
    assert (result.failures[0].file, result.failures[0].line) == ("app.py", 2)
    assert result.failures[0].message == "ZeroDivisionError: division by zero"


async def test_passing_tests_are_ok(use, write) -> None:
    write("test_x.py", "def test_a(): pass\ndef test_b(): pass\n")
    result = await use("run_tests")
    assert (result.ok, without_time(result.headline()), result.details()) == (True, "2 passed", "")


async def test_one_test_can_be_named_by_its_id(use, write) -> None:
    write("test_x.py", EVERY_OUTCOME)
    result = await use("run_tests", path="test_x.py::test_passes")
    assert (result.ok, result.path, result.passed) == (True, "test_x.py::test_passes", 1)


async def test_the_duration_is_that_of_pytests_closing_line(use, write) -> None:
    write("test_x.py", "import time\ndef test_a(): time.sleep(0.3)\n")
    result = await use("run_tests")
    assert 0.3 <= result.seconds < 30


async def test_a_syntax_error_is_shown_with_file_and_line(use, write) -> None:
    write("tests/test_ok.py", "def test_a(): pass\n")
    write("tests/test_bad.py", "x = 1\ndef f(:\n    pass\n")
    result = await use("run_tests")
    assert (result.ok, without_time(result.headline())) == (False, "0 passed, 1 error")
    assert result.details() == (
        "ERROR tests/test_bad.py (tests/test_bad.py:2): SyntaxError: invalid syntax"
    )


async def test_a_missing_module_is_a_collection_error_with_its_line(use, write) -> None:
    write("tests/test_bad.py", "\nimport no_such_module\n")
    result = await use("run_tests")
    assert result.details() == (
        "ERROR tests/test_bad.py (tests/test_bad.py:2): "
        "ModuleNotFoundError: No module named 'no_such_module'"
    )


async def test_no_tests_is_no_success(use, write) -> None:
    write("src/x.py", "")
    result = await use("run_tests", path="src")
    assert (result.ok, render(result)) == (False, "error: no tests found in src")


async def test_a_test_id_that_does_not_exist_is_an_error(use, write) -> None:
    write("test_x.py", "def test_a(): pass\n")
    result = await use("run_tests", path="test_x.py::test_b")
    assert not result.ok
    assert result.error.startswith("pytest could not start: not found: ")


async def test_a_missing_path_is_an_error(use, write) -> None:
    write("tests/test_x.py", "")
    result = await use("run_tests", path="test")
    assert (result.ok, result.error) == (False, "test does not exist; did you mean tests?")


async def test_a_broken_conftest_is_an_error_with_its_exception(use, write) -> None:
    write("conftest.py", "raise RuntimeError('not configured')\n")
    result = await use("run_tests")
    assert not result.ok
    assert result.error.startswith("pytest could not start: ImportError while loading conftest")
    assert result.error.endswith("RuntimeError: not configured")


async def test_an_unknown_option_in_the_configuration_is_an_error(use, write) -> None:
    write("pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    result = await use("run_tests")
    assert not result.ok
    assert "unrecognized arguments: --no-such-option" in result.error


@pytest.mark.parametrize("name", ["-x", "--version", "@args"])
async def test_a_path_is_never_read_as_an_option(use, write, name) -> None:
    write(f"{name}/test_x.py", "def test_a(): pass\n")
    result = await use("run_tests", path=name)
    assert (result.ok, result.passed) == (True, 1)


async def test_a_file_named_like_an_option_is_not_an_option(use) -> None:
    result = await use("run_tests", path="--collect-only")
    assert (result.ok, result.error) == (False, "--collect-only does not exist")


async def test_a_test_that_ends_the_process_is_no_success(use, write) -> None:
    write("test_x.py", "import os\ndef test_a(): os._exit(0)\n")
    result = await use("run_tests")
    assert not result.ok
    assert result.error.startswith("pytest wrote no report: ")


async def test_a_crash_names_the_signal(use, write) -> None:
    write("test_x.py", "import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGKILL)\n")
    result = await use("run_tests")
    assert (result.ok, result.error) == (False, "pytest was ended by signal 9 (SIGKILL)")


async def test_an_interrupted_run_is_an_error(use, write) -> None:
    write("test_x.py", "def test_a(): pass\ndef test_b(): raise KeyboardInterrupt\n")
    result = await use("run_tests")
    assert not result.ok
    assert result.error.startswith("the test run was interrupted: ")
    assert result.passed == 1


async def test_an_internal_error_is_an_error(use, write) -> None:
    write("conftest.py", "def pytest_runtestloop(session): raise OSError('plug-in broke')\n")
    write("test_x.py", "def test_a(): pass\n")
    result = await use("run_tests")
    assert not result.ok
    assert result.error.startswith("pytest had an internal error: ")


async def test_an_exit_code_1_without_a_failed_test_is_explained(use, write) -> None:
    """As when a coverage threshold is missed."""
    write(
        "conftest.py",
        "def pytest_sessionfinish(session):\n    session.exitstatus = 1\n"
        "def pytest_unconfigure(config):\n    print('coverage 50 % is under 90 %')\n",
    )
    write("test_x.py", "def test_a(): pass\n")
    result = await use("run_tests")
    assert (result.ok, result.passed) == (False, 1)
    assert result.error == (
        "no test failed, but pytest ended with exit code 1: coverage 50 % is under 90 %"
    )


async def test_a_run_that_takes_too_long_is_stopped(call, write) -> None:
    write("test_x.py", "import time\ndef test_a(): time.sleep(300)\n")
    result = await run_tests(call, RunTests(), timeout=1.0)
    assert (result.ok, result.error) == (
        False,
        "pytest did not end within 1 s and was stopped: name a smaller path",
    )


async def test_huge_output_and_invalid_bytes_do_not_hide_the_figures(use, write) -> None:
    write(
        "test_x.py",
        "import os\ndef test_a():\n    os.write(1, b'\\xff' * 20_000_000)\n    assert 0\n",
    )
    result = await use("run_tests")
    assert (result.failed, result.error) == (1, "")


async def test_many_failures_are_counted_but_not_all_kept(use, write) -> None:
    write(
        "test_x.py",
        "import pytest\n@pytest.mark.parametrize('n', range(30))\ndef test_a(n): assert 0\n",
    )
    result = await use("run_tests")
    assert (result.failed, len(result.failures)) == (30, 20)
    assert result.details().splitlines()[-1] == "(10 more)"


async def test_control_characters_in_messages_do_not_break_the_report(use, write) -> None:
    write("test_x.py", "def test_a(): raise ValueError('\\x00\\x1b]]>&<\\ud800')\n")
    result = await use("run_tests")
    assert (result.failed, result.error) == (1, "")


async def test_pytest_missing_everywhere_says_how_to_add_it(use_without_programs) -> None:
    result = await use_without_programs("run_tests")
    assert (result.ok, result.error) == (
        False,
        "pytest is not installed in the project's environment: uv add --dev pytest",
    )


async def test_pytest_missing_in_the_projects_own_environment_says_how_to_add_it(
    use, root, write
) -> None:
    """The project's environment counts, not the one that Punie runs in."""
    own = write(".venv/bin/python", f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    own.chmod(0o755)
    write("test_x.py", "def test_a(): pass\n")
    result = await use("run_tests")
    assert result.error == (
        "pytest is not installed in the project's environment: uv add --dev pytest"
    )


async def test_without_an_own_environment_the_program_on_the_path_is_used(fake, root) -> None:
    call = fake("echo 'python: No module named pytest' >&2; exit 1")
    (root.parent / "bin/pytest").symlink_to(Path(sys.prefix, "bin", "pytest"))
    (root / "test_x.py").write_text("def test_a(): pass\n")
    assert (await run_tests(call, RunTests())).passed == 1


REPORT = 'for a; do case "$a" in --junit-xml=*) report="${a#--junit-xml=}";; esac; done\n'
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuites><testsuite>&a;</testsuite></testsuites>'


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("", "no element found"),
        ("<testsuites>", "no element found"),
        ("<testsuites/>", "it has no test suite"),
        ("<html><testsuite/></html>", "it has no test suite"),
        ('<testsuites><testsuite time="x"/></testsuites>', "could not convert string to float"),
        (BOMB, "it has a document type"),
    ],
)
async def test_a_report_that_is_not_pytests_is_no_success(fake, xml, why) -> None:
    call = fake(f"{REPORT}printf '%s' '{xml}' > \"$report\"")
    result = await run_tests(call, RunTests())
    assert not result.ok
    assert result.error.startswith(f"pytest's report cannot be read: {why}")


async def test_an_empty_report_with_exit_code_0_is_no_success(fake) -> None:
    xml = '<testsuites><testsuite time="0.1"/></testsuites>'
    result = await run_tests(fake(f"{REPORT}printf '%s' '{xml}' > \"$report\""), RunTests())
    assert (result.ok, result.error) == (False, "pytest failed with exit code 0")


async def test_failures_with_exit_code_0_are_no_success(fake) -> None:
    xml = (
        '<testsuites><testsuite time="0.1"><testcase name="a"><failure message="m"/>'
        "</testcase></testsuite></testsuites>"
    )
    result = await run_tests(fake(f"{REPORT}printf '%s' '{xml}' > \"$report\""), RunTests())
    assert (result.ok, result.failed, bool(result.error)) == (False, 1, True)
