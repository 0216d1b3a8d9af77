"""Standard error that never waits, for a robot, and one that never fails, for a training.

ROS writes its log while it holds Python's interpreter lock.  When the terminal is stopped
(Ctrl-S), or what reads a pipe hangs, that write waits, and with it every thread of the process.
So what is written goes into a pipe of our own, from which a thread carries it on; when both are
full, lines are lost, and control is not.

A training goes on for hours, and its terminal or the reader of its pipe may go before it: what is
written from then on is lost, and the training is not.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TextIO, cast

STANDARD_ERROR = 2  # the file descriptor, as C libraries use it too
CHUNK = 65_536  # [bytes]
FAREWELL = 2.0  # [s] for the last lines to be written


class _Lasting:
    """A stream that writes to nowhere once its reader has gone; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._last(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._last(self._stream.flush)

    def _last(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError:  # a broken pipe; EIO of a terminal
            lead_nowhere(self._stream)


def lasting(stream: TextIO) -> TextIO:
    """Return `stream` as one whose `write` and `flush` never fail."""
    return cast(TextIO, _Lasting(stream))


def lead_nowhere(stream: TextIO) -> None:
    """Let all that is still written to `stream` go nowhere, also what it holds, by anybody."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextlib.contextmanager
def unblocked_stderr() -> Iterator[None]:
    """Let nobody wait for standard error while the `with` block runs."""
    reader, writer = os.pipe()
    real = os.dup(STANDARD_ERROR)
    os.dup2(writer, STANDARD_ERROR)
    os.close(writer)
    os.set_blocking(STANDARD_ERROR, False)
    carrier = threading.Thread(target=_carry, args=(reader, real), name='output', daemon=True)
    carrier.start()
    try:
        yield
    finally:
        os.dup2(real, STANDARD_ERROR)  # closes the pipe, so that the carrier comes to its end
        carrier.join(FAREWELL)


def _carry(reader: int, real: int) -> None:
    with contextlib.suppress(OSError):  # the terminal has gone; there is nobody to tell
        while data := os.read(reader, CHUNK):
            while data:
                data = data[os.write(real, data) :]
    # The descriptors stay open: the process ends, and somebody may still write.
