"""env.py: how an episode begins, and the two ways in which it ends."""

import dataclasses

import numpy as np
import pytest
from episodes import still_balance

from sim_training.env import SimEnv, Step
from sim_training.tasks import load_task
from sim_training.tasks.task import Start, Task


def test_the_goal_is_drawn_in_its_box_and_stays_for_the_episode() -> None:
    env = SimEnv(load_task('reach'))
    goals = []
    env.reset(seed=0)
    for _ in range(30):
        env.reset()
        assert env.goal is not None
        goals.append(env.goal.copy())
        env.step(env.action_space.sample())
        np.testing.assert_array_equal(env.goal, goals[-1])
        np.testing.assert_array_equal(env.state.goal, goals[-1])

    assert (np.array(goals) >= [0.30, -0.30, 0.20]).all()
    assert (np.array(goals) <= [0.60, 0.30, 0.60]).all()
    assert len(np.unique(goals, axis=0)) == 30
    env.close()


def test_a_pole_that_falls_terminates_the_episode_without_success() -> None:
    env = SimEnv(still_balance())
    env.reset(seed=0)
    steps = _run_until_the_end(env, np.array([10.0]))

    observation, _, terminated, truncated, info = steps[-1]
    assert (terminated, truncated) == (True, False)
    assert abs(observation[1]) > 0.3
    assert info == {'is_success': False}
    assert all(step[2:] == (False, False, {}) for step in steps[:-1])

    # the last period that is allowed is still a fall, not the end of time
    short = SimEnv(dataclasses.replace(env.task, time_limit=len(steps)))
    short.reset(seed=0)
    assert _run_until_the_end(short, np.array([10.0]))[-1][2:4] == (True, False)
    # one less, and time is up first
    shorter = SimEnv(dataclasses.replace(env.task, time_limit=len(steps) - 1))
    shorter.reset(seed=0)
    assert _run_until_the_end(shorter, np.array([10.0]))[-1][2:4] == (False, True)
    for each in (env, short, shorter):
        each.close()


def test_the_end_of_time_truncates_the_episode_and_asks_for_success() -> None:
    env = SimEnv(dataclasses.replace(still_balance(), time_limit=7))
    env.reset(seed=0)

    steps = _run_until_the_end(env, np.array([0.0]))

    assert len(steps) == 7
    assert steps[-1][2:] == (False, True, {'is_success': True})
    assert env.time == pytest.approx(0.14)  # 7 * 20 ms
    env.reset()
    assert env.time == 0.0
    env.close()


def test_success_of_reach_is_being_there_at_the_end_as_the_robot_is_without_noise() -> None:
    task = dataclasses.replace(load_task('reach'), time_limit=1, noise={'tool_position': 1.0})
    probe = SimEnv(dataclasses.replace(task, noise={}))
    probe.reset(seed=0)
    tool = probe.state.tool_position
    start = task.start(np.random.default_rng(0))
    probe.close()
    assert tool is not None

    for distance, reached in ((0.01, True), (0.03, False)):
        env = SimEnv(_starting_with(task, goal=tool + np.array([0.0, 0.0, distance]), like=start))
        env.reset(seed=0)
        assert env.step(np.zeros(7))[4] == {'is_success': reached}
        env.close()


def _starting_with(task: Task, goal: np.ndarray, like: Start) -> Task:
    beginning = dataclasses.replace(like, goal=goal)
    return dataclasses.replace(task, start=lambda random: beginning)


def _run_until_the_end(env: SimEnv, action: np.ndarray) -> list[Step]:
    steps: list[Step] = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(action))
    return steps


def test_an_episode_that_was_terminated_is_no_success_whatever_the_truth_without_noise():
    task = dataclasses.replace(
        load_task('balance'), terminated=lambda terms: True, success=lambda terms: True
    )
    env = SimEnv(task)
    env.reset(seed=0)
    assert env.step(np.zeros(1))[2:] == (True, False, {'is_success': False})
    env.close()
