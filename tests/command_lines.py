"""Command lines of `sac-ros`: in this process, and as a process of their own."""

import io
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sim_training.cli import run

ROOT = Path(__file__).parents[1]


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run a command line that fails; return its exit status and its one line."""
    output = io.StringIO()
    status = run([str(word) for word in words], output)
    errors = capsys.readouterr().err
    assert output.getvalue() == ''
    assert errors.count('\n') == 1
    assert errors.startswith('sac-ros: ')
    return status, errors.removeprefix('sac-ros: ').rstrip('\n')


def start_cli(*words: object) -> subprocess.Popen[str]:
    """Start a command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, '-c', 'from sim_training.cli import main; main()', *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def wait_for(is_true: Callable[[], object], child: subprocess.Popen[str]) -> None:
    """Wait while a process runs until something is true."""
    deadline = time.monotonic() + 200.0
    while not is_true():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
