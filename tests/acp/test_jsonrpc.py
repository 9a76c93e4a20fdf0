"""Frames from strangers: each gets the right answer, and none raises."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punie.acp import jsonrpc
from punie.acp.errors import RequestError
from punie.acp.jsonrpc import Envelope, Malformed
from punie.acp.methods import decoder
from punie.acp.schema import v1


@pytest.mark.parametrize(
    ("frame", "code", "request_id"),
    [
        (b"{nope", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"x"', -32700, None),
        (b'{"id":{}, nope', -32700, None),
        (b"\xff\xfe", -32700, None),
        (b'{"method":"\xff"}', -32700, None),
        (b'{"method":"\\ud800"}', -32700, None),
        (b"[" * 10_000, -32700, None),
        (b'{"id":1,"method":"x","params":' + b"[" * 10_000 + b"]" * 10_000 + b"}", -32700, None),
        (b"[]", -32600, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"x"}]', -32600, None),
        (b"42", -32600, None),
        (b'"text"', -32600, None),
        (b"null", -32600, None),
        (b'{"foo":1}', -32600, None),
        (b'{"id":7}', -32600, 7),
        (b'{"id":7,"method":42}', -32600, 7),
        (b'{"id":"a","method":null}', -32600, "a"),
        (b'{"id":true,"method":"x"}', -32600, None),
        (b'{"id":1.5,"method":"x"}', -32600, None),
        (b'{"id":{},"method":"x"}', -32600, None),
        (b'{"id":99999999999999999999,"method":"x"}', -32600, None),
    ],
)
def test_what_is_no_message_gets_its_code_and_the_id_that_could_be_read(
    frame: bytes, code: int, request_id: int | str | None
) -> None:
    message = jsonrpc.decode_frame(frame)
    assert isinstance(message, Malformed)
    assert (message.error.code, message.id) == (code, request_id)


@pytest.mark.parametrize("request_id", [1, -1, 0, 2**63 - 1, "", "abc", "1", None])
def test_an_id_is_echoed_as_it_came(request_id: int | str | None) -> None:
    frame = msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": "x"})
    message = jsonrpc.decode_frame(frame)
    assert isinstance(message, Envelope)
    assert not isinstance(message.id, msgspec.UnsetType)
    answer = msgspec.json.decode(jsonrpc.encode_result(message.id, {}))
    assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {}}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_get_an_answer(frame: bytes) -> None:
    message = jsonrpc.decode_frame(frame)
    if isinstance(message, Malformed):
        assert b"\n" not in jsonrpc.encode_error(message.id, message.error)


@pytest.mark.parametrize(
    ("params", "path", "reason"),
    [
        (b"{}", "$", "Object missing required field `cwd`"),
        (b"null", "$", "Object missing required field `cwd`"),
        (b"[1]", "$", "Expected `object`, got `array`"),
        (b'{"cwd":1}', "$.cwd", "Expected `str`, got `int`"),
        (
            b'{"cwd":"/","mcpServers":[{"name":5}]}',
            "$.mcpServers[0].name",
            "Expected `str`, got `int`",
        ),
    ],
)
def test_wrong_params_are_located(params: bytes, path: str, reason: str) -> None:
    with pytest.raises(RequestError) as refused:
        jsonrpc.decode_params(decoder(v1.NewSessionRequest), msgspec.Raw(params))
    assert refused.value.code == -32602
    assert refused.value.data == {"path": path, "reason": reason}


@pytest.mark.parametrize(
    "params",
    [
        b'{"sessionId":"s","prompt":[{"type":"SECRET"}]}',
        b'{"sessionId":"s","prompt":"SECRET"}',
        b'{"sessionId":"s","prompt":[{"type":"text","text":"x"},{"type":"image","data":["SECRET"]}]}',
        b'{"sessionId":["SECRET"],"prompt":[],"_meta":{"token":"SECRET"}}',
    ],
)
def test_wrong_params_are_never_repeated(params: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        jsonrpc.decode_params(decoder(v1.PromptRequest), msgspec.Raw(params))
    assert b"SECRET" not in jsonrpc.encode_error(1, refused.value)
    assert "SECRET" not in str(refused.value)


def test_no_params_are_an_empty_object() -> None:
    read = jsonrpc.decode_params(decoder(v1.ListSessionsRequest), msgspec.UNSET)
    assert read == v1.ListSessionsRequest()


@pytest.mark.parametrize(
    "error", [b"1", b'"no"', b"{}", b'{"code":"x"}', b'{"code":1.5,"message":2}']
)
def test_an_odd_error_of_the_peer_is_still_an_error(error: bytes) -> None:
    assert jsonrpc.decode_error(msgspec.Raw(error)).code == -32603
