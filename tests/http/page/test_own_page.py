"""The page of one's own in `examples/`, plugged in as a distribution would plug it in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from punie.http.config import Settings

EXAMPLE = Path(__file__).parents[3] / "examples" / "hub_page"


@pytest.fixture(autouse=True)
def plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    info = site / "example_panel-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example-panel\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[punie.panels]\nmine = example_panel:FOLDER\n")
    (site / "example_panel.py").write_text(
        f"from pathlib import Path\n\nFOLDER = Path({str(EXAMPLE)!r})\n"
    )
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])


def test_it_has_less_than_fifty_lines() -> None:
    lines = [line for file in EXAMPLE.iterdir() for line in file.read_text().splitlines()]
    assert len(lines) < 50


async def test_it_shows_who_needs_a_person_and_answers(
    running: Any, page: Any, settings: Settings
) -> None:
    await page.goto(running.address.link)
    session = await running.new_session()
    await running.prompt(session, "write notes.txt hello")
    await page.goto(f"{running.address.url}/panels/mine/")
    await page.click("text=Allow once")
    await page.wait_for_selector("li >> text=idle: write notes.txt hello")
    assert (settings.folder / "notes.txt").read_text() == "hello"


async def test_the_hubs_page_leads_to_it(page: Any) -> None:
    await page.click(".panels a >> text=mine")
    await page.wait_for_selector("h1 >> text=Who needs me")


@pytest.mark.parametrize("path", ["/panels/mine/..%2f15_local_model_server.py", "/panels/none/"])
async def test_nothing_but_its_files_is_served(running: Any, path: str) -> None:
    async with running.http.get(path) as response:
        assert response.status == 404


async def test_a_stranger_does_not_see_it(running: Any) -> None:
    async with running.http.get("/panels/mine/", headers={"Authorization": "x"}) as response:
        assert response.status == 401
