"""ModelError: why a model is refused, as a code for machines and one line for people."""

from collections.abc import Iterator
from contextlib import contextmanager

from sac_ros.errors import UserError
from sac_ros.fault import Fault

MAX_TEXT = 1000  # [characters] of one refusal: names inside a model are whatever its maker chose


class ModelError(UserError):
    """A model that cannot be used, and why, in one line that is safe to print."""

    def __init__(self, text: str, code: str) -> None:
        """Escape what is not printable in `text`, so that no model can write to a terminal."""
        line = one_line(text)
        super().__init__(line if len(line) <= MAX_TEXT else f'{line[: MAX_TEXT - 3]}...')
        self.code = Fault(code, line).code  # a key of sac_ros.fault.CODES


@contextmanager
def about(where: str) -> Iterator[None]:
    """Put the name of a model before what is said about it inside the `with` block."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f'{where} {error}', error.code) from error


def one_line(text: str) -> str:
    """Return `text` with every character escaped that would end the line or steer a terminal."""
    return ''.join(each if each.isprintable() else repr(each)[1:-1] for each in text)
