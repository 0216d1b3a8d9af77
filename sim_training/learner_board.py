"""LearnerBoard: TensorBoard of a learner, over the time of the robot that it has learned from."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from sac_ros.fault import Fault

FOLDER = 'tensorboard'
PERIOD = 5.0  # [s] from one row of numbers to the next
FLUSH = 20  # [s] until what was added can be seen
RETRY = 60.0  # [s] until a disk that was full is tried again


class LearnerBoard:
    """Shows returns, decisions and the numbers of the updates; on a full disk it pauses."""

    def __init__(self, folder: Path, dt: float) -> None:
        """Write into the folder of a learner; `dt` [s] is one transition of the robot."""
        self.problem: Fault | None = None  # why nothing is written at present
        self.transitions = 0  # of the robot, that were learned from
        self._folder = folder / FOLDER
        self._dt = dt
        self._next_row = self._next_try = 0.0
        self._writer: SummaryWriter | None = None
        self._open()

    def add_episode(self, reward_sum: float, length: int) -> None:
        """Show an episode that has ended: its return and how many transitions it had."""
        self._add({'episode/return': reward_sum, 'episode/length': length})

    def add_decision(self, text: str) -> None:
        """Show what was decided on a candidate."""
        with self._paused_when_full():
            if self._writer is not None:
                self._writer.add_text('decisions', text, self._second())

    def add_row(self, numbers: Mapping[str, float]) -> None:
        """Show the newest numbers of the learner, at most every PERIOD seconds."""
        if time.monotonic() >= self._next_row:
            self._next_row = time.monotonic() + PERIOD
            if self._writer is None and time.monotonic() >= self._next_try:
                self._open()
            self._add(numbers)

    def close(self) -> None:
        """Write what is left."""
        with self._paused_when_full():
            if self._writer is not None:
                self._writer.close()

    def _open(self) -> None:
        """Begin a file of events, or go on without one."""
        with self._paused_when_full():
            writer = SummaryWriter(str(self._folder), flush_secs=FLUSH)
            writer.flush()
            self._writer, self.problem = writer, None

    def _add(self, numbers: Mapping[str, float]) -> None:
        with self._paused_when_full():
            for name, value in numbers.items():
                if self._writer is not None:
                    self._writer.add_scalar(name, value, self._second())

    def _second(self) -> int:
        """Return the time of the robot [s]."""
        return round(self.transitions * self._dt)

    @contextlib.contextmanager
    def _paused_when_full(self) -> Iterator[None]:
        """Go on without TensorBoard when it cannot be written."""
        try:
            yield
        except OSError as error:
            self._writer = None
            self._next_try = time.monotonic() + RETRY
            reason = error.strerror or str(error)
            self.problem = Fault('W_DISK', f'cannot write {self._folder}: {reason}')
