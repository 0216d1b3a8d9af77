"""env.py: a seed repeats an episode bit by bit, in this process and in another."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from episodes import actions, digest, trace

from sim_training.env import SimEnv
from sim_training.tasks import load_task

TASKS = ['balance', 'reach']


@pytest.fixture(params=TASKS)
def env(request: pytest.FixtureRequest) -> Iterator[SimEnv]:
    env = SimEnv(load_task(request.param), 'rgb_array')
    yield env
    env.close()


def test_a_seed_repeats_an_episode_whatever_was_played_before(env: SimEnv) -> None:
    first = trace(env, seed=3)
    for seed in (11, 12):
        trace(env, seed)
    env.step(env.action_space.sample())  # and leave the robot in the middle of something
    env.render()

    np.testing.assert_array_equal(trace(env, seed=3), first)
    assert not np.array_equal(trace(env, seed=4), first)


def test_a_seed_repeats_all_the_episodes_that_follow(env: SimEnv) -> None:
    def episodes() -> list[np.ndarray]:
        return [env.reset(seed=5)[0], env.reset()[0], env.reset()[0]]

    first = episodes()
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(episodes(), first)


def test_two_envs_in_one_process_do_not_disturb_each_other(env: SimEnv) -> None:
    alone = trace(env, seed=3)
    other = SimEnv(env.task)
    other.reset(seed=9)

    together = []
    env.reset(seed=3)
    for action in actions(env):
        other.step(-action)
        together.append(env.step(action)[0])
    other.close()

    np.testing.assert_array_equal(together, alone[1:])


TRACE_IN_A_FRESH_PROCESS = """
import sys
sys.path.insert(0, 'tests')
from episodes import digest, trace
from sim_training.env import SimEnv
from sim_training.tasks import load_task
print(*[digest(trace(SimEnv(load_task(name)), seed=3)) for name in sys.argv[1:]])
"""


def test_a_seed_repeats_an_episode_in_a_fresh_process() -> None:
    child = subprocess.run(
        [sys.executable, '-c', TRACE_IN_A_FRESH_PROCESS, *TASKS],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )

    envs = [SimEnv(load_task(name)) for name in TASKS]
    assert child.stdout.split()[-2:] == [digest(trace(env, seed=3)) for env in envs]
    for env in envs:
        env.close()
