"""The page: one document, its scripts and styles. What it shows comes over the API."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from punie.http.auth import UnauthorizedError
from punie.http.keys import DOOR, HUB

routes = web.RouteTableDef()

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@routes.get("/")
async def page(request: web.Request) -> web.StreamResponse:
    """The page. With `?token=` it logs the browser in first, and takes the token out of sight."""
    door = request.app[DOOR]
    token = request.query.get("token")
    if token is not None:
        if not door.knows(token):
            door.guessed()
            raise UnauthorizedError("this link is old: open the one that `punie serve` printed")
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            door.cookie_name, door.cookie, httponly=True, samesite="Strict", path="/"
        )
        return response
    door.identify(request.headers, request.cookies)
    hub = request.app[HUB]
    text = _template("page.html").render(folder=str(hub.settings.folder))
    return web.Response(text=text, content_type="text/html")


@routes.get(r"/static/{name:[\w-]+\.\w+}")
async def static(request: web.Request) -> web.Response:
    """A script or a style; nothing secret is in them."""
    name = request.match_info["name"]
    found = _static().get(name)
    if found is None:
        raise web.HTTPNotFound(text="there is no such file\n")
    suffix = name[name.rindex(".") :]
    return web.Response(
        body=found,
        content_type=_TYPES[suffix],
        charset="utf-8",
        headers={"Cache-Control": "no-cache"},
    )


@cache
def _static() -> dict[str, bytes]:
    """All files, by name: a request can name nothing else."""
    folder = files("punie.http") / "static"
    return {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if "." in entry.name and entry.name[entry.name.rindex(".") :] in _TYPES
    }


@cache
def _template(name: str) -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("punie.http", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)
