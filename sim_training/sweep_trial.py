"""The training of a trial: a process that trains in the trial's folder, and what is seen of it.

`python -m sim_training.sweep_trial FOLDER train TASK ...` is that process: `sac-ros train` in a
folder in which there may be a run already.
"""

import fcntl
import math
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sim_training import stop_signals
from sim_training.checkpoint import has_checkpoint
from sim_training.child_process import ChildProcess
from sim_training.cli import run
from sim_training.progress_table import CSV, read_rows
from sim_training.run_folder import LOCK
from sim_training.sweep_words import command_words
from sim_training.train_command import TrainCommand

EVALUATION = 'evaluation/return'  # the column of the table of a run
FREE_TIMEOUT = 120.0  # [s] for a training to save, of which nobody looks after any more
POLL_PERIOD = 0.1  # [s]


@dataclass(frozen=True)
class Look:
    """What is seen of a training."""

    evaluations: Mapping[int, float] = field(default_factory=dict)  # step -> return
    status: int | None = None  # exit status of its process, minus the signal; None: it runs
    last_line: str = 'nothing'  # that it has printed


class Training(Protocol):
    """A training that was started, wherever it runs."""

    def look(self) -> Look:
        """Return what is seen of it now, without waiting."""

    def stop(self) -> None:
        """Ask it to save and to end, without waiting."""

    def close(self) -> None:
        """End it, if it still runs."""


class LocalTraining(ChildProcess):
    """A training in a process of this machine; it begins, or goes on, when this is made."""

    def __init__(self, command: TrainCommand) -> None:
        words = command_words('train', command)
        super().__init__('sim_training.sweep_trial', [str(command.folder), *words], os.environ)
        self._folder = command.folder

    def look(self) -> Look:
        """Return what its table says, and whether it runs."""
        status = self._process.poll()  # first: what it wrote before its end is in the table then
        return Look(read_evaluations(self._folder), status, self.last_line())

    def stop(self) -> None:
        """Ask it to save and to end."""
        self._send(signal.SIGTERM)

    def close(self) -> None:
        """End it, in some seconds at the latest."""
        self.__exit__(None, None, None)


def read_evaluations(folder: Path) -> dict[int, float]:
    """Return the evaluations in the table of a run, step -> return; none if there is no table."""
    rows = read_rows(folder / CSV)
    return {int(row['step']): row[EVALUATION] for row in rows if EVALUATION in row}


def main(arguments: Sequence[str]) -> int:
    """Train in a folder, in which an earlier training of this trial may have saved."""
    # What Ray starts begins deaf to Ctrl-C, which is also what tells that the worker has died.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    name, *words = arguments
    folder = Path(name)
    _wait_until_free(folder)
    return run([*words, '--resume'] if has_checkpoint(folder) else words, sys.stdout)


def _wait_until_free(folder: Path) -> None:
    """Wait for a training there that is saving, since the sweep that it was of has been killed."""
    deadline = time.monotonic() + FREE_TIMEOUT
    while _is_held(folder / LOCK) and time.monotonic() < deadline:
        time.sleep(POLL_PERIOD)


def _is_held(lock: Path) -> bool:
    try:
        with lock.open('r+') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or what is wrong is said by the training
        return False
    return False


if __name__ == '__main__':
    # The sweep, its machine and the kernel may all ask, at any time: saving goes on.
    stop_signals.TOGETHER = math.inf
    sys.exit(main(sys.argv[1:]))
