"""Content blocks: what messages and tool results are made of.

https://agentclientprotocol.com/protocol/content
"""

# pyright: reportGeneralTypeIssues=false
# Variants make fields of the received type required; the check is about positional dataclasses,
# and every field here is keyword-only.

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from punie.acp.schema._base import OnError, Wire

Role: TypeAlias = Literal["assistant", "user"]


class Annotations(Wire, frozen=True, kw_only=True):
    """Hints on how a block is to be used or shown."""

    audience: list[Role] | None = None
    last_modified: str | None = None
    priority: float | None = None


class TextContent(Wire, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Plain text or Markdown. Every peer takes it."""

    text: str
    annotations: Annotations | None = None


class ImageContent(Wire, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """A picture; needs the prompt capability `image`."""

    data: str
    """Base64."""
    mime_type: str
    uri: str | None = None
    annotations: Annotations | None = None


class AudioContent(Wire, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """Sound; needs the prompt capability `audio`."""

    data: str
    """Base64."""
    mime_type: str
    annotations: Annotations | None = None


class ResourceLink(Wire, frozen=True, kw_only=True, tag_field="type", tag="resource_link"):
    """A resource the agent can fetch itself. Every peer takes it."""

    name: str
    uri: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    """Bytes."""
    annotations: Annotations | None = None


class EmbeddedResourceResource(Wire, frozen=True, kw_only=True):
    """The contents of a resource, as received: `text` or `blob` is set.

    To send one, build `TextResourceContents` or `BlobResourceContents`. The schema tells them
    apart by which field is there, which no typed union can do, so one type receives both.
    """

    on_error: ClassVar[dict[str, OnError]] = {"text": "raise", "blob": "raise"}

    uri: str
    mime_type: str | None = None
    text: str | None = None
    blob: str | None = None


class TextResourceContents(EmbeddedResourceResource, frozen=True, kw_only=True):
    """A resource that is text."""

    text: str


class BlobResourceContents(EmbeddedResourceResource, frozen=True, kw_only=True):
    """A resource that is bytes, in base64."""

    blob: str


class EmbeddedResource(Wire, frozen=True, kw_only=True, tag_field="type", tag="resource"):
    """A resource with its contents; needs the prompt capability `embeddedContext`."""

    resource: EmbeddedResourceResource
    annotations: Annotations | None = None


ContentBlock: TypeAlias = (
    TextContent | ImageContent | AudioContent | ResourceLink | EmbeddedResource
)
