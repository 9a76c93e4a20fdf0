"""Recorded results come from running the tools."""

from pathlib import Path

from punie.agent.workspaces.local import LocalWorkspace
from punie.train.data.generators import results
from punie.train.data.generators.projects import commit_all
from punie.train.data.generators.results import record


async def test_a_result_is_what_the_tool_returned(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.py").write_text("import os\n", encoding="utf-8")
    commit_all(root, "Start")
    one = await record(
        LocalWorkspace(root), "search", {"query": "import"}, repository="p", limit=600
    )
    assert one.headline == "1 match in 1 file"
    assert one.rendered == "1 match in 1 file\na.py:1: import os"
    assert one.fields["matches"] == 1
    path = tmp_path / "recorded.jsonl"
    results.save([one], path)
    assert results.load(path) == [one]
