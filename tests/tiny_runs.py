"""Training runs of a second: how tests make them, compare them, and kill them."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import gymnasium
import torch
from safetensors.numpy import load_file

from sim_training.checkpoint import CURRENT
from sim_training.progress_table import METRICS
from sim_training.run_folder import held
from sim_training.sac_config import SACConfig
from sim_training.train import train
from sim_training.train_command import TrainCommand

torch.set_num_threads(1)
PENDULUM = 'Pendulum-v1'  # its episodes have 200 steps
SMALL = SACConfig(
    hidden_sizes=(8, 8), batch_size=8, learning_starts=60, replay_capacity=400, utd_ratio=0.25
)
# Its processes begin with everything imported, so that killing many of them is cheap.
FORKS = multiprocessing.get_context('forkserver')
FORKS.set_forkserver_preload(['sim_training.train', 'sim_training.export', 'torch._dynamo'])


def make_command(folder: Path, **overrides: object) -> TrainCommand:
    options = {'steps': 300, 'evaluate_every': 150, 'evaluation_episodes': 1, 'sac': SMALL}
    return TrainCommand(PENDULUM, out=folder, **{**options, **overrides})


def short_command(task: str, folder: Path, **options: object) -> TrainCommand:
    """Return a run of any env that ends soon after its first updates."""
    return TrainCommand(
        task,
        **{'steps': 120, 'out': folder, 'evaluation_episodes': 1, 'sac': SMALL, **options},
    )


def run(
    command: TrainCommand,
    env: gymnasium.Env | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, object]:
    return train(env or gymnasium.make(PENDULUM), gymnasium.make(PENDULUM), command, should_stop)


def resume(folder: Path, **overrides: object) -> TrainCommand:
    return TrainCommand(PENDULUM, out=folder, resume=True, **overrides)


def column(folder: Path, metric: str) -> list[str]:
    """Return the cells of one metric in the table of a run."""
    lines = (folder / 'progress.csv').read_text().splitlines()
    return [line.split(',')[METRICS.index(metric)] for line in lines[1:]]


def differences(first: Path, second: Path) -> list[str]:
    """Return the names of the arrays in which two runs differ in any bit."""
    one, two = load_file(first / CURRENT), load_file(second / CURRENT)
    assert one.keys() == two.keys()
    return [name for name in one if one[name].tobytes() != two[name].tobytes()]


def leftovers(folder: Path) -> list[str]:
    """Return the names of the files that a run has no use for when it is over."""
    return [path.name for path in folder.rglob('*') if path.name.endswith(('.tmp', '.lock'))]


def train_and_die(command: TrainCommand, calls: int) -> None:
    """Train in a process that kills itself, as by `kill -9`, at the n-th call of a function."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ('call', 'c_call')
        if count == calls:
            os.kill(os.getpid(), signal.SIGKILL)

    env, evaluation_env = gymnasium.make(PENDULUM), gymnasium.make(PENDULUM)
    sys.setprofile(profile)
    train(env, evaluation_env, command)


def hold_folder(folder: Path, is_held: Event) -> None:
    """Hold the folder of a run for ever."""
    with held(folder):
        is_held.set()
        time.sleep(1_000.0)
