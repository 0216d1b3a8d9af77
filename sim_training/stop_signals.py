"""Ctrl-C and SIGTERM as a question that a loop asks, so that a step is never cut in two."""

import signal
from types import FrameType


class StopSignals:
    """While the `with` block runs, SIGINT and SIGTERM are noted and nothing else happens."""

    def __init__(self) -> None:
        self.received: int | None = None  # number of the first signal

    def __call__(self) -> bool:
        """Tell whether a signal has asked for a stop."""
        return self.received is not None

    def __enter__(self) -> 'StopSignals':
        self._previous = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
