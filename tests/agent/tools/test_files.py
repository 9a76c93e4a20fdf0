"""read_file and list_files."""

from __future__ import annotations

import tracemalloc

import pytest

from punie.agent.tools.files import MAX_LINES
from punie.agent.tools.results import render


async def test_a_whole_file_is_read_as_it_is(use, write) -> None:
    write("src/x.py", "a = 1\r\n\tb = 'ü'\n")
    result = await use("read_file", path="src/x.py")
    assert (result.ok, result.headline(), result.text) == (
        True,
        "src/x.py, 2 lines",
        "a = 1\r\n\tb = 'ü'\n",
    )


async def test_some_lines_are_read_counted_from_one(use, write) -> None:
    write("x.txt", "".join(f"line {n}\n" for n in range(1, 121)))
    result = await use("read_file", path="x.txt", line=10, limit=3)
    assert (result.headline(), result.details()) == (
        "x.txt, lines 10-12 of 120",
        "line 10\nline 11\nline 12\n",
    )


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("", "x.txt, 0 lines"),
        ("a", "x.txt, 1 line"),
        ("a\n", "x.txt, 1 line"),
        ("\n\n", "x.txt, 2 lines"),
    ],
)
async def test_lines_are_counted_with_and_without_a_final_ending(
    use, write, text, headline
) -> None:
    write("x.txt", text)
    assert (await use("read_file", path="x.txt")).headline() == headline


async def test_a_line_past_the_end_is_an_error_with_the_length(use, write) -> None:
    write("x.txt", "one\ntwo\n")
    result = await use("read_file", path="x.txt", line=9)
    assert (result.ok, result.headline()) == (False, "x.txt has only 2 lines")


async def test_a_long_file_is_cut_and_says_so(use, write) -> None:
    write("x.txt", "x\n" * 5000)
    result = await use("read_file", path="x.txt")
    assert (result.cut, result.headline()) == (True, f"x.txt, lines 1-{MAX_LINES} of 5000")


async def test_a_file_of_50_megabytes_is_read_only_as_far_as_needed(use, write) -> None:
    path = write("big.log", b"0123456789\n" * 4_600_000)
    tracemalloc.start()
    result = await use("read_file", path="big.log", line=3, limit=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.headline() == f"big.log, lines 3-4, file of {path.stat().st_size / 1e6:.1f} MB"
    assert result.text == "0123456789\n" * 2
    assert peak < 5_000_000


async def test_a_huge_single_line_is_cut(use, write) -> None:
    write("min.js", b"x" * 50_000_000)
    result = await use("read_file", path="min.js")
    assert (result.ok, len(result.text), result.last) == (True, 100_000, 1)
    past = await use("read_file", path="min.js", line=2)
    assert (past.ok, past.headline()) == (False, "min.js has no line 2")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x00\x01", b"caf\xe9\n"])
async def test_a_file_that_is_no_text_is_named_with_its_size(use, write, content) -> None:
    write("x.png", content)
    result = await use("read_file", path="x.png")
    assert (result.ok, result.headline()) == (
        False,
        f"x.png is not a text file ({len(content)} bytes)",
    )


async def test_a_missing_file_brings_up_similar_names(use, write) -> None:
    write("src/parser.py", "")
    write("src/deep/unique_name.py", "")
    near = await use("read_file", path="src/parsr.py")
    elsewhere = await use("read_file", path="unique_name.py")
    nothing = await use("read_file", path="src/zzz.md")
    assert [near.headline(), elsewhere.headline(), nothing.headline()] == [
        "src/parsr.py does not exist; did you mean src/parser.py?",
        "unique_name.py does not exist; did you mean src/deep/unique_name.py?",
        "src/zzz.md does not exist",
    ]
    assert not near.ok


async def test_a_folder_is_not_read(use, write) -> None:
    write("src/x.py", "")
    result = await use("read_file", path="src")
    assert (result.ok, result.headline()) == (False, "src is a folder: use list_files")


async def test_a_path_with_a_null_byte_does_not_exist(use) -> None:
    result = await use("read_file", path="a\0b")
    assert (result.ok, "does not exist" in result.headline()) == (False, True)


async def test_a_file_outside_is_shown_by_its_absolute_path(use, root) -> None:
    other = root.parent / "other.txt"
    other.write_text("x\n")
    result = await use("read_file", path="../other.txt")
    assert result.headline() == f"{other}, 1 line"


async def test_a_folder_is_listed_without_ignored_files(use, write) -> None:
    write(".gitignore", "*.log\n/build/\n!keep.log\n")
    for path in ("src/x.py", "a.log", "keep.log", "build/y", "__pycache__/z", ".github/ci.yml"):
        write(path, "")
    result = await use("list_files")
    assert result.headline() == "3 files, 2 folders in ."
    assert result.details().splitlines() == [
        ".github/",
        "src/",
        ".gitignore",
        "keep.log",
        "pyproject.toml",
    ]


async def test_a_glob_looks_below_the_folder(use, write) -> None:
    write("src/.gitignore", "gen_*.py\n")
    for path in ("src/a.py", "src/deep/b.py", "src/gen_c.py", "src/d.txt", "other.py"):
        write(path, "")
    result = await use("list_files", path="src", glob="*.py")
    assert result.headline() == "2 files match *.py in src"
    assert result.entries == ("src/a.py", "src/deep/b.py")


async def test_rules_above_the_folder_and_deeper_exceptions_count(use, write, git) -> None:
    git("init")
    write(".gitignore", "*.tmp\n")
    write("src/.gitignore", "!wanted.tmp\n")
    write("src/wanted.tmp", "")
    write("src/other.tmp", "")
    assert (await use("list_files", path="src", glob="*.tmp")).entries == ("src/wanted.tmp",)


async def test_a_large_folder_is_cut_with_the_count(use, write) -> None:
    for number in range(230):
        write(f"many/{number:03}.txt", "")
    result = await use("list_files", path="many")
    assert result.headline() == "230 files, 0 folders in many"
    assert result.details().splitlines()[-1] == "(30 more: ask for a smaller part)"


async def test_links_are_listed_but_not_followed(use, write, root) -> None:
    write("a/x.txt", "")
    (root / "a/loop").symlink_to("..")
    assert (await use("list_files", glob="*.txt")).entries == ("a/x.txt",)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("pyproject.toml", "pyproject.toml is a file: use read_file"),
        ("sr", "sr does not exist; did you mean src?"),
    ],
)
async def test_what_cannot_be_listed_says_why(use, write, path, error) -> None:
    write("src/x.py", "")
    result = await use("list_files", path=path)
    assert (result.ok, result.error) == (False, error)


async def test_a_deleted_project_says_so(use, root) -> None:
    (root / "pyproject.toml").unlink()
    root.rmdir()
    result = await use("list_files")
    assert render(result) == f"error: the project folder {root} does not exist any more"
