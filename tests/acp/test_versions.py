"""Which version is spoken, and who is refused."""

from __future__ import annotations

import msgspec
import pytest

from punie.acp.errors import RequestError
from punie.acp.schema import v1, v2
from punie.acp.versions import SUPPORTED, negotiate
from punie.acp.versions.negotiation import read_initialize, requested_version


@pytest.mark.parametrize(("requested", "spoken"), [(0, 1), (1, 1), (2, 2), (3, 2), (65535, 2)])
def test_the_highest_version_that_both_speak_is_spoken(requested: int, spoken: int) -> None:
    assert negotiate(requested) == spoken


@pytest.mark.parametrize("requested", [0, 1, 2, 65535])
def test_an_agent_of_version_1_answers_1_to_everybody(requested: int) -> None:
    assert negotiate(requested, (1,)) == 1


def test_an_agent_of_version_2_alone_refuses_older_clients_and_says_what_it_speaks() -> None:
    assert negotiate(65535, (2,)) == 2
    with pytest.raises(RequestError) as refused:
        negotiate(1, (2,))
    assert refused.value.code == -32022
    assert refused.value.data == {"requested": 1, "supported": [2]}


def test_versions_are_listed_in_ascending_order() -> None:
    assert sorted(SUPPORTED) == list(SUPPORTED)


def test_a_version_may_be_a_string_of_digits() -> None:
    assert requested_version(msgspec.Raw(b'{"protocolVersion":"1"}')) == 1


@pytest.mark.parametrize("params", [b"{}", b'{"protocolVersion":-1}', b'{"protocolVersion":null}'])
def test_a_handshake_without_a_version_is_refused(params: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        requested_version(msgspec.Raw(params))
    assert refused.value.code == -32602


def test_what_a_newer_client_says_in_a_newer_shape_counts_as_not_said() -> None:
    newer = msgspec.Raw(b'{"protocolVersion":3,"info":"in version 3 this is a text"}')
    assert read_initialize(newer, requested=3, selected=2) == v2.InitializeRequest(
        protocol_version=3, info=v2.Implementation(name="unknown", version="unknown")
    )
    odd = msgspec.Raw(b'{"protocolVersion":2,"clientCapabilities":7,"clientInfo":{}}')
    assert read_initialize(odd, requested=2, selected=1) == v1.InitializeRequest(protocol_version=2)


def test_what_does_not_fit_the_version_it_names_is_refused() -> None:
    without_info = msgspec.Raw(b'{"protocolVersion":2}')
    with pytest.raises(RequestError) as refused:
        read_initialize(without_info, requested=2, selected=2)
    assert refused.value.code == -32602
