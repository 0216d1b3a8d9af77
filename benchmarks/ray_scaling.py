"""Steps per second of collectors on a Ray cluster of this machine, beside one in this process.

    python benchmarks/ray_scaling.py [--task reach] [--seconds 8] [--collectors 1 2]

Leave the machine alone meanwhile; docs/cluster.md says what the columns mean.  Collecting alone
shows what envs and transport can do, learning beside it what a training gets.  The one in this
process is the same collector without Ray, so it takes turns with learning.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from commands import run_options

from sim_training.env import make_env
from sim_training.ray_collectors import STEPS, RayCollectors, actor_arrays, add_chunk
from sim_training.remote_collector import RemoteCollector, Weights
from sim_training.run_state import Run, new_run
from sim_training.train_command import TrainCommand


@dataclass(frozen=True)
class ScalingCommand:
    """Measure collectors on a Ray cluster of this machine."""

    task: str = 'reach'
    """A task that ships, a task's YAML file, or a Gymnasium id."""

    seconds: float = 8.0
    """Length of each measurement [s]."""

    collectors: tuple[int, ...] = (1, 2)
    """How many collectors there are, one measurement after the other."""


class Rates(NamedTuple):
    """What came of one measurement."""

    steps: float  # [1/s]
    learner: float  # processor time of this process for one answer of STEPS steps [ms]


def main(command: object) -> None:
    """Measure and print a table.  Raises UserError."""
    assert isinstance(command, ScalingCommand)
    print('| collectors | collecting alone | learner, per answer | learning at utd_ratio 1 |')
    print('|---|---|---|---|')
    print(_row('1, in this process', *_without_ray(command)))
    for count in command.collectors:
        print(_row(f'{count}, by Ray', *_with_ray(command, count)), flush=True)


def _row(name: str, alone: Rates, learning: Rates) -> str:
    return (
        f'| {name} | {alone.steps:.0f} steps/s | {alone.learner:.2f} ms '
        f'| {learning.steps:.0f} steps/s |'
    )


def _without_ray(command: ScalingCommand) -> tuple[Rates, Rates]:
    run = _make_run(command)
    collector = RemoteCollector(run.command, run.contract.to_json(), seed=0)
    collector.begin()
    version = 0

    def collect() -> None:
        nonlocal version
        version += 1
        has_begun = run.counters.step >= run.command.sac.learning_starts
        weights = Weights(version, actor_arrays(run)) if has_begun else None
        add_chunk(run, 0, collector.play(STEPS, weights), run.steps)

    return _measure_both(run, collect, command.seconds)


def _with_ray(command: ScalingCommand, count: int) -> tuple[Rates, Rates]:
    run = _make_run(command)
    collectors = RayCollectors('local', count)
    try:
        while len(collectors.places) < count:
            collectors.collect(run)
        return _measure_both(run, lambda: collectors.collect(run), command.seconds)
    finally:
        collectors.close()


def _measure_both(run: Run, collect: Callable[[], None], seconds: float) -> tuple[Rates, Rates]:
    while run.counters.step < run.command.sac.learning_starts + 500:  # past the random actions
        collect()
    alone = _measure(run, collect, seconds)

    def collect_and_learn() -> None:
        before = run.counters.step
        collect()
        for _ in range(run.counters.step - before):
            run.agent.update(run.replay.sample(run.generator, run.command.sac.batch_size))

    collect_and_learn()
    return alone, _measure(run, collect_and_learn, seconds)


def _measure(run: Run, collect: Callable[[], None], seconds: float) -> Rates:
    step, begun, used = run.counters.step, time.monotonic(), time.process_time()
    while time.monotonic() < begun + seconds:
        collect()
    passed, used = time.monotonic() - begun, time.process_time() - used
    steps = run.counters.step - step
    return Rates(steps / passed, 1e3 * used * STEPS / steps)


def _make_run(command: ScalingCommand) -> Run:
    env = make_env(command.task)
    with tempfile.TemporaryDirectory() as folder:  # nothing is saved
        run = new_run(TrainCommand(command.task, steps=10_000_000, out=Path(folder)), env)
    env.close()
    return run


if __name__ == '__main__':
    sys.exit(run_options('ray_scaling', ScalingCommand, main, sys.argv[1:]))
