"""The scale of rewards, against statistics of discounted returns worked out by hand."""

import dataclasses
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from tiny_runs import PENDULUM, SMALL, make_command

from sim_training.return_scale import FIRST, LARGEST_SCALE, ReturnScale
from sim_training.run_state import new_run
from sim_training.train import _learn


def test_where_all_rewards_are_zero_the_scale_is_the_largest():
    returns = ReturnScale(gamma=0.9, bound=5.0, envs=1)
    for _ in range(10):
        returns.add(0, 0.0)
    assert returns.scale == LARGEST_SCALE
    returns.add(0, 0.1)
    assert returns.scale < LARGEST_SCALE
    assert returns.largest == 0.1


def test_before_any_reward_the_scale_is_one():
    assert ReturnScale(0.5, bound=5.0, envs=1).scale == 1.0


def test_rewards_are_divided_by_the_deviation_of_the_discounted_returns():
    scale = ReturnScale(0.5, bound=5.0, envs=1)
    scale.add(0, 1.0)
    scale.add(0, 2.0)
    # G = 1 and 0.5 * 1 + 2 = 2.5: mean 1.75, deviation 0.75
    assert scale.state.tolist() == pytest.approx([2.0, 1.75, 2 * 0.75**2, 2.5, 2.5])
    assert scale.scale == pytest.approx(1.0 / 0.75, rel=1e-6)


def test_rewards_are_divided_by_more_where_a_return_would_not_fit_the_bound():
    scale = ReturnScale(0.5, bound=2.0, envs=1)
    scale.add(0, -1.0)
    scale.add(0, -2.0)
    # |G| = 2.5 is to be 2 at most: 1.25 is more than the deviation 0.75.
    assert scale.scale == pytest.approx(2.0 / 2.5)


def test_returns_begin_anew_with_each_episode_and_run_along_each_env():
    scale = ReturnScale(0.5, bound=100.0, envs=2)
    for env, reward, is_over in (
        (0, 8.0, False), (1, 2.0, False), (0, 1.0, True), (1, 3.0, False), (0, 7.0, False),
    ):  # fmt: skip
        scale.add(env, reward, is_over)
    # Env 0: 8, 4 + 1 = 5, end, 7; env 1: 2, 1 + 3 = 4
    returns = np.array([8.0, 2.0, 5.0, 4.0, 7.0])
    assert scale.state[FIRST:].tolist() == [7.0, 4.0]
    assert scale.state[0] == 5.0
    assert scale.state[1] == pytest.approx(returns.mean())
    assert scale.scale == pytest.approx(1.0 / returns.std(), rel=1e-6)


@pytest.mark.parametrize('limit', [1, 50, 1_000])
def test_a_value_that_looks_beyond_a_time_limit_fits_the_bound(limit: int):
    """One reward of 1 a step, 0.99 of it in the value of the step before: 100 without an end."""
    scale = ReturnScale(0.99, bound=5.0, envs=1)
    for _ in range(3):
        for _ in range(limit - 1):
            scale.add(0, 1.0)
        scale.add(0, 1.0, is_over=True, cut_after=limit)
    assert scale.largest == pytest.approx(100.0)
    assert scale.scale * 100.0 <= 5.0 + 1e-9


def test_an_end_that_is_none_of_time_is_the_end_of_the_value_too():
    scale = ReturnScale(0.99, bound=5.0, envs=1)
    scale.add(0, 1.0)
    scale.add(0, 1.0, is_over=True)
    assert scale.largest == pytest.approx(1.99)


def test_an_env_that_comes_later_gets_a_place():
    scale = ReturnScale(0.5, bound=5.0, envs=1)
    scale.add(0, 1.0)
    scale.add(3, 2.0)
    assert scale.state[FIRST:].tolist() == [1.0, 0.0, 0.0, 2.0]


def test_returns_that_are_all_alike_are_bounded_by_their_size_alone():
    scale = ReturnScale(0.0, bound=5.0, envs=1)
    for _ in range(10):
        scale.add(0, 50.0)
    assert scale.scale == pytest.approx(0.1)


def test_an_episode_that_is_given_up_leaves_nothing_to_the_next_one():
    scale = ReturnScale(0.5, bound=1e9, envs=1)
    scale.add(0, 8.0)
    scale.begin(0)
    scale.add(0, 2.0)  # 2, not 0.5 * 8 + 2
    # 8 and 2: mean 5, deviation 3
    assert scale.scale == pytest.approx(1.0 / 3.0)


@pytest.mark.parametrize('is_on', [True, False])
def test_a_run_learns_from_rewards_of_the_scale_that_it_has_seen(tmp_path: Path, is_on: bool):
    sac = dataclasses.replace(SMALL, normalise_reward=is_on)
    state = new_run(make_command(tmp_path, sac=sac), gymnasium.make(PENDULUM))
    random = np.random.default_rng(0)
    for _ in range(61):
        state.remember(
            0, (random.normal(size=3), random.normal(size=1), 7.0, random.normal(size=3), False),
            length=None,
        )  # fmt: skip
    state.counters.step = 64
    _learn(state, before=60)
    assert state.agent.updates == 1
    # sum of 0.98^k * 7 over 61 steps is 248: 5 / 248
    largest = 7.0 * (1.0 - 0.98**61) / 0.02
    expected = min(5.0 / largest, 1.0 / np.std(7.0 * np.cumsum(0.98 ** np.arange(61))))
    assert state.returns.scale == pytest.approx(expected)
    assert state.agent.reward_scale.item() == pytest.approx(expected if is_on else 1.0)
