"""lint and typecheck, with the real ruff, ty and pyright."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.quality import Finding, Lint, Typecheck, lint, typecheck
from punie.agent.tools.results import render
from punie.agent.workspaces.local import LocalWorkspace


@pytest.fixture
def fake(root: Path):
    """Make a workspace in which a program says what the test wants."""

    def fake(name: str, script: str) -> Call:
        folder = root / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        return Call(LocalWorkspace(root, programs=[folder]))

    return fake


def tree(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def test_lint_counts_problems_and_files(use, write) -> None:
    write("src/a.py", "import os\nimport sys\n")
    write("src/b ü.py", "print(undefined)\n")
    result = await use("lint")
    assert (result.ok, result.headline(), result.fixable) == (False, "3 problems in 2 files", 2)
    assert result.details() == (
        "src/a.py:1: F401 `os` imported but unused\n"
        "src/a.py:2: F401 `sys` imported but unused\n"
        "src/b ü.py:1: F821 Undefined name `undefined`"
    )
    assert result.findings[0] == Finding(
        path="src/a.py", line=1, column=8, code="F401", message="`os` imported but unused"
    )


async def test_clean_code_has_no_problems(use, write) -> None:
    write("a.py", "x = 1\n")
    result = await use("lint", path="a.py")
    assert (result.ok, result.headline(), result.details()) == (True, "no problems", "")


async def test_a_syntax_error_is_a_problem_with_its_line(use, write) -> None:
    write("a.py", "x = 1\ndef f(:\n    pass\n")
    result = await use("lint", path="a.py")
    assert (result.ok, result.findings[0].line, result.findings[0].code) == (
        False,
        2,
        "invalid-syntax",
    )


async def test_lint_changes_nothing_even_where_fixing_is_switched_on(use, write, root) -> None:
    write("ruff.toml", "fix = true\nunsafe-fixes = true\n")
    write("a.py", "import os\n")
    before = tree(root)
    assert (await use("lint")).headline() == "1 problem in 1 file"
    assert tree(root) == before


async def test_a_path_that_looks_like_an_option_is_a_path(use, write) -> None:
    write("--fix/a.py", "import os\n")
    assert (await use("lint", path="--fix")).headline() == "1 problem in 1 file"
    assert (await use("typecheck", path="--fix")).headline() == "no errors"


async def test_many_findings_are_counted_but_not_all_kept(use, write) -> None:
    write("a.py", "".join(f"import m{n}\n" for n in range(150)))
    result = await use("lint")
    assert (result.problems, len(result.findings)) == (150, 100)
    assert result.details().splitlines()[-1] == "(50 more: name a smaller path)"


async def test_a_broken_configuration_is_an_error_in_ruffs_words(use, write) -> None:
    write("ruff.toml", "line-length = 'no'\n")
    write("a.py", "x = 1\n")
    result = await use("lint")
    assert (result.ok, result.headline().startswith("ruff failed with exit code 2: ")) == (
        False,
        True,
    )


@pytest.mark.parametrize("name", ["lint", "typecheck"])
async def test_no_python_files_is_no_success(use, write, name) -> None:
    write("docs/x.md", "")
    result = await use(name, path="docs")
    assert (result.ok, result.headline()) == (False, "docs holds no Python files")


@pytest.mark.parametrize("name", ["lint", "typecheck"])
async def test_a_missing_path_is_an_error(use, write, name) -> None:
    write("source/a.py", "")
    result = await use(name, path="sourc")
    assert (result.ok, result.error) == (False, "sourc does not exist; did you mean source?")


async def test_a_missing_program_says_how_to_add_it(use_without_programs) -> None:
    ruff = await use_without_programs("lint")
    ty = await use_without_programs("typecheck")
    assert (ruff.ok, ruff.error) == (
        False,
        "ruff is not installed in the project's environment: uv add --dev ruff",
    )
    assert (ty.ok, ty.error) == (
        False,
        "ty is not installed in the project's environment: uv add --dev ty",
    )


async def test_types_are_counted_with_ty(use, write) -> None:
    write("a.py", "x: int = 'a'\nimport nowhere\n")
    write("b.py", "y: str = 1\n")
    result = await use("typecheck")
    assert (result.ok, result.program, result.headline()) == (False, "ty", "3 errors")
    assert result.details().splitlines()[0] == (
        'a.py:1: invalid-assignment Object of type `Literal["a"]` is not assignable to `int`'
    )
    assert (await use("typecheck", path="b.py")).headline() == "1 error"


async def test_warnings_are_counted_apart_and_leave_the_result_ok(use, write) -> None:
    write("ty.toml", '[rules]\ninvalid-assignment = "warn"\n')
    write("a.py", "x: int = 'a'\n")
    result = await use("typecheck")
    assert (result.ok, result.headline()) == (True, "0 errors, 1 warning")


async def test_clean_types_have_no_errors(use, write) -> None:
    write("a.py", "x: int = 1\n")
    result = await use("typecheck")
    assert (result.ok, result.headline(), result.details()) == (True, "no errors", "")


async def test_a_syntax_error_is_a_type_error_with_its_line(use, write) -> None:
    write("a.py", "x = 1\ndef f(:\n    pass\n")
    result = await use("typecheck", path="a.py")
    assert (result.ok, result.findings[0].line) == (False, 2)


@pytest.fixture
def only_pyright(root: Path) -> Call:
    """A workspace that finds pyright and nothing else."""
    program = Path(sys.prefix, "bin", "pyright")
    if not program.exists() or shutil.which("node") is None:
        pytest.skip("pyright and node are not installed")
    folder = root.parent / "bin"
    folder.mkdir()
    (folder / "pyright").symlink_to(program)
    return Call(LocalWorkspace(root, programs=[folder]))


async def test_pyright_is_used_where_ty_is_missing(only_pyright: Call, write) -> None:
    write("a.py", "x: int = 'a'\n")
    result = await typecheck(only_pyright, Typecheck(path="a.py"))
    assert (result.ok, result.program, result.headline()) == (False, "pyright", "1 error")
    assert (result.findings[0].path, result.findings[0].line, result.findings[0].code) == (
        "a.py",
        1,
        "reportAssignmentType",
    )
    write("a.py", "x: int = 1\n")
    assert (await typecheck(only_pyright, Typecheck(path="a.py"))).headline() == "no errors"
    write("docs/x.md", "")
    nothing = await typecheck(only_pyright, Typecheck(path="docs"))
    assert (nothing.ok, bool(nothing.error)) == (False, True)


@pytest.mark.parametrize("program", ["ruff", "ty", "pyright"])
@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo hello", "the output of {} cannot be read: "),
        ("echo '[{\"a\": 1}]'", "the output of {} cannot be read: "),
        ("exit 0", "the output of {} cannot be read: "),
        ("echo 'it broke' >&2; exit 101", "{} failed with exit code 101: it broke"),
        ("kill -SEGV $$", "{} was ended by signal 11 (SIGSEGV)"),
        ("exec sleep 300", "{} did not end within 0.3 s and was stopped: name a smaller path"),
    ],
)
async def test_what_is_not_understood_is_never_ok(fake, write, program, script, error) -> None:
    write("a.py", "")
    call = fake(program, script)
    if program == "ruff":
        result = await lint(call, Lint(path="a.py"), timeout=0.3)
    else:
        result = await typecheck(call, Typecheck(path="a.py"), timeout=0.3)
    assert not result.ok
    assert result.error.startswith(error.format(program))


@pytest.mark.parametrize(("program", "code"), [("ruff", 1), ("ty", 1)])
async def test_an_exit_code_without_findings_is_an_error(fake, write, program, code) -> None:
    write("a.py", "")
    call = fake(program, f"echo '[]'; exit {code}")
    result = await (
        lint(call, Lint(path="a.py"))
        if program == "ruff"
        else typecheck(call, Typecheck(path="a.py"))
    )
    assert (result.ok, result.error) == (False, f"{program} failed with exit code 1: []")


async def test_output_that_was_cut_is_an_error(fake, write, monkeypatch) -> None:
    from punie.agent.workspaces import local

    monkeypatch.setattr(local, "RUN_LIMIT", 1000)
    write("a.py", "")
    result = await lint(fake("ruff", "seq 1 100000"), Lint(path="a.py"))
    assert render(result) == "error: ruff printed too much to read: name a smaller path"


async def test_a_deleted_project_says_so(use, root) -> None:
    (root / "pyproject.toml").unlink()
    root.rmdir()
    for name in ("lint", "typecheck", "run_tests"):
        result = await use(name)
        assert (result.ok, result.error) == (
            False,
            f"the project folder {root} does not exist any more",
        )
