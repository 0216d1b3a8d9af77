"""Stop time: the robot's process is killed again and again; when does the node begin to stop?"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim_training.bench_figures import worst_and_median
from sim_training.bench_models import CONSTANT_ACTION, MAX_RATE, bench_spec, write_constant_model
from sim_training.bench_node import BenchNode
from sim_training.bench_process import (
    Watch,
    own_environment,
    policy_process,
    robot_process,
)
from sim_training.stop_signals import StopSignals

RATE = 50.0  # [Hz]
TIMEOUT_PERIODS = 1.0  # before a state is lost: the shortest that a robot at this rate can keep
STEADY_TIME = 0.3  # [s] of the full action before a kill
# A command below is on its way to zero: by more than half of what may change in a period.
STOPPING = CONSTANT_ACTION - 0.5 * MAX_RATE / RATE  # [rad/s]


@dataclass(frozen=True)
class Stop:
    """How soon the first stopping command came [s]."""

    after_state: float  # since the last state left the robot
    after_kill: float


class StopRecord:
    """What has come from robot and node.  All times are of the steady clock [s]."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._last_state: float | None = None
        self._commands: list[tuple[float, float]] = []  # arrival, smallest number

    def add_state(self, published: float) -> None:
        """Note a state that left at `published`."""
        self._last_state = published

    def add_command(self, arrival: float, command: Sequence[float]) -> None:
        """Note a command."""
        self._commands.append((arrival, min(command)))

    def forget(self) -> None:
        """Leave out what was before."""
        self._last_state, self._commands = None, []

    def is_steady(self, until: float = float('inf')) -> bool:
        """Tell whether the last command that came up to a time was the full action."""
        values = [value for arrival, value in self._commands if arrival <= until]
        return (
            self._last_state is not None and bool(values) and values[-1] > CONSTANT_ACTION - 1e-3
        )

    def stop_after(self, killed_at: float) -> Stop | None:
        """Return how soon the first stopping command came after a kill; None if it has not."""
        for arrival, value in self._commands:
            if self._last_state is not None and arrival > killed_at and value < STOPPING:
                return Stop(arrival - self._last_state, arrival - killed_at)
        return None


def main(kills: int) -> dict[str, object]:
    """Kill the robot so many times, each time at another phase of the period."""
    environment = own_environment()
    record = StopRecord()
    stops: list[Stop] = []
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, StopSignals() as stop_is_asked:
        spec = bench_spec(RATE, TIMEOUT_PERIODS / RATE)
        model = write_constant_model(Path(folder) / 'bench.onnx', spec)
        node = BenchNode(int(environment['ROS_DOMAIN_ID']))
        node.hear_states('policy', record.add_state)
        node.hear_commands('policy', record.add_command)
        with node, policy_process(model, environment) as policy:
            watch = Watch(stop_is_asked, (policy,))
            while True:
                with robot_process(RATE, environment) as robot:
                    Watch(stop_is_asked, (policy, robot)).wait_for(
                        record.is_steady, 'has not sent its full action'
                    )
                    if len(stops) == kills:  # it has recovered from the last one too
                        break
                    time.sleep(STEADY_TIME + random.uniform(0.0, 1.0 / RATE))
                    killed_at = robot.kill()
                _note_stop(record, killed_at, watch, stops)
                print(f'bench: kill {len(stops)} of {kills}', file=sys.stderr)
    return {
        'rate': RATE,
        'timeout_periods': TIMEOUT_PERIODS,
        'kills': kills,
        'recovered': kills,  # or it would have ended with an error
        'periods_after_last_state': _periods([stop.after_state for stop in stops]),
        'periods_after_kill': _periods([stop.after_kill for stop in stops]),
    }


def describe(result: dict[str, object]) -> str:
    """Return the figures for a terminal."""
    lines = [
        f'{result["kills"]} kills of the robot at {result["rate"]:g} Hz; a state is lost after '
        f'{result["timeout_periods"]:g} periods; the first stopping command came'
    ]
    for key, text in (
        ('periods_after_last_state', 'after the last state'),
        ('periods_after_kill', 'after the kill'),
    ):
        periods = result[key]
        assert isinstance(periods, dict)
        lines.append(
            f'  {periods["median"]:.2f} periods {text} (median), {periods["worst"]:.2f} at worst'
        )
    return '\n'.join((*lines, f'and the node recovered {result["recovered"]} times'))


def _note_stop(record: StopRecord, killed_at: float, watch: Watch, stops: list[Stop]) -> None:
    """Wait for the node to stop, and note how soon it did.

    A kill that hit the node while it was not sending its full action is not counted: that node
    was stopping for some other reason.
    """
    watch.wait_for(lambda: record.stop_after(killed_at), 'has not begun to stop')
    stop = record.stop_after(killed_at)
    if stop is not None and record.is_steady(killed_at):
        stops.append(stop)
    record.forget()


def _periods(seconds: list[float]) -> dict[str, object]:
    periods = [RATE * second for second in seconds]
    return {**worst_and_median(periods), 'each': periods}
