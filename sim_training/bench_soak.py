"""Soak: the node runs for long; are periods missed, are commands bad, does its memory grow?"""

import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from sim_training.bench_command import BenchCommand
from sim_training.bench_figures import slope
from sim_training.bench_models import bench_spec, write_untrained_model
from sim_training.bench_node import BenchNode
from sim_training.bench_process import (
    MeasuredProcess,
    Watch,
    own_environment,
    policy_process,
    robot_process,
)
from sim_training.bench_soak_record import Sample, SampleLog, SoakRecord
from sim_training.stop_signals import StopSignals

RATE = 50.0  # [Hz]
TIMEOUT = 0.1  # [s]
SAMPLE_PERIOD = 10.0  # [s]
SETTLED = 60.0  # [s] after which memory should no longer grow
POLL_PERIOD = 0.1  # [s]


def main(command: BenchCommand) -> dict[str, object]:
    """Run the node for `command.soak` minutes; returns what was counted."""
    environment = own_environment()
    spec = bench_spec(RATE, TIMEOUT)
    record = SoakRecord(spec)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stop_is_asked = stack.enter_context(StopSignals())
        model = write_untrained_model(Path(folder) / 'bench.onnx', spec)
        node = BenchNode(int(environment['ROS_DOMAIN_ID']))
        node.hear_commands('policy', record.add_command)
        node.hear_diagnostics(record.add_status)
        stack.enter_context(node)
        policy = stack.enter_context(policy_process(model, environment))
        robot = stack.enter_context(robot_process(RATE, environment))
        processes = [policy, robot]
        Watch(stop_is_asked, (policy, robot)).wait_for(
            lambda: record.commands.commands, 'has sent no command'
        )
        words = [str(1.0 / RATE)]
        sleeper = MeasuredProcess('sim_training.bench_sleeper', words, environment)
        processes.append(stack.enter_context(sleeper))
        Watch(stop_is_asked, (sleeper,)).wait_for(
            lambda: sleeper.last_line().isdigit(), 'has not begun to sleep'
        )
        if command.hog:
            hog = MeasuredProcess('sim_training.bench_hog', [], environment)
            processes.append(stack.enter_context(hog))
        samples = _run(command, record, sleeper, Watch(stop_is_asked, tuple(processes)))
    return {'rate': RATE, 'hog': command.hog, **_figures(samples, record)}


def describe(result: dict[str, object]) -> str:
    """Return the figures for a terminal."""
    faults, growth = result['faults'], result['resident_kib_per_hour']
    assert isinstance(faults, dict)
    assert isinstance(growth, float)
    counts = ', '.join(f'{code} {count}' for code, count in faults.items()) or 'none'
    neighbour = 'beside a process that keeps a core busy' if result['hog'] else 'without a hog'
    after = f', growing by {growth:.1f} KiB/hour after the first minute'
    return (
        f'{result["seconds"]:.0f} s at {result["rate"]:g} Hz, {neighbour}\n'
        f'{result["commands"]} commands came, {result["missed"]} periods without one, '
        f'{result["longest_periods"]:.2f} periods at the longest between two\n'
        f'{result["violations"]} commands not finite, out of bounds or changed too fast\n'
        f'{result["ticks"]} ticks by the count of the node, {result["missed_by_node"]} of them '
        f'more than half a period late; faults: {counts}\n'
        f'{result["late_sleeper"]} periods in which a process that only sleeps woke as late\n'
        f'memory {result["resident_kib"]} KiB{"" if math.isnan(growth) else after}'
    )


def _run(
    command: BenchCommand, record: SoakRecord, sleeper: MeasuredProcess, watch: Watch
) -> list[Sample]:
    """Take a sample now and then until the time is over, and one at the end."""
    with SampleLog(command.out) as log:
        start = time.monotonic()
        end = start + 60.0 * command.soak
        while (now := time.monotonic()) < end:
            if now >= start + len(log.samples) * SAMPLE_PERIOD:
                log.add(_sample(record, watch.processes[0], sleeper, now - start))
            watch.check()
            time.sleep(min(POLL_PERIOD, end - now))
        status = record.status
        watch.wait_for(lambda: record.status is not status, 'has sent no diagnostics')
        record.commands.end(time.monotonic())
        log.add(_sample(record, watch.processes[0], sleeper, time.monotonic() - start))
    return log.samples


def _sample(
    record: SoakRecord, policy: MeasuredProcess, sleeper: MeasuredProcess, seconds: float
) -> Sample:
    return Sample(
        seconds=round(seconds, 3),
        resident_kib=policy.resident_size(),
        ticks=record.counted('ticks'),
        missed_by_node=record.counted('missed'),
        late_sleeper=int(sleeper.last_line()),
        commands=record.commands.commands,
        missed=record.commands.missed,
        violations=record.commands.violations,
    )


def _figures(samples: Sequence[Sample], record: SoakRecord) -> dict[str, object]:
    counters = (key for key in record.status if key.startswith('count.'))
    faults = {key.removeprefix('count.'): record.counted(key) for key in counters}
    return {
        **asdict(samples[-1]),
        'longest_periods': record.commands.longest,
        'faults': {code: count for code, count in faults.items() if count},
        'resident_kib_per_hour': memory_growth(samples),
    }


def memory_growth(samples: Sequence[Sample]) -> float:
    """Return the slope of the memory after the first minute [KiB/h]; NaN for a short soak."""
    settled = [sample for sample in samples if sample.seconds >= SETTLED]
    return 3600.0 * slope(
        [sample.seconds for sample in settled], [sample.resident_kib for sample in settled]
    )
