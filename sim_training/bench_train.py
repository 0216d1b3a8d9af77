"""`sac-ros bench train`: updates per second of ours and of peers, and of the matmuls alone.

Each side runs in a process of its own (bench_train_side.py), one after the other, round by round,
so that what the machine does meanwhile happens to all.  All do the update of one size: batch 256,
networks of 2 x 256 units, 26 observations, 6 actions, float32 but for the side that is named
after bfloat16, transitions from a replay buffer.  Each has as many cores as threads.
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys

import numpy as np

from sac_ros.errors import UserError

SIDES = {
    'matmuls': 'the matrix products of one update and nothing else: the floor',
    'sac_ros': 'ours, compiled',
    'sac_ros eager': 'ours with --compile False',
    'sac_ros bfloat16': 'ours, compiled, with --sac.precision bfloat16',
    'stable_baselines3': 'SAC of Stable-Baselines3',
    'sbx': 'SAC of SBX, by JAX',
}
OURS = 'sac_ros'
PEERS = ('stable_baselines3', 'sbx')
LONGEST_START = 600.0  # [s] that a side may take to begin: compilers


def measure_train(
    rounds: int, seconds: float, threads: int, device: str = 'cpu'
) -> dict[str, object]:
    """Return updates per second of every side that is installed, and ratios to ours.

    Raises UserError.
    """
    from sim_training.compiler import check_device  # torch takes seconds to import

    check_device(device)
    sides = [side for side in SIDES if side not in PEERS or importlib.util.find_spec(side)]
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides:
            rates[side].append(_measure(side, seconds, threads, device))
            print(
                f'bench: round {number + 1} of {rounds}, {side}: {rates[side][-1]:.1f} updates/s',
                file=sys.stderr,
            )
    ours = np.array(rates[OURS])
    return {
        'cores': os.cpu_count(),
        'load_before': os.getloadavg()[0],
        'python': platform.python_version(),
        'threads': threads,
        'device': device,
        'rounds': rounds,
        'seconds': seconds,
        'sides': {
            side: {
                'updates_per_second': float(np.median(values)),
                'ours_over_it': _spread(ours / np.array(values)),
            }
            for side, values in rates.items()
        },
    }


def describe_train(result: dict[str, object]) -> str:
    """Return the figures as a table."""
    sides = result['sides']
    assert isinstance(sides, dict)
    lines = [
        f'updates per second, {result["threads"]} thread(s), {result["device"]}; medians of '
        f'{result["rounds"]} rounds of {result["seconds"]:g} s each, ratios with the smallest and '
        'largest of a round'
    ]
    for side, figures in sides.items():
        ratio = figures['ours_over_it']
        lines.append(
            f'{side:<18} {figures["updates_per_second"]:7.1f}   ours is {ratio["median"]:.2f} '
            f'({ratio["min"]:.2f} to {ratio["max"]:.2f}) of it   {SIDES[side]}'
        )
    return '\n'.join(lines)


def _measure(side: str, seconds: float, threads: int, device: str) -> float:
    """Return the updates per second of one side in a new process.  Raises UserError."""
    command = [sys.executable, '-m', 'sim_training.bench_train_side']
    limit = LONGEST_START + 2 * seconds
    try:
        done = subprocess.run(
            [*command, side, str(seconds), str(threads), device],
            capture_output=True,
            text=True,
            timeout=limit,
            env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f'{side} has not ended within {limit:.0f} s') from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ['nothing'])[-1]
        raise UserError(f'{side} ended with status {done.returncode}; it last said: {last}')
    rate: float = json.loads(done.stdout.splitlines()[-1])
    return rate


def _spread(ratios: np.ndarray) -> dict[str, float]:
    return {
        'median': float(np.median(ratios)),
        'min': float(ratios.min()),
        'max': float(ratios.max()),
    }
