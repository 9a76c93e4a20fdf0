"""From the content blocks of a prompt to the text and the images that a model is given.

A block that Punie cannot give to any model is named in its place: a prompt is not lost for what came
with it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import mimetypes
import re
from pathlib import Path
from typing import NamedTuple, assert_never
from urllib.parse import unquote, urlsplit

from punie.acp.errors import RequestError
from punie.acp.schema import v2
from punie.agent.events import ImageContent
from punie.agent.markdown import fenced
from punie.agent.workspaces.base import Workspace

LARGEST = 10 * 1024 * 1024
"""Bytes of an image; services take no larger ones."""
IMAGES = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8[79]a",
    "image/webp": rb"RIFF....WEBP",
}
"""What models that see images take, and how such a file begins: a service refuses anything else, and with it
every later request of the conversation."""


class Asked(NamedTuple):
    """A prompt as a session takes it."""

    text: str
    images: tuple[ImageContent, ...] = ()


async def read_prompt(blocks: list[v2.ContentBlock], workspace: Workspace) -> Asked:
    """Read a prompt.

    Links become paths that the file tools take, and a link to an image in the session's folders
    becomes the image; embedded texts are quoted with their path.

    Args:
        blocks: As the client sent them.
        workspace: The session's.

    Raises:
        RequestError: The prompt is empty.
    """
    reading = _Reading(workspace)
    for block in blocks:
        await reading.add(block)
    text = "".join(reading.inline)
    if not text.strip() and not reading.images:
        raise RequestError.invalid_params("the prompt is empty", path="$.prompt")
    return Asked("\n\n".join(filter(None, [text, *reading.quoted])), tuple(reading.images))


def place(uri: str, workspace: Workspace) -> str:
    """Turn a `file:` URI into a path as tools take it; other URIs stay.

    Args:
        uri: As the client wrote it.
        workspace: The session's; a path in its folder is written relative to that.
    """
    path = _path(uri)
    if path is None:
        return uri
    for named in (path, workspace.resolve(str(path))):
        if named.is_relative_to(workspace.root):
            return named.relative_to(workspace.root).as_posix()
    return str(path)


def _path(uri: str) -> Path | None:
    try:
        parts = urlsplit(uri)
    except ValueError:  # such as half an address in brackets
        return None
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


class _Reading:
    """The parts of one prompt."""

    def __init__(self, workspace: Workspace) -> None:
        self.inline: list[str] = []
        self.quoted: list[str] = []
        self.images: list[ImageContent] = []
        self._workspace = workspace

    async def add(self, block: v2.ContentBlock) -> None:
        match block:
            case v2.TextContent(text=text):
                self.inline.append(text)
            case v2.ResourceLink(uri=uri):
                self.inline.append(f"`{place(uri, self._workspace)}`")
                await self._linked_image(uri, block.mime_type)
            case v2.EmbeddedResource(resource=resource):
                self.inline.append(f"`{place(resource.uri, self._workspace)}`")
                self._resource(resource)
            case v2.ImageContent():
                self._image(block.data, block.mime_type, block.uri or "")
            case v2.AudioContent():
                self.inline.append("[sound, which no model here hears, was left out]")
            case v2.UnknownVariant(kind=kind):
                self.inline.append(f"[{kind!r}, which Punie does not know, was left out]")
            case _ as never:
                assert_never(never)

    def _resource(self, resource: v2.EmbeddedResourceResource) -> None:
        where = place(resource.uri, self._workspace)
        text = resource.text
        if text is None and resource.mime_type in IMAGES:
            self._image(resource.blob or "", resource.mime_type or "", resource.uri)
            return
        if text is None:
            text = _decoded(resource.blob or "")
        if text is None:
            what = resource.mime_type or "no text"
            self.quoted.append(f"`{where}` is {what}: its content was left out.")
        else:
            self.quoted.append(f"`{where}` holds:\n\n{fenced(text)}")

    def _image(self, data: str, mime_type: str, uri: str) -> None:
        size = _size(data)
        if size is None or not _is_image(data, mime_type):
            self.inline.append(f"[an image that cannot be read ({mime_type}) was left out]")
        elif size > LARGEST:
            self.inline.append(
                f"[an image of {size / 1e6:.1f} MB, which is too large, was left out]"
            )
        else:
            self.images.append(ImageContent(data=data, mime_type=mime_type, uri=uri))

    async def _linked_image(self, uri: str, mime_type: str | None) -> None:
        """Read an image of the session's own folders; what lies elsewhere is only named."""
        path = _path(uri)
        kind = mime_type or mimetypes.guess_type(uri)[0]
        if path is None or kind not in IMAGES:
            return
        resolved = self._workspace.resolve(str(path))
        if self._workspace.contains(resolved):
            data = await asyncio.to_thread(_bytes, resolved)
            if data is not None:
                self._image(base64.b64encode(data).decode(), kind or "", uri)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= LARGEST else None
    except OSError:
        return None  # It stays named, and a tool says what is wrong with it.


def _size(data: str) -> int | None:
    try:
        return len(base64.b64decode(data, validate=True)) or None
    except (binascii.Error, ValueError):
        return None


def _is_image(data: str, mime_type: str) -> bool:
    begin = IMAGES.get(mime_type)
    return begin is not None and bool(re.match(begin, base64.b64decode(data[:32]), re.DOTALL))


def _decoded(blob: str) -> str | None:
    """Read bytes as text, if they are some."""
    try:
        text = base64.b64decode(blob, validate=True).decode()
    except ValueError:
        return None
    return None if "\0" in text else text
