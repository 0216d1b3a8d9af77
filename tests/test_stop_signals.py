"""Signals that ask for a stop: the first one waits for the loop, a second one for nothing."""

import signal
import subprocess
import sys
import time

import pytest

from sim_training.stop_signals import StopSignals, Terminated

HANGS = """
import time
from sim_training.stop_signals import StopSignals
with StopSignals():
    print('hangs', flush=True)
    time.sleep(1_000.0)
"""


@pytest.mark.parametrize(
    ('number', 'error'),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, Terminated),
        (signal.SIGHUP, Terminated),
    ],
)
def test_what_is_under_way_ends_as_the_signal_says(
    number: signal.Signals, error: type[BaseException]
):
    with StopSignals() as signals:
        signals.raise_if_received()
        signal.raise_signal(number)
        with pytest.raises(error) as ended:
            signals.raise_if_received()
    if error is Terminated:
        assert ended.value.code == 128 + number


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_what_hangs_in_one_line(number: signal.Signals):
    words = [sys.executable, '-c', HANGS]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == 'hangs\n'
        child.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 60.0
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)  # one that comes at once is the same wish
            child.send_signal(number)
        child.kill()
        _, errors = child.communicate()
    assert child.returncode == 128 + number
    assert errors == (
        f'ended at once by a second signal ({number.name}): nothing more is saved; what was '
        'saved before stays\n'
    )


def test_signals_that_come_together_are_one_wish():
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)  # as from a terminal, whose Ctrl-C a parent hands on
    assert signals.received == signal.SIGTERM
