"""ChildProcess: a program that ends with us, whatever ends us, and whose last words are kept."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from sac_ros.errors import UserError

END_TIMEOUT = 5.0  # [s] between the polite request to end and SIGKILL
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class ChildProcess:
    """A Python module run in a process group of its own, while the `with` block runs."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Start `python -m module arguments`."""
        self.name = module.rpartition('.')[2]
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == 'linux' else None,
        )

    def __enter__(self) -> 'ChildProcess':
        return self

    def __exit__(self, *error: object) -> None:
        """End the whole group: ask first, so that the robot is stopped, then insist."""
        self._send(signal.SIGINT)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_TIMEOUT)
        finally:
            self._send(signal.SIGKILL)  # also what the child may have started itself
            self._process.wait()
            self._output.close()

    def check(self) -> None:
        """Raise UserError with the child's last words when it has ended."""
        status = self._process.poll()
        if status is not None:
            raise UserError(
                f'{self.name} ended with status {status}; it last said: {self.last_line()}'
            )

    def last_line(self) -> str:
        """Return the last line that the child has printed."""
        size = self._output.seek(0, os.SEEK_END)
        start = max(size - 4096, 0)
        text = os.pread(self._output.fileno(), size - start, start).decode(errors='replace')
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else 'nothing'

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # all of the group have ended already
            os.killpg(self._process.pid, number)


def _end_with_parent() -> None:
    """Let Linux send SIGINT when the parent is gone, even if it was killed without a word."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
