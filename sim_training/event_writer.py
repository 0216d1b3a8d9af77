"""EventWriter: TensorBoard's file of events; on a full disk all else goes on without it."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from sac_ros.fault import Fault

FOLDER = 'tensorboard'
FLUSH = 20  # [s] until what was added can be seen
RETRY = 60.0  # [s] until a disk that was full is tried again


class EventWriter:
    """Writes numbers and texts, and pauses where they cannot be written."""

    def __init__(self, folder: Path) -> None:
        """Write into a folder of its own in `folder`."""
        self.problem: Fault | None = None  # why nothing is written at present
        self._folder = folder / FOLDER
        self._next_try = 0.0  # [s], on the steady clock
        self._writer: SummaryWriter | None = None
        self.open()

    def open(self) -> None:
        """Begin a file of events, if there is none, unless that has failed just now."""
        if self._writer is not None or time.monotonic() < self._next_try:
            return
        with self._paused_when_full():
            writer = SummaryWriter(str(self._folder), flush_secs=FLUSH)
            writer.flush()
            self._writer, self.problem = writer, None

    def add(self, numbers: Mapping[str, float], step: int) -> None:
        """Add numbers, by their names."""
        with self._paused_when_full():
            for name, value in numbers.items():
                if self._writer is not None:
                    self._writer.add_scalar(name, value, step)

    def add_text(self, name: str, text: str, step: int) -> None:
        """Add a text."""
        with self._paused_when_full():
            if self._writer is not None:
                self._writer.add_text(name, text, step)

    def close(self) -> None:
        """Write what is left."""
        with self._paused_when_full():
            if self._writer is not None:
                self._writer.close()

    @contextlib.contextmanager
    def _paused_when_full(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            self._next_try = time.monotonic() + RETRY
            reason = error.strerror or str(error)
            self.problem = Fault('W_DISK', f'cannot write {self._folder}: {reason}')
