"""Which version is spoken, and who is refused."""

from __future__ import annotations

import pytest

from punie.acp.methods import METHODS
from punie.acp.versions import SUPPORTED, negotiate


@pytest.mark.parametrize("requested", [0, 1, 2, 65535])
def test_version_1_is_the_answer_to_everybody(requested: int) -> None:
    assert negotiate(requested) == 1


def test_what_is_supported_is_what_connections_route() -> None:
    assert {method.version for method in METHODS} == set(SUPPORTED)
