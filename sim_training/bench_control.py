"""Latency: from a state to its command, the policy node beside a bare rclpy echo node.

The two take turns in one run, each time in a new process, so that what the machine does meanwhile
happens to both.  Only one of them is there at a time.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from sim_training.bench_command import BenchCommand
from sim_training.bench_figures import Round, compare, match_answers
from sim_training.bench_models import bench_spec, write_untrained_model
from sim_training.bench_node import BenchNode
from sim_training.bench_process import (
    START_TIMEOUT,
    Environment,
    MeasuredProcess,
    Watch,
    echo_process,
    own_environment,
    policy_process,
)
from sim_training.bench_robot import paced
from sim_training.stop_signals import StopSignals

WARM_UP = 2.0  # [s] from the first command to the first that counts; the soak has none
TIMEOUT_PERIODS = 5.0  # before a state is lost, but never less than
LEAST_TIMEOUT = 0.1  # [s]: what the contracts that ship have at 50 Hz
CUT = '*'  # marks a p99 that leaves out the slowest


def main(command: BenchCommand) -> dict[str, object]:
    """Measure at each rate; returns the figures of both nodes and their ratios."""
    environment = own_environment()
    with StopSignals() as stop_is_asked:
        rates = [
            _measure_rate(rate, command, environment, stop_is_asked) for rate in command.rates
        ]
    return {'seconds': command.seconds, 'rounds': command.rounds, 'rates': rates}


def describe(result: dict[str, object]) -> str:
    """Return the figures as a table."""
    rates = result['rates']
    assert isinstance(rates, list)
    head = ('rate', 'node', 'p50', 'p99', 'answers', 'missed', 'CPU per command')
    rows = [head, *(row for figures in rates for row in _rows(figures))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if any(CUT in row[3] for row in rows):
        lines.append(
            f'{CUT} more than 1 state in 100 was missed: the slowest answers are not in it'
        )
    return '\n'.join(
        (
            f'from state to command, 7 joints; medians of {result["rounds"]} rounds of '
            f'{result["seconds"]:g} s each, ratios with the smallest and largest of a round',
            *lines,
        )
    )


def _rows(figures: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Return the three lines of one rate: both nodes, and their ratios."""
    rate = f'{figures["rate"]:g} Hz'
    rows: list[tuple[str, ...]] = []
    marks = []
    for name in ('echo_node', 'policy_node'):
        node = figures[name]
        p50, p99, cpu = (node[key] for key in ('p50_ms', 'p99_ms', 'cpu_ms_per_command'))
        answers, missed = node['answers'], node['missed']
        marks.append(CUT if missed > 0.01 * (answers + missed) else '')
        times = (f'{p50:.3f} ms', f'{p99:.3f} ms{marks[-1]}')
        rows.append((rate, name, *times, str(answers), str(missed), f'{cpu:.3f} ms'))
    ratios = [
        '{median:.2f} ({min:.2f} to {max:.2f})'.format(**figures[f'ratio_p{q}']) for q in (50, 99)
    ]
    return [*rows, (rate, 'ratio', ratios[0], ratios[1] + max(marks), '', '', '')]


def _measure_rate(
    rate: float, command: BenchCommand, environment: Environment, stop_is_asked: StopSignals
) -> dict[str, object]:
    """Let both nodes take turns at one rate [Hz]."""
    spec = bench_spec(rate, max(TIMEOUT_PERIODS / rate, LEAST_TIMEOUT))
    rounds: dict[str, list[Round]] = {'echo': [], 'policy': []}
    with tempfile.TemporaryDirectory() as folder:
        model = write_untrained_model(Path(folder) / 'bench.onnx', spec)
        starts = {
            'echo': lambda: echo_process(environment),
            # No ramp: commands follow the policy from the first one on.
            'policy': lambda: policy_process(model, environment, ramp_time=0.0),
        }
        for number in range(1, command.rounds + 1):
            for peer, start in starts.items():
                node = BenchNode(int(environment['ROS_DOMAIN_ID']))
                a_round = _measure_round(
                    node, peer, start, stop_is_asked, rate=rate, seconds=command.seconds
                )
                rounds[peer].append(a_round)
                print(
                    f'bench: {rate:g} Hz, round {number} of {command.rounds}, {peer}_node: '
                    f'p50 {1e3 * a_round.percentile(50):.3f} ms, '
                    f'p99 {1e3 * a_round.percentile(99):.3f} ms, {a_round.missed} missed',
                    file=sys.stderr,
                )
    return {'rate': rate, **compare(rounds['echo'], rounds['policy'])}


def _measure_round(
    node: BenchNode,
    peer: str,
    start: Callable[[], MeasuredProcess],
    stop_is_asked: StopSignals,
    *,
    rate: float,
    seconds: float,
) -> Round:
    """Publish states at `rate` [Hz] to a new process, and time its commands for `seconds`."""
    arrivals: list[float] = []

    def take(arrival: float, command: Sequence[float]) -> None:
        if any(command):  # the stop command, all zeros, is no answer of a policy
            arrivals.append(arrival)

    publish = node.state_publisher(peer)
    node.hear_commands(peer, take)
    with node, start() as process:
        watch = Watch(stop_is_asked, (process,))
        states = _states(publish, rate, watch)
        end = time.monotonic() + START_TIMEOUT
        while not arrivals:
            if next(states) > end:
                raise watch.complaint('has sent no command')
        _count(states, WARM_UP * rate)
        cpu_time = process.cpu_time()
        published = _count(states, seconds * rate)
        time.sleep(1.0 / rate)
        cpu_time = process.cpu_time() - cpu_time
        latency, missed = match_answers(published, arrivals, 1.0 / rate)
        commands = sum(arrival > published[0] for arrival in arrivals)
        return Round(latency, missed, cpu_time / commands if commands else float('nan'))


def _states(publish: Callable[[], float], rate: float, watch: Watch) -> Iterator[float]:
    """Publish at `rate` [Hz]; yield when each state left [s]."""
    for _ in paced(rate):
        watch.check()
        yield publish()


def _count(states: Iterator[float], count: float) -> list[float]:
    return list(islice(states, max(round(count), 1)))
