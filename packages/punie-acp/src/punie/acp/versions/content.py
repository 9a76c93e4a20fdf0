"""What both protocol versions say with other types: content, MCP servers, commands, options.

Most of it has the same shape on the wire, so it is read again as the other version's type. What a
version cannot say is left out in what agents tell, and refused in what clients ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from punie.acp.errors import CapabilityError
from punie.acp.methods import decoder
from punie.acp.schema import v1, v2
from punie.acp.schema.reading import write

T = TypeVar("T")


def reread(value: Any, of: type[T]) -> T:
    """Read an object of one version as the type of the other that looks the same on the wire.

    Args:
        value: A wire object.
        of: The other version's type.

    Raises:
        msgspec.ValidationError: They do not look the same after all.
    """
    return decoder(of).decode(write(value))


def block_to_v2(block: v1.ContentBlock) -> v2.ContentBlock:
    """Say a content block with version 2."""
    if isinstance(block, v1.TextContent) and block.annotations is None:
        return v2.TextContent(text=block.text, meta=block.meta)
    return decoder(v2.ContentBlock).decode(write(block))


def block_to_v1(block: v2.ContentBlock) -> v1.ContentBlock:
    """Say a content block with version 1.

    Raises:
        CapabilityError: It is of a kind that version 1 does not have.
    """
    if isinstance(block, v2.TextContent) and block.annotations is None:
        return v1.TextContent(text=block.text, meta=block.meta)
    if isinstance(block, v2.UnknownVariant):
        raise CapabilityError(f"content of type {block.kind!r}")
    return decoder(v1.ContentBlock).decode(write(block))


def servers_to_v1(servers: Iterable[v2.McpServer]) -> list[v1.McpServer]:
    """Say with version 1 which MCP servers a session has.

    Raises:
        CapabilityError: One is of a kind that version 1 does not have.
    """
    return [_server_to_v1(server) for server in servers]


def _server_to_v1(server: v2.McpServer) -> v1.McpServer:
    match server:
        case v2.McpServerStdio():
            env = [v1.EnvVariable(name=one.name, value=one.value) for one in server.env]
            return v1.McpServerStdio(
                name=server.name, command=server.command, args=server.args, env=env
            )
        case v2.McpServerHttp():
            headers = [v1.HttpHeader(name=one.name, value=one.value) for one in server.headers]
            return v1.McpServerHttp(name=server.name, url=server.url, headers=headers)
        case v2.UnknownVariant(kind=kind):
            raise CapabilityError(f"MCP servers of type {kind!r}")


def commands_to_v2(commands: Iterable[v1.AvailableCommand]) -> list[v2.AvailableCommand]:
    """Say with version 2 which slash commands there are."""
    return [
        v2.Command(
            name=command.name,
            description=command.description,
            input=None
            if command.input is None
            else v2.TextCommandInput(hint=command.input.hint, meta=command.input.meta),
            meta=command.meta,
        )
        for command in commands
    ]


def options_to_v2(options: Iterable[v1.SessionConfigOption]) -> list[v2.SessionConfigOption]:
    """Say config options with version 2; a select without values is left out."""
    return [
        _option_to_v2(option)
        for option in options
        if isinstance(option, v1.SessionConfigBoolean) or option.options
    ]


def _option_to_v2(option: v1.SessionConfigOption) -> v2.SessionConfigOption:
    if isinstance(option, v1.SessionConfigBoolean):
        return v2.SessionConfigBoolean(
            config_id=option.id,
            name=option.name,
            current_value=option.current_value,
            description=option.description,
            category=option.category,
            meta=option.meta,
        )
    return v2.SessionConfigSelect(
        config_id=option.id,
        name=option.name,
        current_value=option.current_value,
        options=[_item_to_v2(item) for item in option.options],
        description=option.description,
        category=option.category,
        meta=option.meta,
    )


def _item_to_v2(item: v1.SessionConfigSelectItem) -> v2.SessionConfigSelectItem:
    return v2.SessionConfigSelectItem(
        name=item.name,
        value=item.value,
        description=item.description,
        group_id=item.group,
        options=None if item.options is None else [_item_to_v2(inner) for inner in item.options],
        meta=item.meta,
    )


def mode_option(modes: v1.SessionModeState, *, config_id: str) -> v2.SessionConfigSelect:
    """Say modes as the config option that they are in version 2.

    Args:
        modes: At least one.
        config_id: What the option is called.
    """
    return v2.SessionConfigSelect(
        config_id=config_id,
        name="Mode",
        category="mode",
        current_value=modes.current_mode_id,
        options=[
            v2.SessionConfigSelectOption(
                value=mode.id, name=mode.name, description=mode.description
            )
            for mode in modes.available_modes
        ],
    )
