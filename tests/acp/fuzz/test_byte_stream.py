"""Whatever bytes come: no crash, no hang, the right answer or none, and service afterwards."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from punie.acp.agent_side import serve
from punie.acp.testing.bench_agent import BenchAgent
from punie.acp.testing.pipe import BytePipe
from punie.acp.transports.base import MAX_FRAME

HELLO = b'{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":1}}'
PING = b'{"jsonrpc":"2.0","id":"the last","method":"_bench/ping"}'


def feed(chunks: Sequence[bytes], *, max_frame: int = MAX_FRAME) -> list[Any]:
    """Send bytes to an agent, then a line end and a ping; everything it answered but that."""

    async def run() -> list[Any]:
        pipe = BytePipe(max_frame=max_frame)
        serving = asyncio.ensure_future(serve(BenchAgent, pipe))
        await asyncio.sleep(0)
        pipe.feed(HELLO + b"\n")
        for chunk in chunks:
            pipe.feed(chunk)
        pipe.feed(b"\n" + PING + b"\n")
        await asyncio.wait_for(pipe.answered.wait(), 5)
        pipe.stop_reading()
        await serving
        return [json.loads(frame) for frame in pipe.sent]

    answers = asyncio.run(run())
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    return [one for one in answers if one.get("id") not in {"hello", "the last"}]


def codes(answers: list[Any]) -> list[tuple[int, Any]]:
    return [(one["error"]["code"], one["id"]) for one in answers]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ID = (
    st.none()
    | st.integers()
    | st.text(max_size=4)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
)
METHOD = st.sampled_from(["_bench/ping", "session/new", "session/prompt", "$/cancel_request", "x"])
# Like messages, each field of its type, of another, or missing.
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "id": ID | JSON,
        "method": METHOD | JSON,
        "params": JSON,
        "result": JSON,
        "error": JSON,
    },
)


def is_json(line: bytes) -> bool:
    """What the standard library takes; it takes more than the protocol does."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


@given(st.lists(st.binary(max_size=40), max_size=8))
@settings(max_examples=150, deadline=None)
def test_random_bytes_are_answered_with_parse_errors_or_invalid_requests(
    chunks: list[bytes],
) -> None:
    answers = feed(chunks)
    lines = [line for line in b"".join(chunks).split(b"\n") if line.strip()]
    assert len(answers) == len(lines)
    for line, (code, request_id) in zip(lines, codes(answers), strict=True):
        assert request_id is None
        assert code in ({-32700, -32600} if is_json(line) else {-32700})


@given(st.lists(ALMOST, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_almost_messages_cut_anywhere_are_answered_under_their_id_or_not_at_all(
    messages: list[dict[str, Any]], data: st.DataObject
) -> None:
    stream = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    cut = data.draw(st.integers(0, len(stream)))
    answers = feed([stream[:cut], stream[cut:]])
    ids = [message.get("id") for message in messages]
    assert len(answers) <= len(messages)
    for answer in answers:
        assert answer["id"] is None or any(
            type(answer["id"]) is type(one) and answer["id"] == one for one in ids
        )


@given(JSON.filter(lambda value: not isinstance(value, dict)))
@settings(max_examples=100, deadline=None)
def test_arrays_and_scalars_are_invalid_requests(value: Any) -> None:
    assert codes(feed([json.dumps(value).encode()])) == [(-32600, None)]


@given(st.integers(min_value=1, max_value=len(PING) - 1))
@settings(max_examples=30, deadline=None)
def test_a_cut_frame_is_a_parse_error(length: int) -> None:
    assert codes(feed([PING[:length]])) == [(-32700, None)]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (rb'{"jsonrpc":"2.0","id":"\ud800","method":"_bench/ping"}', [(-32700, None)]),
        (b'{"jsonrpc":"2.0","id":"\xed\xa0\x80","method":"_bench/ping"}', [(-32700, None)]),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', [(-32700, None)]),
        (b'{"jsonrpc":"2.0","id":1,"method":"_bench/ping","\xff":0}', [(-32700, None)]),
        (b"[" * 10_000 + b"]" * 10_000, None),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, None),
        (b"[" * 10_000, [(-32700, None)]),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"_bench/ping"}', None),
        (b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"x"}', [(-32600, None)]),
        (b'{"jsonrpc":"2.0","id":1e400,"method":"_bench/ping"}', None),
        (b"NaN", [(-32700, None)]),
        (b"\x00" * 50, [(-32700, None)]),
        (b"\xef\xbb\xbf{}", [(-32700, None)]),
    ],
    ids=[
        "escaped lone surrogate",
        "encoded lone surrogate",
        "invalid UTF-8",
        "invalid UTF-8 in what nobody reads",
        "10,000 arrays",
        "10,000 objects",
        "10,000 open arrays",
        "an id of 5,000 digits",
        "an id of 65 bits",
        "an id that is infinite",
        "NaN",
        "zero bytes",
        "byte order mark",
    ],
)
def test_odd_lines_get_an_error_without_an_id(
    line: bytes, answer: list[tuple[int, None]] | None
) -> None:
    seen = codes(feed([line]))
    assert seen in ([[(-32700, None)], [(-32600, None)]] if answer is None else [answer])


def test_params_nested_10_000_deep_are_refused_and_the_connection_lives_on() -> None:
    deep = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    line = b'{"jsonrpc":"2.0","id":5,"method":"session/new","params":' + deep + b"}"
    ((code, request_id),) = codes(feed([line]))
    assert code in {-32700, -32600, -32602}
    assert request_id in {None, 5}


def test_an_id_as_long_as_a_book_is_echoed() -> None:
    name = "x" * 1_000_000
    line = json.dumps({"jsonrpc": "2.0", "id": name, "method": "_bench/ping"}).encode()
    (answer,) = feed([line])
    assert answer == {"jsonrpc": "2.0", "id": name, "result": {}}


def test_a_line_of_64_mib_is_served_quickly() -> None:
    head = b'{"jsonrpc":"2.0","id":5,"method":"_bench/ping","params":{"a":"'
    chunk = b"x" * (1024 * 1024)
    tail = b'"}}'
    whole = MAX_FRAME // len(chunk) - 1
    began = time.monotonic()
    answers = feed([head, *[chunk] * whole, tail])
    assert [answer["id"] for answer in answers] == [5]
    assert time.monotonic() - began < 10


def test_bad_lines_leave_no_memory_behind(caplog: pytest.LogCaptureFixture) -> None:
    bad = b'{nope\n[1]\n42\n{"foo":1}\n{"method":"session/cancel","params":{"a":1}}\n' * 2_000
    caplog.set_level(logging.CRITICAL, logger="punie.acp")
    feed([bad])
    tracemalloc.start()
    try:
        feed([bad])
        before = kept()
        for _ in range(3):
            assert len(feed([bad])) == 8_000
        assert kept() - before < 2**17
    finally:
        tracemalloc.stop()


def kept() -> int:
    """Bytes that Python holds on to."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
