"""What stored transitions cost: updates from 1,000 to 10 million of them, memory, and saving.

    python benchmarks/replay.py

Takes two minutes and 3.5 GB.  training.md has what came out.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from commands import run_options

from sim_training.array_file import write_arrays
from sim_training.bench_train_side import ACTIONS, BATCH, OBSERVATIONS
from sim_training.replay_buffer import ReplayBuffer
from sim_training.sac import SAC
from sim_training.sac_config import SACConfig

STORED = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)  # the first is what others are beside
ROUNDS, UPDATES = 20, 50
ANT = 105, 8  # observation and action of Ant-v5
ANT_STEPS = 1_000_000


@dataclass(frozen=True)
class ReplayOptions:
    """Measure what stored transitions cost; takes two minutes and 3.5 GB."""


def main(_: object) -> None:
    """Measure both and print them."""
    torch.set_num_threads(1)
    memory, saving = ant_costs()
    print(
        f'Ant-v5, {ANT_STEPS:,} transitions by add(): memory over raw bytes {memory:.3f}; as part '
        f'of a checkpoint {saving:.1f} s'
    )
    for stored, (spent, ratio) in update_times().items():
        print(
            f'{stored:>10,} stored: step and update {1e3 * spent:.2f} ms, {ratio:.3f} of the first'
        )


def ant_costs() -> tuple[float, float]:
    """Return what the process grew by over the bytes of the numbers that were stored, and the
    time that it takes to save them [s].
    """
    observations, actions = ANT
    generator = np.random.default_rng(0)
    before = _resident()
    replay = ReplayBuffer(ANT_STEPS, observations, actions, gamma=0.99)
    observation, unit_action = np.ones(observations), generator.uniform(-1.0, 1.0, actions)
    for _ in range(ANT_STEPS):
        replay.add(observation, unit_action, 1.0, observation, False)
    raw = ANT_STEPS * (2 * observations + actions + 2) * np.float32().nbytes
    memory = (_resident() - before) / raw
    with tempfile.TemporaryDirectory(dir='.') as folder:
        begin = time.perf_counter()
        write_arrays(Path(folder, 'replay'), replay.stored(), '{}')
        return memory, time.perf_counter() - begin


def update_times() -> dict[int, tuple[float, float]]:
    """Return the median time [s] of a step stored and an update, and its ratio to the first."""
    agent = SAC(SACConfig(), OBSERVATIONS, -np.ones(ACTIONS), np.ones(ACTIONS), seed=0)
    generator = np.random.default_rng(0)
    replay = ReplayBuffer(STORED[-1], OBSERVATIONS, ACTIONS, gamma=0.99)
    for array in replay.arrays.values():
        for rows in np.array_split(array, 100):  # random numbers, without a second copy of all
            rows[...] = generator.standard_normal(rows.shape, np.float32)
    step = (*generator.standard_normal((2, OBSERVATIONS)), generator.uniform(-1, 1, ACTIONS))

    def update() -> None:
        replay.add(step[0], step[2], 1.0, step[1], False)
        agent.update(replay.sample(generator, BATCH))

    spent: dict[int, list[float]] = {stored: [] for stored in STORED}
    for _ in range(ROUNDS):
        for stored in STORED:
            replay.size = stored  # what is drawn from; the ring itself is as large as it gets
            spent[stored].append(_timed(update))
    first = np.array(spent[STORED[0]])
    return {
        stored: (statistics.median(times), float(np.median(np.array(times) / first)))
        for stored, times in spent.items()
    }


def _timed(update: Callable[[], None]) -> float:
    """Return the time of one call in UPDATES [s]."""
    begin = time.perf_counter()
    for _ in range(UPDATES):
        update()
    return (time.perf_counter() - begin) / UPDATES


def _resident() -> int:
    """Return the memory that this process holds [bytes]."""
    lines = Path('/proc/self/status').read_text().splitlines()
    line = next(line for line in lines if line.startswith('VmRSS'))
    return 1024 * int(line.split()[1])


if __name__ == '__main__':
    sys.exit(run_options('replay', ReplayOptions, main, sys.argv[1:]))
