"""For all tests: a state folder each, children that start quickly, and MLX in the main thread first.

MLX 0.32 forgets at exit what it compiled for the thread that imported it first. When that was an
engine's thread and a test computed on the main one, the process crashes after the last test.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
WITH_MLX = (TESTS / "agent" / "models", TESTS / "train", TESTS / "e2e")


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the sessions that tests open out of the home of whoever runs them."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "punie"


@pytest.fixture(scope="session", autouse=True)
def plain_pytest() -> Iterator[None]:
    """Let the pytest that a test starts load none of the plugins here: that takes it a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start an HTTP server on this machine with handlers of a kind, give its address; it ends with the test."""
    with contextlib.ExitStack() as servers:

        def start(handler: Callable[..., BaseHTTPRequestHandler]) -> str:
            server = servers.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            servers.callback(thread.join)
            servers.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs that tests start, also where a script runs them in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    uses_mlx = any(
        item.path.is_relative_to(folder) for item in session.items for folder in WITH_MLX
    )
    if uses_mlx and find_spec("mlx") is not None:
        from punie.agent.models.embedded.blas import preload_fast_blas

        preload_fast_blas()
        import mlx.core  # noqa: F401, TID251
