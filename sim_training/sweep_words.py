"""The command line of a command: what somebody would type to get this dataclass."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def command_words(name: str, command: 'DataclassInstance') -> list[str]:
    """Return the words behind `sac-ros`: name, first field, and what is not at its default."""
    first, *rest = dataclasses.fields(command)
    defaults: dict[str, object] = {field.name: _default(field) for field in rest}
    words = [word for field in rest for word in _words(command, field.name, defaults)]
    if hasattr(command, 'defaults'):  # they depend on words: --preset, the task
        defaults |= command.defaults([str(getattr(command, first.name)), *words])
        words = [word for field in rest for word in _words(command, field.name, defaults)]
    return [name, str(getattr(command, first.name)), *words]


def _words(
    options: 'DataclassInstance', name: str, defaults: Mapping[str, object], prefix: str = ''
) -> Iterator[str]:
    """Return the words of one option, of all in it if it is a group, unless at the default."""
    value, default = getattr(options, name), defaults[name]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: getattr(default, field.name) for field in dataclasses.fields(value)}
        for each in inner:
            yield from _words(value, each, inner, f'{prefix}{name}.')
    elif value != default:
        yield from _flag(prefix, name.replace('_', '-'), value)


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
