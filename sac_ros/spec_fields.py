"""The numbers, names and lists in a contract, each with its check: field types for pydantic."""

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

PerElement = float | tuple[float, ...]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'is {shown(value)}; a number is needed')
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the floats
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f'is {number}; a finite number is needed')
    return number


def _limit(value: object) -> float:
    """Accept a number above 0 or infinity, which JSON can only hold as the text `.inf`."""
    number = math.inf if value in ('.inf', math.inf) else _number(value)
    if not number > 0.0:
        raise ValueError(f'is {value}; a number above 0 is needed (.inf for no limit)')
    return number


def _each(check: Callable[[object], float], value: object) -> PerElement:
    """Check one number, or a list with one number for each element."""
    if isinstance(value, list | tuple):
        return tuple(check(element) for element in value)
    return check(value)


def _stop(value: object) -> str | tuple[float, ...]:
    if value in ('hold', 'zero'):
        return str(value)
    if isinstance(value, list | tuple):
        return tuple(_number(element) for element in value)
    raise ValueError(f"is {shown(value)}; 'hold', 'zero' or a list of numbers is needed")


def _version(value: object) -> object:
    if type(value) is not int or value != 1:  # True and 1.0 are equal to 1 too
        raise ValueError(f'is {shown(value)}; this sac_ros reads 1')
    return value


def _topic_name(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(TOPIC_NAME, value):
        raise ValueError(f'is {shown(value)}; a relative ROS name is needed, like arm/goal')
    return value


def shown(value: object) -> str:
    """Return a value for an error: in one line, and not all of a long one."""
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


# A name in one line, for messages and tables: nothing that steers a terminal, or shows the text
# in another order than it is.
_STEERING = r'\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff'
Name = Annotated[
    str, Field(strict=True, min_length=1, max_length=255, pattern=rf'^[^{_STEERING}]+$')
]
# Relative, or private to the node (`~/`): an absolute name could not be put into a namespace.
TOPIC_NAME = r'^(~/)?[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*$'
TopicName = Annotated[Name, Field(pattern=TOPIC_NAME), BeforeValidator(_topic_name)]
Version = Annotated[Literal[1], BeforeValidator(_version)]
Number = Annotated[float, BeforeValidator(_number)]
Limit = Annotated[float, BeforeValidator(_limit)]
Numbers = Annotated[PerElement, BeforeValidator(partial(_each, _number))]
Limits = Annotated[PerElement, BeforeValidator(partial(_each, _limit))]
Stop = Annotated[Literal['hold', 'zero'] | tuple[float, ...], BeforeValidator(_stop)]
Axis = Literal['linear.x', 'linear.y', 'linear.z', 'angular.x', 'angular.y', 'angular.z']
