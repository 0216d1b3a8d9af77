"""Standard error that never waits: a terminal that nobody reads must not stop a robot's control.

ROS writes its log while it holds Python's interpreter lock.  When the terminal is stopped
(Ctrl-S), or what reads a pipe hangs, that write waits, and with it every thread of the process.
So what is written goes into a pipe of our own, from which a thread carries it on; when both are
full, lines are lost, and control is not.
"""

import contextlib
import os
import threading
from collections.abc import Iterator

STANDARD_ERROR = 2  # the file descriptor, as C libraries use it too
CHUNK = 65_536  # [bytes]
FAREWELL = 2.0  # [s] for the last lines to be written


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
