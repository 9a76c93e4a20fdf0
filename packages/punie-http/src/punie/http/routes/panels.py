"""Pages of other makes: the entry point group `punie.panels`.

An entry point is a folder (a `Path`, or what `importlib.resources.files` gives) with an
`index.html`; it is served at `/panels/NAME/` to whoever is logged in, under the same policy as the
hub's own page: scripts are files, nothing comes from elsewhere. It may do what the page may do.
"""

from __future__ import annotations

import asyncio
import mimetypes
from importlib.metadata import entry_points
from importlib.resources.abc import Traversable

import structlog
from aiohttp import web

from punie.http.routes.bodies import answer

log = structlog.get_logger()

routes = web.RouteTableDef()

GROUP = "punie.panels"


@routes.get("/api/panels")
async def panels(request: web.Request) -> web.Response:
    """The pages that are plugged in, by name; each is at `/panels/NAME/`."""
    return answer({"panels": sorted({entry.name for entry in entry_points(group=GROUP)})})


@routes.get(r"/panels/{panel:[\w-]+}/{name:[\w.-]*}")
async def panel_file(request: web.Request) -> web.Response:
    """A file of a page that is plugged in."""
    panel, name = request.match_info["panel"], request.match_info["name"] or "index.html"
    found = await asyncio.to_thread(_read, panel, name)
    if found is None:
        raise web.HTTPNotFound(text="there is no such file\n")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return web.Response(body=found, content_type=kind, charset="utf-8")


def examine(_name: str, thing: object) -> str:
    """Say why what an entry point names is no panel, for `punie plugins`; nothing if it is one."""
    if not isinstance(thing, Traversable):
        return "it is no folder"
    return "" if thing.joinpath("index.html").is_file() else f"{thing} has no index.html"


def _read(panel: str, name: str) -> bytes | None:
    """A file by its name in the panel's folder: only what stands in it can be asked for."""
    for entry in entry_points(group=GROUP, name=panel):
        try:
            folder: Traversable = entry.load()
            files = {file.name: file for file in folder.iterdir() if file.is_file()}
        except Exception as error:  # noqa: BLE001 - a foreign module may raise anything
            log.warning("a panel cannot be used", panel=panel, reason=str(error))
            continue
        if name in files:
            return files[name].read_bytes()
    return None
