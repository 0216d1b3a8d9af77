"""Nodes of tests that are processes of their own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ros import WAIT, wait_for

ROOT = Path(__file__).parents[1]


class NodeProcess:
    """A Python program that is a node, and everything that it has printed."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{ROOT / "tests"}'},
        )

    def log(self) -> str:
        size = self._output.seek(0, os.SEEK_END)
        return os.pread(self._output.fileno(), size, 0).decode()

    def wait_for_log(self, text: str) -> None:
        def is_there() -> bool:
            return text in self.log() or self.process.poll() is not None

        wait_for(is_there, f'{text!r} in the log')
        assert text in self.log(), self.log()

    def end(self, number: int) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(WAIT)

    def close(self) -> None:
        """End the process as an operator would; one that was killed haunts the others for 20 s."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(WAIT)
        self._output.close()


@contextmanager
def running(*arguments: str) -> Iterator[NodeProcess]:
    """Run `python arguments` while the `with` block runs."""
    node = NodeProcess(arguments)
    try:
        yield node
    finally:
        node.close()


def parameters(**values: object) -> list[str]:
    """Return parameters as the words of a command line."""
    words = [word for key, value in values.items() for word in ('-p', f'{key}:={_text(value)}')]
    return ['--ros-args', *words]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
