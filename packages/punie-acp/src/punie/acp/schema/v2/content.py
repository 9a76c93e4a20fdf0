"""Content blocks: what messages and tool results are made of.

https://agentclientprotocol.com/protocol/v2/content
"""

# pyright: reportGeneralTypeIssues=false
# Variants make fields of the received type required; the check is about positional dataclasses,
# and every field here is keyword-only.

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta

from punie.acp.schema._base import OnError, Uint, Wire
from punie.acp.schema.v2._base import UnknownVariant

Role: TypeAlias = Literal["assistant", "user"] | str
IconTheme: TypeAlias = Literal["light", "dark"] | str


class Annotations(Wire, frozen=True, kw_only=True):
    """Hints on how a block is to be used or shown."""

    audience: list[Role] | None = None
    last_modified: str | None = None
    """ISO 8601."""
    priority: Annotated[float, Meta(ge=0, le=1)] | None = None


class TextContent(Wire, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Plain text or Markdown. Every peer takes it."""

    text: str
    annotations: Annotations | None = None


class ImageContent(Wire, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """A picture; in a prompt it needs the capability `session.prompt.image`."""

    data: str
    """Base64."""
    mime_type: str
    uri: str | None = None
    annotations: Annotations | None = None


class AudioContent(Wire, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """Sound; in a prompt it needs the capability `session.prompt.audio`."""

    data: str
    """Base64."""
    mime_type: str
    annotations: Annotations | None = None


class Icon(Wire, frozen=True, kw_only=True):
    """A picture for a resource in a user interface."""

    src: str
    """A URI."""
    mime_type: str | None = None
    sizes: list[str] | None = None
    """Such as `48x48`, or `any`."""
    theme: IconTheme | None = None


class ResourceLink(Wire, frozen=True, kw_only=True, tag_field="type", tag="resource_link"):
    """A resource the receiver may be able to read itself. Every peer takes it."""

    name: str
    uri: str
    title: str | None = None
    description: str | None = None
    icons: list[Icon] | None = None
    mime_type: str | None = None
    size: Uint | None = None
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
    """A resource with its contents; a prompt needs `session.prompt.embeddedContext` for it."""

    resource: EmbeddedResourceResource
    annotations: Annotations | None = None


ContentBlock: TypeAlias = (
    TextContent | ImageContent | AudioContent | ResourceLink | EmbeddedResource | UnknownVariant
)
