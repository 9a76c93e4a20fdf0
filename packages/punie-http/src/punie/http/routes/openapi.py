"""The API described: `/api/openapi.json`, made from the routes and the types that they take.

A route's description is its handler's docstring, so the two cannot differ. The bodies of events are
those of the Agent Client Protocol, version 2, and are described there.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec
from aiohttp import web

from punie.http.routes.bodies import Choice, Form, NewPrompt, NewSession, Selection, answer

routes = web.RouteTableDef()

_BODIES: dict[tuple[str, str], type[msgspec.Struct]] = {
    ("POST", "/api/sessions"): NewSession,
    ("POST", "/api/sessions/{session}/prompts"): NewPrompt,
    ("POST", "/api/sessions/{session}/config"): Choice,
    ("POST", "/api/inbox/{asked}/select"): Selection,
    ("POST", "/api/inbox/{asked}/submit"): Form,
}
_BESIDE = {"/acp", "/agents", "/proof"}
"""What is described though it is not below `/api`."""
_QUERY: dict[str, dict[str, str]] = {
    "/acp": {"agent": "the agent of new sessions; the first one that is ready by default"},
    "/agents": {
        "name": "under what the agent's sessions are kept",
        "id": "its process, in hexadecimal, so that it gets the same name again",
        "client": "the program that started it, such as an IDE",
        "project": "the folder that is worked on there",
    },
    "/proof": {"nonce": "16 to 64 bytes in hexadecimal"},
    "/api/events": {
        "session": "a session's key, or `all`",
        "after": "the last event that the caller has",
        "states": "0 leaves out how sessions, agents and the inbox are",
    },
    "/api/search": {"q": "words; the last one may be unfinished"},
    "/api/audit": {"limit": "answers at most"},
    "/api/sessions/{session}": {
        "before": "only items before this place",
        "limit": "items at most",
        "until": "the conversation up to this event",
    },
    "/api/sessions/{session}/events": {
        "after": "only events after this one",
        "limit": "events at most",
    },
    "/api/sessions/{session}/files": {"q": "what the path holds"},
    "/api/sessions/{session}/export": {"format": "`md`, `html` or `jsonl`"},
}


@routes.get("/api/openapi.json")
async def openapi(request: web.Request) -> web.Response:
    """This description."""
    return answer(describe(request.app.router.routes()))


def describe(all_routes: Iterable[web.AbstractRoute]) -> dict[str, Any]:
    """Describe the API as OpenAPI 3.1.

    Args:
        all_routes: Of the application; those below `/api` and the two sockets are described.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in all_routes:
        resource = route.resource
        if resource is None or route.method == "HEAD":
            continue
        path = re.sub(r"\{(\w+):[^}]+\}", r"{\1}", _pattern(resource))
        if path.startswith("/api/") or path in _BESIDE:
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, path)
    _, schemas = msgspec.json.schema_components(
        set(_BODIES.values()), ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Punie's hub",
            "version": version("punie-http"),
            "description": "Everything that the page does. Send `Authorization: Bearer TOKEN`.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _pattern(resource: web.AbstractResource) -> str:
    return resource.canonical


def _operation(route: web.AbstractRoute, path: str) -> dict[str, Any]:
    text = inspect.getdoc(route.handler) or ""
    operation: dict[str, Any] = {
        "operationId": getattr(route.handler, "__name__", path),
        "summary": text.splitlines()[0] if text else "",
        "description": text,
        "parameters": [
            *(_parameter(name, "path", "") for name in re.findall(r"\{(\w+)\}", path)),
            *(_parameter(name, "query", told) for name, told in _QUERY.get(path, {}).items()),
        ],
        "responses": {
            "2XX": {"description": "Done."},
            "4XX": {"description": "Refused; `error` is a sentence that says why."},
        },
    }
    if path == "/proof":
        operation["security"] = []
    body = _BODIES.get((route.method, path))
    if body is not None:
        reference = {"$ref": f"#/components/schemas/{body.__name__}"}
        content = {"application/json": {"schema": reference}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(name: str, place: str, told: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": told,
        "schema": {"type": "string"},
    }
