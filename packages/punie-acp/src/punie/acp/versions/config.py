"""Config options of version 2 for clients of version 1, and the modes that version 1 has beside them.

A mode is a config option of the category `mode` in version 2. Clients of version 1 get both the
option and the modes, and may use either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from punie.acp.schema import v1, v2

MODE = "mode"
MODEL = "model"


def options_to_v1(
    options: Iterable[v2.SessionConfigOption], *, booleans: bool
) -> list[v1.SessionConfigOption]:
    """Write config options.

    Args:
        options: The complete list.
        booleans: Whether the client shows switches; without that they are left out.
    """
    written: list[v1.SessionConfigOption] = []
    for option in options:
        if isinstance(option, v2.SessionConfigSelect):
            written.append(_select(option))
        elif isinstance(option, v2.SessionConfigBoolean) and booleans:
            written.append(
                v1.SessionConfigBoolean(
                    id=option.config_id,
                    name=option.name,
                    description=option.description,
                    category=option.category,
                    current_value=option.current_value,
                    meta=option.meta,
                )
            )
    return written


def modes_to_v1(options: Iterable[v2.SessionConfigOption]) -> v1.SessionModeState | None:
    """Derive the modes from the option of the category `mode`; `None` when there is none."""
    option = of_category(options, MODE)
    if option is None:
        return None
    return v1.SessionModeState(
        current_mode_id=option.current_value,
        available_modes=[
            v1.SessionMode(id=item.value, name=item.name, description=item.description)
            for item in _choices(option.options)
            if item.value is not None
        ],
    )


def of_category(
    options: Iterable[v2.SessionConfigOption], category: str
) -> v2.SessionConfigSelect | None:
    """Find the select of a category."""
    for option in options:
        if isinstance(option, v2.SessionConfigSelect) and option.category == category:
            return option
    return None


def set_option_to_v2(
    params: v1.SetSessionConfigOptionRequest,
) -> v2.SetSessionConfigOptionRequest:
    """Write `session/set_config_option` for version 2."""
    return v2.SetSessionConfigOptionRequest(
        session_id=params.session_id,
        config_id=params.config_id,
        type="boolean" if isinstance(params.value, bool) else "id",
        value=params.value,
        meta=params.meta,
    )


def _select(option: v2.SessionConfigSelect) -> v1.SessionConfigSelect:
    return v1.SessionConfigSelect(
        id=option.config_id,
        name=option.name,
        description=option.description,
        category=option.category,
        current_value=option.current_value,
        options=[_item(item) for item in option.options],
        meta=option.meta,
    )


def _item(item: v2.SessionConfigSelectItem) -> v1.SessionConfigSelectItem:
    return v1.SessionConfigSelectItem(
        name=item.name,
        value=item.value,
        description=item.description,
        group=item.group_id,
        options=None if item.options is None else [_item(one) for one in item.options],
        meta=item.meta,
    )


def _choices(
    items: Sequence[v2.SessionConfigSelectItem],
) -> Iterator[v2.SessionConfigSelectItem]:
    for item in items:
        if item.options is None:
            yield item
        else:
            yield from _choices(item.options)
