"""The pictures of the documentation: `pytest tests/http/page/test_pictures.py --pictures docs/images`.

Without the option they are made all the same and thrown away, so that they can always be made.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from punie.http.testing.scene import busy

COLOURS = 192
LARGEST = 100_000
"""Bytes of a picture; more is not for a repository."""


@pytest.fixture
def pictures(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    folder = Path(pytestconfig.getoption("--pictures") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(picture: bytes, path: Path) -> None:
    """Keep a picture small: few colours are enough for a page."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
    assert 0 < path.stat().st_size < LARGEST


async def test_the_page_is_pictured(
    running: Any, open_page: Any, key_of: Any, pictures: Path
) -> None:
    views: dict[str, dict[str, Any]] = {
        "hub-overview": {"at": "#/", "size": {"width": 1180, "height": 780}},
        "hub-session-dark": {"at": "cart", "color_scheme": "dark"},
        "hub-replay": {"at": "cart", "then": "/replay"},
        "hub-phone": {"at": "#/", "size": {"width": 390, "height": 780}},
    }
    async with busy(running.hub):
        for name, view in views.items():
            more = dict(view)
            at, then = more.pop("at"), more.pop("then", "")
            path = at if at.startswith("#") else f"#/s/{key_of(at)}{then}"
            size = more.pop("size", {"width": 1080, "height": 720})
            page = await open_page(at=path, size=size, **more)
            if then:
                await page.focus(".replaying input")
                for key in ("End", "ArrowLeft", "ArrowLeft"):
                    await page.keyboard.press(key)
            else:
                await page.wait_for_selector(".card[data-keys=now]")
            # Where the tests run is of no interest to a reader.
            await page.evaluate(
                """() => document.querySelectorAll('input[name=cwd]').forEach((one) => { one.value = '/home/ada/shop'; })"""
            )
            write(await page.screenshot(animations="disabled"), pictures / f"{name}.png")
