"""Model servers on this machine: which ports to try, what they serve.

Looking is synchronous, takes a fraction of a second and never raises for a server that is not
there. Talking to the model is `http`'s business.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from msgspec import Struct

from punie.agent.models.tls import context_for

LOOK_TIMEOUT = 0.5
"""Seconds that a server of this machine may take to list its models."""


class Known(Struct, frozen=True, kw_only=True):
    """A kind of server and the command that starts one."""

    name: str
    url: str
    start: str


KNOWN = (
    Known(
        name="mlx_lm.server",
        url="http://127.0.0.1:8080/v1",
        start="python -m mlx_lm.server --model MODEL --port 8080",
    ),
    Known(
        name="LM Studio",
        url="http://127.0.0.1:1234/v1",
        start="LM Studio's Developer tab, or: lms server start",
    ),
    Known(name="Ollama", url="http://127.0.0.1:11434/v1", start="ollama serve"),
    Known(
        name="vLLM or llama.cpp",
        url="http://127.0.0.1:8000/v1",
        start="llama-server -m MODEL.gguf --port 8000 --jinja",
    ),
)


class Answering(Struct, frozen=True, kw_only=True):
    """A server that answers, and the ids that it lists."""

    url: str
    models: tuple[str, ...]


def look(urls: Sequence[str] | None = None, *, timeout: float = LOOK_TIMEOUT) -> list[Answering]:
    """List the servers that answer, all asked at once.

    Args:
        urls: Base URLs such as `http://127.0.0.1:8080/v1`; the known ports by default.
        timeout: Seconds.

    Returns:
        Those that answer, in the order of `urls`.
    """
    asked = [known.url for known in KNOWN] if urls is None else list(urls)
    if not asked:
        return []
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        answers = list(pool.map(functools.partial(_ask, timeout=timeout), asked))
    return [answer for answer in answers if answer is not None]


def how_to_start(url: str) -> str:
    """Name the command that would start a server at a URL; all of them for an unknown port."""
    for known in KNOWN:
        if known.url.partition("//")[2].partition(":")[2] in url:
            return f"start one with `{known.start}`"
    commands = "; ".join(f"{known.name}: `{known.start}`" for known in KNOWN[:3])
    return f"start one ({commands})"


def _ask(url: str, timeout: float) -> Answering | None:
    import httpx2

    try:
        # Straight to this machine: a proxy from the environment would only be in the way.
        with httpx2.Client(timeout=timeout, trust_env=False, verify=context_for(url)) as client:
            response = client.get(f"{url}/models")
        body: object = response.json()
    except (httpx2.RemoteProtocolError, httpx2.ReadError):
        # mlx_lm.server without a Hugging Face cache breaks off when it is asked for its list.
        return Answering(url=url, models=())
    except (httpx2.HTTPError, ValueError):
        return None
    if response.status_code != 200 or not isinstance(body, dict):
        return None
    listed: list[dict[str, Any]] = cast("dict[str, Any]", body).get("data") or []
    return Answering(url=url, models=tuple(str(entry["id"]) for entry in listed if "id" in entry))
