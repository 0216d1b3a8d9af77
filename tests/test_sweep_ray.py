"""Trials on a Ray cluster of this machine: the same trainings, looked at from here."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_runs import PENDULUM, SMALL, leftovers

from sac_ros.errors import UserError
from sim_training.checkpoint import CURRENT, read_actor
from sim_training.sweep import main
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_ray import LOST, RayTraining, joined_cluster
from sim_training.sweep_trial import Look, read_evaluations
from sim_training.train_command import TrainCommand

pytest.importorskip('ray', reason="the extra 'cluster' is not installed")


@pytest.fixture(scope='module')
def cluster() -> Iterator[int]:
    """A cluster of this machine alone."""
    with joined_cluster('local') as processors:
        yield processors


def make_training(folder: Path, steps: int) -> TrainCommand:
    return TrainCommand(
        PENDULUM, steps, 3, folder, evaluate_every=100, evaluation_episodes=1, sac=SMALL
    )


def look_until(training: RayTraining, is_true: Callable[[Look], object]) -> Look:
    deadline = time.monotonic() + 200.0
    while not is_true(look := training.look()):
        assert time.monotonic() < deadline, look
        time.sleep(0.05)
    return look


def test_a_training_on_the_cluster_is_seen_from_here(cluster: int, tmp_path: Path):
    assert cluster >= 1
    training = RayTraining(make_training(tmp_path / 'run', 200))
    look = look_until(training, lambda look: look.status is not None)
    training.close()
    assert look.status == 0, look
    assert look.evaluations == read_evaluations(tmp_path / 'run')
    assert sorted(look.evaluations) == [100, 200]
    assert read_actor(tmp_path / 'run' / CURRENT)[1].command.seed == 3


@pytest.mark.fault('D01', 'resumed', '')
def test_a_worker_that_is_killed_is_lost_and_its_training_goes_on_elsewhere(
    cluster: int, tmp_path: Path
):
    import ray

    folder = tmp_path / 'run'
    training = RayTraining(make_training(folder, 100_000))
    look_until(training, lambda look: look.evaluations)
    worker = ray.get(training._actor.__ray_call__.remote(lambda _: os.getpid()))
    os.kill(worker, signal.SIGKILL)
    look = look_until(training, lambda look: look.status is not None)
    assert look.status == LOST
    assert look.last_line.startswith('the Ray worker is lost: ')
    before = look.evaluations  # what was seen before is not forgotten
    assert before
    training.close()
    again = RayTraining(make_training(folder, 100_000))  # waits until the first one has saved
    look_until(again, lambda look: look.last_line.startswith('step '))
    again.stop()
    assert look_until(again, lambda look: look.status is not None).status == 143
    again.close()
    assert read_actor(folder / CURRENT)[1].counters.step > max(before)
    assert leftovers(folder) == []


def test_a_cluster_that_does_not_answer_is_told_in_one_line(tmp_path: Path):
    command = SweepCommand(PENDULUM, out=tmp_path, ray='localhost:1')
    with pytest.raises(UserError, match=r'^the Ray cluster at localhost:1 cannot be joined '):
        main(command)
