"""What the editor offers is used, each offer for itself, and what it does not offer is done here.

The sixteen cases: files read, files written and commands run by the editor or not, and the person
allowing or rejecting. The change and its file are in the question in all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from punie.acp.errors import RequestError
from punie.acp.schema import v1

from .conftest import Editor  # type: ignore[import-not-found]

Open = Callable[..., Any]


class Offer(NamedTuple):
    reads: bool
    writes: bool
    terminal: bool

    @property
    def capabilities(self) -> v1.ClientCapabilities:
        files = v1.FileSystemCapabilities(read_text_file=self.reads, write_text_file=self.writes)
        return v1.ClientCapabilities(fs=files, terminal=self.terminal)


OFFERS = [Offer(*offer) for offer in itertools.product([True, False], repeat=3)]


class Strict(Editor):
    """Serves what it offers, and fails the test when it is asked for anything else."""

    def __init__(self, offer: Offer, *, allow: bool, unsaved: dict[str, str]) -> None:
        super().__init__(allow=allow, files=unsaved)
        self.offer = offer
        self.commands: list[str] = []
        self.unasked: list[str] = []

    async def read_text_file(self, params: v1.ReadTextFileRequest) -> v1.ReadTextFileResponse:
        if not self.offer.reads:
            self.unasked.append(f"read {params.path}")
        return await super().read_text_file(params)

    async def write_text_file(self, params: v1.WriteTextFileRequest) -> v1.WriteTextFileResponse:
        if not self.offer.writes:
            self.unasked.append(f"write {params.path}")
        return await super().write_text_file(params)

    async def create_terminal(self, params: v1.CreateTerminalRequest) -> v1.CreateTerminalResponse:
        if not self.offer.terminal:
            self.unasked.append(f"run {params.args}")
        self.commands.append(params.args[-1])
        return v1.CreateTerminalResponse(terminal_id="t1")

    async def wait_for_terminal_exit(self, params: Any) -> v1.WaitForTerminalExitResponse:
        return v1.WaitForTerminalExitResponse(exit_code=0)

    async def terminal_output(self, params: Any) -> v1.TerminalOutputResponse:
        return v1.TerminalOutputResponse(output="in the editor", truncated=False)

    async def release_terminal(self, params: Any) -> v1.ReleaseTerminalResponse:
        return v1.ReleaseTerminalResponse()


@pytest.mark.parametrize("allow", [True, False], ids=["allowed", "rejected"])
@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: "-".join(map(str, offer)))
async def test_each_offer_is_used_alone(
    opened: Open, project: Path, offer: Offer, allow: bool
) -> None:
    path = str(project / "a.txt")
    (project / "run.sh").write_text("echo here; touch ran\n")
    editor = Strict(offer, allow=allow, unsaved={path: "unsaved\n"})
    async with opened(editor, offer.capabilities):
        await editor.ask("read a.txt")
        await editor.ask("write a.txt new")
        await editor.ask("run sh run.sh")
    read, wrote, ran = [
        update
        for update in editor.of(v1.ToolCallUpdate)
        if update.status in {"completed", "failed"}
    ]
    before = "unsaved\n" if offer.reads else "on disk\n"
    assert read.raw_output["text"] == before
    writing, running = editor.permissions
    assert writing.tool_call.title == "Write a.txt"
    assert writing.tool_call.content == [v1.Diff(path=path, old_text=before, new_text="new")]
    assert running.tool_call.title == "sh run.sh"
    assert editor.unasked == []
    by_editor, by_us = allow and offer.writes, allow and not offer.writes
    assert editor.files[path] == ("new" if by_editor else "unsaved\n")
    assert (project / "a.txt").read_text() == ("new" if by_us else "on disk\n")
    assert (wrote.status, ran.status) == (("completed",) * 2 if allow else ("failed",) * 2)
    assert editor.commands == (["sh run.sh"] if allow and offer.terminal else [])
    assert (project / "ran").exists() is (allow and not offer.terminal)
    if allow:
        printed = "in the editor" if offer.terminal else "here\n"
        assert ran.raw_output["output"] == printed


@pytest.mark.parametrize(
    ("prompt", "scope"),
    [
        ("write b.txt text", "write_file in this session"),
        ("write /b.txt text", "write_file of /b.txt in this session"),
        (
            f"write /{'long/' * 20}b.txt text",
            "write_file of /long/long/long/long/long/long…ong/long/long/long/long/b.txt in this session",
        ),
        ("run touch b.txt", "`touch b.txt` in this project"),
    ],
)
async def test_a_question_offers_one_option_of_each_kind_and_always_says_what_for(
    opened: Open, project: Path, prompt: str, scope: str
) -> None:
    async with opened(Editor(allow=False), v1.ClientCapabilities()) as editor:
        await editor.ask(prompt)
    (asked,) = editor.permissions
    assert [(option.kind, option.name) for option in asked.options] == [
        ("allow_once", "Allow once"),
        ("allow_always", f"Always allow {scope}"),
        ("reject_once", "Reject once"),
        ("reject_always", f"Always reject {scope}"),
    ]


async def test_an_editor_that_loses_its_terminals_and_files_is_done_without(
    opened: Open, project: Path
) -> None:
    class Broken(Editor):
        """Offers everything and can do nothing."""

        async def read_text_file(self, params: Any) -> Any:
            raise RequestError(-32603, "the index is being built")

        async def create_terminal(self, params: Any) -> Any:
            raise RequestError(-32603, "no terminal is left")

        async def write_text_file(self, params: Any) -> Any:
            raise RequestError(-32603, "the file is read-only here")

    everything = Offer(reads=True, writes=True, terminal=True).capabilities
    async with opened(Broken(), everything) as editor:
        await editor.ask("read a.txt")
        await editor.ask("run echo here")
        await editor.ask("write a.txt new")
    read, ran, wrote = [
        update
        for update in editor.of(v1.ToolCallUpdate)
        if update.status in {"completed", "failed"}
    ]
    assert (read.raw_output["text"], ran.raw_output["output"]) == ("on disk\n", "here\n")
    # A write that an editor refused is not made behind its back.
    assert wrote.status == "failed"
    assert "the file is read-only here" in wrote.raw_output["error"]
    assert (project / "a.txt").read_text() == "on disk\n"
