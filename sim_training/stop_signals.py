"""Signals to stop as a question that a loop asks, so that a step is never cut in two."""

import contextlib
import os
import signal
import time
from types import FrameType

from sac_ros.end_signals import heard

# Ctrl-C, `kill`, a terminal that is closed (or a lost ssh connection)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# [s]; signals that come closer are one wish: a terminal and a parent each send theirs.
TOGETHER = 1.0


class Terminated(SystemExit):
    """SIGTERM or SIGHUP has ended what was under way, and nobody has been told yet."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        self.status = 128 + number
        super().__init__(self.status)


class StopSignals:
    """While the `with` block runs, the first of SIGNALS is noted and nothing else happens.

    The loop may wait for what never comes: another signal, later, ends the process at once.  Not
    SIGHUP, which may follow a Ctrl-C while that is still being saved; and under `nohup` it stays
    ignored.
    """

    def __init__(self) -> None:
        self.received: int | None = None  # number of the first signal
        self._received_at = 0.0  # [s], on the steady clock

    def __call__(self) -> bool:
        """Tell whether a signal has asked for a stop."""
        return self.received is not None

    def raise_if_received(self) -> None:
        """End what is under way: KeyboardInterrupt after a Ctrl-C, Terminated after the others."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        if self.received is not None:
            raise Terminated(self.received)

    def __enter__(self) -> 'StopSignals':
        self._previous = {number: signal.signal(number, self._note) for number in heard(SIGNALS)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self._received_at = number, now
        elif number != signal.SIGHUP and now - self._received_at > TOGETHER:
            _end(number)


def _end(number: int) -> None:
    """End this process with a line and 128 + the signal, whatever it is in the middle of."""
    # On a terminal there may be a progress bar, which hides the cursor.
    begin = '\n\x1b[?25h' if os.isatty(2) else ''
    line = (
        f'{begin}ended at once by a second signal ({signal.Signals(number).name}): nothing more '
        'is saved; what was saved before stays\n'
    )
    with contextlib.suppress(OSError):  # nobody reads it
        os.write(2, line.encode())  # not print, which may be what was interrupted
    os._exit(128 + number)
