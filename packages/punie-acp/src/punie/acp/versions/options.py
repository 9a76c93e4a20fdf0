"""Config options, modes and slash commands of version 1 in the words of version 2."""

from __future__ import annotations

from collections.abc import Iterable

from punie.acp.schema import v1, v2


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
