"""Env processes that die, raise, hang or cannot begin: one line, and nothing is left behind."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from tiny_runs import PENDULUM, SMALL, make_command, resume, run

from sac_ros.errors import UserError
from sim_training import env_process
from sim_training.checkpoint import read_checkpoint
from sim_training.env_error import EnvError
from sim_training.env_process import EnvProcess, end_processes
from sim_training.rollout import Rollout
from sim_training.stop_signals import TOGETHER
from sim_training.train import train
from sim_training.train_command import TrainCommand


def env_pids() -> dict[str, int | None]:
    """Return the env processes of this one, by name."""
    children = multiprocessing.active_children()
    return {child.name: child.pid for child in children if child.name.startswith('env-')}


def at_round(number: int, act: Callable[[], None]) -> Callable[[], bool]:
    """Do something between two rounds; as the question of whether to stop, which it is not."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        if asked == number:
            act()
        return False

    return should_stop


@pytest.mark.fault('D12', 'stopped', '')
def test_an_env_process_that_is_killed_ends_the_run_in_one_line_and_it_can_go_on(tmp_path: Path):
    def kill() -> None:
        pid = env_pids()['env-1']
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    # Round 60 begins at step 118; what the env had said before its end may still be heard.
    with pytest.raises(UserError) as error:
        run(make_command(tmp_path, envs=2, checkpoint_every=100), should_stop=at_round(60, kill))
    assert str(error.value) in [
        f'{PENDULUM}, step {step}: env 1: its process was ended by SIGKILL; '
        f'the checkpoint of step 100 in {tmp_path} stays'
        for step in (120, 122)
    ]
    assert env_pids() == {}
    assert read_checkpoint(tmp_path)[1].counters.step == 100
    assert run(resume(tmp_path))['step'] == 300


@pytest.mark.fault('D12', 'stopped', '')
@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('Raises', r'the env raised ZeroDivisionError: float division by zero \(odd_envs.*\)'),
        ('Hangs', 'it has not answered for 2 s'),
    ],
)
def test_an_env_process_that_breaks_down_ends_the_run_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
):
    def lose_patience() -> None:  # once the processes are there
        monkeypatch.setattr(env_process, 'ANSWER_TIMEOUT', 2.0)
        monkeypatch.setattr(env_process, 'END_TIMEOUT', 0.1)

    task = f'odd_envs:{name}-v0'
    command = TrainCommand(task, steps=300, envs=2, out=tmp_path, sac=SMALL)
    env = gymnasium.make(PENDULUM)
    # Both envs break down in their step 30, in the round that ends with step 60.
    line = rf'^{task}, step 60: env 0: {text}; the checkpoint of step 0 in {tmp_path} stays$'
    with pytest.raises(UserError, match=line):
        train(env, env, command, at_round(2, lose_patience))
    assert env_pids() == {}


@pytest.mark.fault('D12', 'refused', '')
def test_an_env_that_cannot_be_made_in_a_process_is_refused_and_leaves_nothing(tmp_path: Path):
    command = TrainCommand('odd_envs:Missing-v0', steps=300, envs=2, out=tmp_path, sac=SMALL)
    env = gymnasium.make(PENDULUM)
    with pytest.raises(UserError, match=r"^env 0: 'odd_envs:Missing-v0' is no task that ships"):
        train(env, env, command)
    assert env_pids() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['Hangs', 'Dawdles'])
def test_an_env_that_is_led_back_may_take_long_but_must_come_forward(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    env = EnvProcess(f'odd_envs:{name}-v0', 0, 0, observation_size=3, action_size=1)
    try:
        env.answer()
        steps = 40 if name == 'Hangs' else 8  # of half a second: more than 3 s together
        actions, observations = np.zeros((steps, 1), np.float32), []
        twin = Rollout(gymnasium.make(PENDULUM), seed=0)
        twin.begin(0)
        for action in actions:
            twin.step(action)
            observations.append(twin.observation)
        monkeypatch.setattr(env_process, 'ANSWER_TIMEOUT', 3.0)
        env.play_again(0, actions, np.array(observations))
        if name == 'Hangs':
            with pytest.raises(EnvError, match=r'^env 0: it has not answered for 3 s$'):
                env.answer()
        else:
            assert env.answer().is_repeated
    finally:
        monkeypatch.setattr(env_process, 'END_TIMEOUT', 0.1)
        end_processes([env])


def test_an_env_process_stays_however_often_it_is_signalled():
    env = EnvProcess(PENDULUM, 0, 0, observation_size=3, action_size=1)
    try:
        env.answer()
        assert env.pid is not None
        os.kill(env.pid, signal.SIGINT)
        time.sleep(TOGETHER + 0.2)
        os.kill(env.pid, signal.SIGTERM)
        env.begin(0)
        env.answer()
    finally:
        end_processes([env])
