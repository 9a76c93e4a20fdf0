"""Who cannot see or point uses the page as well: axe finds no serious fault on any of its views."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from punie.http.testing.scene import busy

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
SERIOUS = """async () => (await axe.run()).violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" | ")}`)"""


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_view_has_a_serious_fault(
    running: Any, open_page: Any, key_of: Any, size: str, scheme: str
) -> None:
    async with busy(running.hub):
        # axe makes a function out of text, which the policy of the page forbids.
        page = await open_page(size=SIZES[size], color_scheme=scheme, bypass_csp=True)
        await page.evaluate(AXE)
        session, cache = key_of("cart"), key_of("cache")
        found: dict[str, Any] = {}
        for view, ready in {
            "#/": ".card >> nth=2",
            f"#/s/{session}": ".session .card .diff",
            f"#/s/{cache}": ".item.tool",
            f"#/s/{session}/replay": ".replaying",
            "#/search/cart": ".hits li",
            "#/audit": ".reading",
        }.items():
            await page.evaluate("(view) => { location.hash = view; }", view)
            await page.wait_for_selector(ready, state="attached")
            await page.wait_for_function("!document.querySelector('[data-keys=soon]')")
            found[view] = await page.evaluate(SERIOUS)
        assert {view: faults for view, faults in found.items() if faults} == {}
