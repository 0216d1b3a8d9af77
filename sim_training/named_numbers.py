"""Words `name=number`, as in panda_joint4=0.6: on command lines and in ROS parameters."""

from collections.abc import Iterable, Mapping

from sac_ros.errors import UserError


def numbers_by_name(words: Iterable[str]) -> dict[str, float]:
    """Return {'panda_joint4': 0.6} for the word 'panda_joint4=0.6'.  Raises UserError."""
    numbers: dict[str, float] = {}
    for word in words:
        name, _, number = word.partition('=')
        if name in numbers:
            raise UserError(f"'{name}' is given twice; once is allowed")
        try:
            numbers[name] = float(number) if name else float('')
        except ValueError:
            raise UserError(f"'{word}' is not name=number, such as panda_joint4=0.6") from None
    return numbers


def named_words(numbers: Mapping[str, float]) -> list[str]:
    """Return the words from which `numbers_by_name` makes `numbers`."""
    return [f'{name}={number}' for name, number in numbers.items()]
