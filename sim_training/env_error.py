"""What an env raises, told in one line: it is somebody else's program and may raise anything."""

import contextlib
import reprlib
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sac_ros.errors import UserError
from sim_training.stop_signals import Terminated


class EnvError(UserError):
    """An env that broke down, and how, in one line."""


@contextlib.contextmanager
def told_errors(begin: str = '') -> Iterator[None]:
    """Turn what an env raises in this block into an EnvError: `begin`, then what and where.

    An env that calls sys.exit has broken down as well: it must not end the program in silence.
    """
    try:
        yield
    except (UserError, Terminated):  # our own
        raise
    except (Exception, SystemExit) as error:
        raise EnvError(f'{begin}the env raised {raised(error)} ({_where(error)})') from error


def raised(error: BaseException) -> str:
    """Return kind and text of an exception in one line."""
    text = ' '.join(str(error).split())
    return f'{type(error).__name__}: {text}' if text else type(error).__name__


def reward_number(reward: object) -> float:
    """Return the reward of an env as a number.  Raises EnvError when it is none."""
    found = reward.item() if isinstance(reward, np.ndarray) and reward.size == 1 else reward
    try:
        if isinstance(found, str | bytes):  # float() would read '1'
            raise TypeError
        return float(found)  # type: ignore[arg-type]  # whether it can is the question
    except (TypeError, ValueError, OverflowError) as error:
        shown = ' '.join(reprlib.repr(reward).split())
        raise EnvError(
            f'reward is {shown} ({type(reward).__name__}); one number that is finite in float32 '
            'is needed'
        ) from error


def _where(error: BaseException) -> str:
    """Return file and line that raised it, or that called exit(), which is in one of Python's."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = [frame for frame in frames if '_sitebuiltins' not in frame.filename][-1]
    return f'{Path(frame.filename).name}:{frame.lineno}'
