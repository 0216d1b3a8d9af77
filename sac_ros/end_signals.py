"""Signals by which a process is told to end, and the one that `nohup` keeps from it."""

import signal
from collections.abc import Iterable


def heard(numbers: Iterable[signal.Signals]) -> list[signal.Signals]:
    """Return those of `numbers` to be handled: not SIGHUP where whoever began us ignores it."""
    is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in numbers if not (is_deaf and number == signal.SIGHUP)]
