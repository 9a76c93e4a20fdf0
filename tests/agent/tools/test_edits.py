"""edit_file and write_file: exact, faithful to the file's ways, and without effect when in doubt."""

from __future__ import annotations

import resource
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punie.agent.events import DiffContent
from punie.agent.tools.catalog import CATALOG
from punie.agent.tools.replace import Edited, NotEdited, replace_once


async def preview(call, name: str, **arguments):
    tool = CATALOG[name]
    changes = await tool.preview(call, tool.parse(arguments))
    return changes[0] if changes else None


async def test_the_only_occurrence_is_replaced(use, write) -> None:
    path = write("x.py", "a = 1\nb = 2\n")
    result = await use("edit_file", path="x.py", old="b = 2", new="b = 3\nc = 4")
    assert result.headline() == "x.py edited at line 2: 2 lines added, 1 removed"
    assert (result.ok, path.read_text()) == (True, "a = 1\nb = 3\nc = 4\n")


async def test_two_occurrences_are_counted_and_left_alone(use, write) -> None:
    path = write("x.py", "a\na\n")
    result = await use("edit_file", path="x.py", old="a", new="b")
    assert result.headline() == (
        "x.py was not edited: old occurs 2 times: add lines around it to make it unique"
    )
    assert (result.ok, path.read_text()) == (False, "a\na\n")


async def test_a_text_that_is_not_there_brings_up_the_nearest_place(use, write) -> None:
    path = write("x.py", "import os\n\ndef total(values):\n    return sum(values)\n")
    result = await use("edit_file", path="x.py", old="def totals(value):\n    pass", new="")
    assert result.headline() == "x.py was not edited: old does not occur in the file"
    assert result.details() == (
        "most similar place: line 3, old (-) and the file (+):\n"
        "- def totals(value):\n"
        "+ def total(values):\n"
        "-     pass\n"
        "+     return sum(values)"
    )
    assert path.read_text().startswith("import os")


async def test_line_endings_are_kept(use, write) -> None:
    path = write("x.txt", b"\xef\xbb\xbfone\r\ntwo\r\nthree\r\n")
    result = await use("edit_file", path="x.txt", old="one\ntwo", new="1\n2\n2b")
    assert (result.ok, path.read_bytes()) == (True, b"\xef\xbb\xbf1\r\n2\r\n2b\r\nthree\r\n")


async def test_a_wrong_indentation_is_mended_and_said(use, write) -> None:
    path = write("x.py", "class A:\n    def f(self):\n        return 1\n")
    result = await use(
        "edit_file",
        path="x.py",
        old="def f(self):\n    return 1",
        new="def f(self):\n    if self:\n        return 2",
    )
    assert result.headline() == (
        "x.py edited at line 2: 3 lines added, 2 removed, indentation adjusted"
    )
    assert path.read_text() == (
        "class A:\n    def f(self):\n        if self:\n            return 2\n"
    )


async def test_two_places_that_differ_in_indentation_are_left_alone(use, write) -> None:
    path = write("x.py", "if a:\n    x = 1\nif b:\n        x = 1\n")
    result = await use("edit_file", path="x.py", old="\tx = 1", new="\tx = 2")
    assert (result.ok, "2 places differ" in result.headline()) == (False, True)
    assert "x = 2" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        pytest.param("a  \nb\n", "a\nb", "c\nd", "c\nd\n", id="trailing spaces"),
        pytest.param(
            "\tif x:\n\t\ty\n", "if x:\n    y", "if x:\n    z", "\tif x:\n\t\tz\n", id="tabs"
        ),
        pytest.param("a\nb\n", "    a\n    b", "    c\n        d", "c\n    d\n", id="too deep"),
        pytest.param("  a\n\n  b\n", "a\n\nb\n", "a\n\nc\n", "  a\n\n  c\n", id="blank lines"),
        pytest.param(
            "\ta\n\t\tb\n",
            "a\n    b",
            "a\n    if c:\n        d",
            "\ta\n\t\tif c:\n\t\t    d\n",
            id="deeper",
        ),
        pytest.param("  a\nb\n", "\ta\n", "", "b\n", id="removed with its line"),
        pytest.param(
            "x\n  a\r\ny\n", " a", " b", "x\n  b\r\ny\n", id="inside the line, mixed endings"
        ),
    ],
)
def test_indentation_is_shifted_with_the_match(text, old, new, expected) -> None:
    edited = replace_once(text, old, new)
    assert isinstance(edited, Edited)
    assert edited.text == expected


@pytest.mark.parametrize(
    ("text", "old", "reason"),
    [
        pytest.param("a\n", "", "old is empty", id="empty"),
        pytest.param("a\n", "new", "the same", id="no change"),
        pytest.param("a\n\n", " \n \n", "only blank lines", id="blank"),
        pytest.param("  a\n    b\n", "a\nb", "does not occur", id="no single shift"),
        pytest.param("ab\n", "a b", "does not occur", id="spaces inside a line count"),
    ],
)
def test_doubt_changes_nothing(text, old, reason) -> None:
    edited = replace_once(text, old, "new")
    assert isinstance(edited, NotEdited)
    assert reason in edited.reason


@given(
    before=st.text(alphabet="ab \n\r\t", max_size=20),
    old=st.text(alphabet="xyz \n\t", min_size=1, max_size=10),
    new=st.text(alphabet="uvw \n\t", max_size=10),
    after=st.text(alphabet="ab \n\r\t", max_size=20),
)
def test_what_stands_around_an_exact_match_never_changes(before, old, new, after) -> None:
    text = before + old + after
    edited = replace_once(text, old, new)
    if isinstance(edited, Edited) and not edited.adjusted and text.count(old) == 1:
        start = text.index(old)
        assert edited.text.startswith(text[:start])
        assert edited.text.endswith(text[start + len(old) :])


async def test_a_new_file_is_created(use, root) -> None:
    result = await use("write_file", path="a/b.txt", content="1\n2\n")
    assert (result.headline(), (root / "a/b.txt").read_text()) == (
        "a/b.txt created, 2 lines",
        "1\n2\n",
    )


async def test_a_replaced_file_keeps_its_line_endings(use, write) -> None:
    path = write("x.txt", "one\r\ntwo\r\n")
    result = await use("write_file", path="x.txt", content="1\n2\n3\n")
    assert (result.headline(), path.read_bytes()) == ("x.txt replaced, 3 lines", b"1\r\n2\r\n3\r\n")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("edit_file", {"old": "a", "new": "b"}), ("write_file", {"content": "new"})],
)
async def test_a_binary_file_is_left_alone(use, write, name, arguments) -> None:
    path = write("x.bin", b"a\xff\x00")
    result = await use(name, path="x.bin", **arguments)
    assert (result.ok, result.error) == (False, "x.bin is not a text file, so it was left alone")
    assert path.read_bytes() == b"a\xff\x00"


async def test_editing_a_missing_file_brings_up_similar_names(use, write) -> None:
    write("setup.cfg", "a")
    result = await use("edit_file", path="setp.cfg", old="a", new="b")
    assert result.error == "setp.cfg does not exist; did you mean setup.cfg?"


async def test_a_folder_is_not_written(use, root) -> None:
    (root / "src").mkdir()
    result = await use("write_file", path="src", content="x")
    assert (result.ok, result.error) == (False, "src is a folder, not a file")


async def test_a_path_through_a_file_cannot_be_written(use) -> None:
    result = await use("write_file", path="pyproject.toml/x", content="x")
    assert (result.ok, result.error) == (
        False,
        "pyproject.toml/x cannot be read: Not a directory",
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("edit_file", {"old": "a", "new": "b"}), ("write_file", {"content": "b"})],
)
async def test_a_full_disk_is_said_and_the_old_file_stays(
    use, write, root, name, arguments
) -> None:
    """The kernel refuses files longer than 0 bytes meanwhile, as a full disk does."""
    path = write("x.txt", "a")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        result = await use(name, path="x.txt", **arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (result.ok, result.error) == (
        False,
        "x.txt was not changed, it cannot be written: File too large",
    )
    assert path.read_text() == "a"
    assert sorted(found.name for found in root.iterdir()) == ["pyproject.toml", "x.txt"]


async def test_half_a_surrogate_pair_is_refused(use, root) -> None:
    result = await use("write_file", path="x.txt", content="\ud83d")
    assert (result.ok, "surrogate" in result.error, (root / "x.txt").exists()) == (
        False,
        True,
        False,
    )


async def test_a_preview_shows_the_change_and_makes_none(call, write) -> None:
    path = write("x.txt", "one\r\ntwo\r\n")
    edit = await preview(call, "edit_file", path="x.txt", old="one", new="1\n1b")
    whole = await preview(call, "write_file", path="x.txt", content="1\n")
    new = await preview(call, "write_file", path="new.txt", content="1\n")
    assert [edit, whole, new] == [
        DiffContent(path=str(path), old_text="one\r\ntwo\r\n", new_text="1\r\n1b\r\ntwo\r\n"),
        DiffContent(path=str(path), old_text="one\r\ntwo\r\n", new_text="1\r\n"),
        DiffContent(path=str(path.parent / "new.txt"), old_text=None, new_text="1\n"),
    ]
    assert path.read_bytes() == b"one\r\ntwo\r\n"
    assert not (path.parent / "new.txt").exists()


async def test_there_is_no_preview_of_an_edit_that_would_fail(call, write) -> None:
    write("x.txt", "a")
    assert await preview(call, "edit_file", path="x.txt", old="b", new="c") is None
