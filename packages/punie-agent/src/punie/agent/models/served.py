"""What a local server says about a model that it serves: which server it is, how much it reads.

The OpenAI protocol has no word for the context window, so each server tells it elsewhere: vLLM in
its list of models, llama.cpp under `/props`, LM Studio under `/api/v0/models`, Ollama under
`/api/ps`. mlx_lm.server tells nothing; there the model's own `config.json` is read, when it lies on
this machine. Looking is synchronous and never raises for a server that does not answer.

Source:
    https://lmstudio.ai/docs/developer/rest/endpoints,
    https://docs.ollama.com/context-length,
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, cast

from msgspec import Struct

from punie.agent.models.tls import context_for

OLLAMA_WINDOW = 4_096
"""Tokens that Ollama gives a model, unless it was told otherwise, on a machine of up to 24 GB."""
SMALL_WINDOW = 8_192
"""Tokens; a model that reads no more has little room for tools."""
SMALL_SIZE = 4.0
"""Billions of parameters; a model up to this does better with few tools."""
TIMEOUT = 1.0
"""Seconds that each question may take."""

_SIZE = re.compile(r"(?<![\w.])(?:\d+x)?(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", re.IGNORECASE)
_UNKNOWN = "unknown"


class Served(Struct, frozen=True, kw_only=True):
    """A model as its server describes it."""

    server: str = _UNKNOWN
    """`vLLM`, `llama.cpp`, `LM Studio`, `Ollama`, `mlx_lm.server` or `unknown`."""
    window: int = 0
    """Tokens that it reads as it is loaded now; 0 when nobody tells."""
    advice: str = ""
    """How it could read more; empty when there is no need."""
    images: bool = False
    """It sees images; no when nobody tells."""


def ask_about(url: str, model: str, *, timeout: float = TIMEOUT) -> Served:
    """Ask a server about a model, in every way in which servers answer, all at once.

    Args:
        url: The base URL, ending in `/v1`.
        model: The id that requests carry.
        timeout: Seconds for each question.
    """
    root = url.rstrip("/").removesuffix("/v1")
    asker = _Asker(root, timeout)
    ways: tuple[_Way, ...] = (_vllm, _llama_cpp, _lm_studio, _ollama)
    with ThreadPoolExecutor(max_workers=len(ways)) as pool:
        asked = [pool.submit(way, asker, model) for way in ways]
    known = [answer for one in asked if (answer := one.result()) is not None]
    if known:
        return max(known, key=lambda served: served.window > 0)
    window = _own_window(model)
    return Served(server="mlx_lm.server" if window else _UNKNOWN, window=window)


def is_small(name: str, window: int) -> bool:
    """Tell whether a model does better with few tools and few words.

    Args:
        name: The model's id; most tell the size, such as `Qwen2.5-Coder-1.5B-Instruct`.
        window: Its context window, tokens; 0 when unknown.

    Example:
        >>> is_small("qwen2.5-coder:1.5b", 32_768), is_small("gpt-oss-20b", 32_768)
        (True, False)
    """
    if 0 < window <= SMALL_WINDOW:
        return True
    found = _SIZE.search(name)
    if found is None:
        return False
    size = float(found[1]) * (1.0 if found[2].lower() == "b" else 0.001)
    return size <= SMALL_SIZE


class _Asker:
    """Gets JSON from a server; nothing when it does not answer so."""

    def __init__(self, root: str, timeout: float) -> None:
        self._root = root
        self._timeout = timeout

    def get(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        import httpx2

        try:
            with httpx2.Client(
                timeout=self._timeout, trust_env=False, verify=context_for(self._root)
            ) as client:
                url = f"{self._root}{path}"
                response = client.get(url) if body is None else client.post(url, json=body)
            answer: object = response.json() if response.status_code == 200 else None
        except (httpx2.HTTPError, ValueError):
            return {}
        return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}


_Way: TypeAlias = Callable[[_Asker, str], "Served | None"]


def _vllm(asker: _Asker, model: str) -> Served | None:
    entry = _entry(asker.get("/v1/models").get("data"), "id", model)
    window = _whole(entry.get("max_model_len"))
    return Served(server="vLLM", window=window) if window else None


def _llama_cpp(asker: _Asker, model: str) -> Served | None:
    props = asker.get("/props")
    settings: object = props.get("default_generation_settings")
    window = (
        _whole(cast("dict[str, Any]", settings).get("n_ctx")) if isinstance(settings, dict) else 0
    )
    if not window:
        return None
    advice = "start llama-server with --ctx-size 32768" if window <= SMALL_WINDOW else ""
    modalities: object = props.get("modalities")
    sees = isinstance(modalities, dict) and cast("dict[str, Any]", modalities).get("vision") is True
    return Served(server="llama.cpp", window=window, advice=advice, images=sees)


def _lm_studio(asker: _Asker, model: str) -> Served | None:
    entry = _entry(asker.get("/api/v0/models").get("data"), "id", model)
    longest = _whole(entry.get("max_context_length"))
    window = _whole(entry.get("loaded_context_length")) or longest
    if not window:
        return None
    more = window <= SMALL_WINDOW and longest > window
    advice = f"load it in LM Studio with a context length of up to {longest}" if more else ""
    sees = entry.get("type") == "vlm"
    return Served(server="LM Studio", window=window, advice=advice, images=sees)


def _ollama(asker: _Asker, model: str) -> Served | None:
    loaded = asker.get("/api/ps")
    if "models" not in loaded:
        return None
    window = _whole(_entry(loaded["models"], "name", model).get("context_length"))
    shown = asker.get("/api/show", {"model": model})
    if not window:
        found = re.search(r"num_ctx\s+(\d+)", str(shown.get("parameters", "")))
        window = int(found[1]) if found else OLLAMA_WINDOW
    advice = "start Ollama with OLLAMA_CONTEXT_LENGTH=32768" if window <= SMALL_WINDOW else ""
    capabilities: object = shown.get("capabilities")
    sees = isinstance(capabilities, list) and "vision" in capabilities
    return Served(server="Ollama", window=window, advice=advice, images=sees)


def _entry(entries: object, key: str, model: str) -> dict[str, Any]:
    if isinstance(entries, list):
        for entry in cast("list[dict[str, Any]]", entries):
            if str(entry.get(key, "")).removesuffix(":latest") == model.removesuffix(":latest"):
                return entry
    return {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _own_window(model: str) -> int:
    """Read what a model folder on this machine says, given as a path or as a Hugging Face id."""
    folders = [Path(model)]
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        hub = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
        folders += sorted((hub / f"models--{model.replace('/', '--')}" / "snapshots").glob("*"))
    for folder in folders:
        try:
            config: object = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(config, dict):
            return _whole(cast("dict[str, Any]", config).get("max_position_embeddings"))
    return 0
