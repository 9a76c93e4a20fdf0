"""From the content blocks of a prompt to the text that a model reads."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never
from urllib.parse import unquote, urlsplit

from punie.acp.errors import RequestError
from punie.acp.schema import v2


def prompt_text(blocks: list[v2.ContentBlock], *, root: Path) -> str:
    """Write a prompt as text.

    Links become paths that the file tools take; embedded texts are quoted with their path.

    Args:
        blocks: As the client sent them.
        root: The session's folder; paths below it are written relative to it.

    Raises:
        RequestError: A block cannot be read, such as a picture.
    """
    inline: list[str] = []
    quoted: list[str] = []
    for index, block in enumerate(blocks):
        match block:
            case v2.TextContent(text=text):
                inline.append(text)
            case v2.ResourceLink(uri=uri):
                inline.append(f"`{place(uri, root)}`")
            case v2.EmbeddedResource(resource=resource):
                inline.append(f"`{place(resource.uri, root)}`")
                quoted.append(_quote(resource, root, index))
            case v2.ImageContent() | v2.AudioContent():
                raise _refused(index, "this agent reads text: it takes no images and no sound")
            case v2.UnknownVariant():
                raise _refused(index, "this agent does not know such blocks")
            case _ as never:
                assert_never(never)
    text = "".join(inline)
    if not text.strip():
        raise _refused(None, "the prompt is empty")
    return "\n\n".join([text, *quoted])


def place(uri: str, root: Path) -> str:
    """Turn a `file:` URI into a path as tools take it; other URIs stay.

    Args:
        uri: As the client wrote it.
        root: The session's folder.
    """
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = Path(unquote(parts.path))
    for base in (root, root.resolve()):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def _quote(resource: v2.EmbeddedResourceResource, root: Path, index: int) -> str:
    if resource.text is None:
        raise _refused(index, "this agent reads text: it takes no binary resources")
    return f"`{place(resource.uri, root)}` holds:\n\n```\n{resource.text}\n```"


def _refused(index: int | None, reason: str) -> RequestError:
    path = "$.prompt" if index is None else f"$.prompt[{index}]"
    return RequestError.invalid_params(reason, path=path)
