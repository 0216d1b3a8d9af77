"""What an env raises, told in one line: it is somebody else's program and may raise anything."""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

from sac_ros.errors import UserError


class EnvError(UserError):
    """An env that broke down, and how, in one line."""


@contextlib.contextmanager
def told_errors() -> Iterator[None]:
    """Turn what an env raises in this block into an EnvError that says what and where."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{Path(frame.filename).name}:{frame.lineno}'
        raise EnvError(f'the env raised {raised(error)} ({where})') from error


def raised(error: Exception) -> str:
    """Return kind and text of an exception in one line."""
    return ' '.join(f'{type(error).__name__}: {error}'.split())
