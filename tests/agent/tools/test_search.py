"""search: ripgrep and the walk in Python find the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.search import Hit, Search, search
from punie.agent.workspaces.local import LocalWorkspace


@pytest.fixture(params=["ripgrep", "python"])
def call(request, root: Path) -> Call:
    """A workspace with ripgrep, and one where no program is installed."""
    return Call(LocalWorkspace(root, programs=None if request.param == "ripgrep" else []))


async def find(call: Call, query: str, path: str = "."):
    return await search(call, Search(query=query, path=path))


async def test_matching_lines_are_counted_and_shown_by_path_and_line(call, write) -> None:
    write("src/b.py", "def main():\n    main()\n")
    write("src/a b.py", "x\n\tmain  \n")
    result = await find(call, "main")
    assert result.headline() == "3 matches in 2 files"
    assert result.details().splitlines() == [
        "src/a b.py:2: main",
        "src/b.py:1: def main():",
        "src/b.py:2: main()",
    ]


async def test_case_counts_only_when_the_query_has_a_capital(call, write) -> None:
    write("x.txt", "Name\nname\nNAME\n")
    assert (await find(call, "name")).matches == 3
    assert (await find(call, "Name")).matches == 1


async def test_the_query_is_no_pattern_and_no_option(call, write) -> None:
    write("x.txt", "a.*b\naxxb\n--files\n")
    assert (await find(call, "a.*b")).headline() == "1 match in 1 file"
    assert (await find(call, "--files")).hits == (Hit(path="x.txt", line=3, text="--files"),)


async def test_a_path_that_looks_like_an_option_is_a_path(call, write) -> None:
    write("--files/x.txt", "word\n")
    assert (await find(call, "word", "--files")).headline() == "1 match in 1 file"


async def test_nothing_found_is_an_answer(call, write) -> None:
    result = await find(call, "no such word")
    assert (result.ok, result.headline()) == (True, "no matches")


async def test_ignored_binary_and_internal_files_are_left_out(call, write) -> None:
    write(".gitignore", "*.log\n")
    for path in ("a.log", ".git/config", ".venv/x.py", "pkg/__pycache__/y.py"):
        write(path, "word\n")
    write("x.bin", b"word\x00\n")
    write(".github/ci.yml", "word\n")
    result = await find(call, "word")
    assert [hit.path for hit in result.hits] == [".github/ci.yml"]


async def test_one_file_is_searched_alone(call, write) -> None:
    write("a.py", "word\n")
    write("b.py", "word\n")
    assert (await find(call, "word", "b.py")).headline() == "1 match in 1 file"


async def test_many_matches_are_counted_but_not_all_shown(call, write) -> None:
    write("x.txt", "word\n" * 250)
    result = await find(call, "word")
    assert (result.headline(), len(result.hits)) == ("250 matches in 1 file", 100)
    assert result.details().splitlines()[-1] == "(150 more: search a smaller part)"


async def test_long_lines_are_cut(call, write) -> None:
    write("x.txt", "word" + "x" * 100_000 + "\n")
    assert len((await find(call, "word")).hits[0].text) == 200


async def test_lines_that_are_no_utf8_are_shown_with_a_replacement(call, write) -> None:
    write("x.txt", b"word \xff\n")
    assert (await find(call, "word")).hits[0].text == "word \ufffd"


async def test_separators_that_are_no_line_feeds_do_not_end_a_line(call, write) -> None:
    write("x.txt", "a\u2028word\nword\n")
    assert [hit.line for hit in (await find(call, "word")).hits] == [1, 2]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "the query is empty"),
        (" \t", "the query is empty"),
        ("a\nb", "the query must be one line"),
    ],
)
async def test_an_unusable_query_is_an_error(call, query, error) -> None:
    result = await find(call, query)
    assert (result.ok, result.headline()) == (False, error)


async def test_half_a_surrogate_pair_in_the_query_stays_out_of_the_result(call) -> None:
    result = await find(call, "\ud83d")
    assert (result.ok, result.query) == (True, "?")


async def test_a_missing_path_is_an_error(call, write) -> None:
    write("source/x", "")
    result = await find(call, "word", "sourc")
    assert (result.ok, result.error) == (False, "sourc does not exist; did you mean source?")


async def test_more_output_than_can_be_read_is_said(root, write, monkeypatch) -> None:
    from punie.agent.workspaces import local

    monkeypatch.setattr(local, "RUN_LIMIT", 20_000)
    write("x.txt", "word\n" * 5000)
    result = await find(Call(LocalWorkspace(root)), "word")
    assert result.ok
    assert result.headline().startswith("at least ")
    assert result.headline().endswith(" matches in 1 file")


async def test_output_of_ripgrep_that_is_not_understood_is_no_success(root, write) -> None:
    broken = write("bin/rg", '#!/bin/sh\necho \'{"type":"match","data":{}}\'\n')
    broken.chmod(0o755)
    result = await find(Call(LocalWorkspace(root, programs=[broken.parent])), "word")
    assert (result.ok, result.error) == (False, "the output of rg cannot be read: 'path'")


async def test_a_failure_of_ripgrep_is_passed_on(root, write) -> None:
    broken = write("bin/rg", "#!/bin/sh\necho 'x: Permission denied' >&2\nexit 2\n")
    broken.chmod(0o755)
    result = await find(Call(LocalWorkspace(root, programs=[broken.parent])), "word")
    assert (result.ok, result.error) == (
        False,
        "rg could not search everything: x: Permission denied",
    )
