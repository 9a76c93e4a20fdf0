"""What the official Python SDK writes is read here, and the reverse. Needs no schema file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from punie.acp.schema import v1

official = pytest.importorskip("acp.schema", reason="the official Python SDK is not installed")

# The SDK calls some variants otherwise, and is older than the schema.
OTHER_NAMES = {
    "TextContent": "TextContentBlock",
    "ImageContent": "ImageContentBlock",
    "AudioContent": "AudioContentBlock",
    "ResourceLink": "ResourceContentBlock",
    "EmbeddedResource": "EmbeddedResourceContentBlock",
    "ToolCall": "ToolCallStart",
    "ToolCallUpdate": "ToolCallProgress",
    "ToolCallPatch": "ToolCallUpdate",
    "Plan": "AgentPlanUpdate",
    "Content": "ContentToolCallContent",
    "Diff": "FileEditToolCallContent",
    "Terminal": "TerminalToolCallContent",
    "SelectedPermissionOutcome": "AllowedOutcome",
    "CancelledPermissionOutcome": "DeniedOutcome",
    "McpServerHttp": "HttpMcpServer",
    "McpServerSse": "SseMcpServer",
    "SessionConfigSelect": "SessionConfigOptionSelect",
    "SessionConfigBoolean": "SessionConfigOptionBoolean",
}

# Split otherwise there, by session and request.
SPLIT = (v1.ElicitationFormMode, v1.ElicitationUrlMode)
NEWER = (v1.Notice, v1.CompactionUpdate, v1.CompactionSummaryChunk)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.generate],  # to shrink objects this deep takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_the_official_sdk_reads_what_is_written_here_and_writes_it_back(
    wire_type: type[Struct],
    wire_objects: Callable[[type[Struct]], st.SearchStrategy[Any]],
    data: st.DataObject,
) -> None:
    model = getattr(official, OTHER_NAMES.get(wire_type.__name__, wire_type.__name__), None)
    if wire_type in SPLIT or model is None or not hasattr(model, "model_validate_json"):
        pytest.skip("the official SDK has no such model")
    value = data.draw(wire_objects(wire_type))
    assume(not isinstance(getattr(value, "update", None), NEWER))
    sent = msgspec.json.encode(value)
    theirs = model.model_validate_json(sent)
    back = theirs.model_dump_json(by_alias=True, exclude_unset=True)
    read = msgspec.json.decode(back, type=wire_type)
    assert contains(msgspec.json.decode(sent), msgspec.json.decode(msgspec.json.encode(read)))


def test_most_types_are_compared() -> None:
    names = [OTHER_NAMES.get(name, name) for name in v1.__all__]
    assert sum(hasattr(official, name) for name in names) > 80


def contains(whole: Any, part: Any) -> bool:
    """Whether `part` lacks at most keys of objects that `whole` has."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part
