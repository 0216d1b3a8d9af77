"""The command line of a command: what somebody would type to get this dataclass."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def command_words(name: str, command: 'DataclassInstance') -> list[str]:
    """Return the words behind `sac-ros`: name, first field, and what is not at its default."""
    first, *rest = dataclasses.fields(command)
    return [name, str(getattr(command, first.name)), *_flags(command, rest, prefix='')]


def _flags(
    options: 'DataclassInstance', fields: 'list[dataclasses.Field[object]]', prefix: str
) -> Iterator[str]:
    for field in fields:
        value = getattr(options, field.name)
        name = field.name.replace('_', '-')
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _flags(value, list(dataclasses.fields(value)), f'{prefix}{name}.')
        elif value != _default(field):
            yield from _flag(prefix, name, value)


def _flag(prefix: str, name: str, value: object) -> Iterator[str]:
    flag = f'--{prefix}{name}'
    if isinstance(value, bool):
        yield flag if value else f'--{prefix}no-{name}'
    elif isinstance(value, tuple):
        yield from (flag, *map(str, value))
    elif str(value).startswith('-'):
        yield f'{flag}={value}'  # apart, it could be taken for a flag
    else:
        yield from (flag, str(value))


def _default(field: 'dataclasses.Field[object]') -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
