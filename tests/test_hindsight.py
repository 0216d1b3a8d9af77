"""Hindsight: the same steps with goals that were reached later, scored by the task itself."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sac_ros.exploration_noise import SmoothNoise
from sac_ros.observation import split_observation
from sac_ros.policy import load_policy
from sim_training.env import make_env
from sim_training.hindsight import GOALS, SPREADS, Hindsight, find_hindsight
from sim_training.prior_data import play
from sim_training.tasks import load_task
from sim_training.tasks.task import Terms
from sim_training.transitions import GOAL_TERM, Transition

REACH = load_task('reach')
MODEL = Path(__file__).parents[1] / 'models' / 'reach.onnx'


@pytest.fixture(scope='module')
def episode() -> list[Transition]:
    policy = load_policy(MODEL)
    noise = SmoothNoise(policy.spec, 0.1, 0.2, np.random.default_rng(0))
    return play(policy, make_env('reach'), 0, noise)


def relabelled(*episodes: list[Transition], seed: int = 0) -> list[Transition]:
    hindsight = Hindsight(REACH, seed)
    others = [other for episode in episodes for step in episode for other in hindsight.take(step)]
    return others + hindsight.flush()


def gaps(steps: list[Transition], field: str) -> np.ndarray:
    """Return where the goal was seen from the tool, shape (len(steps), 3) [m]."""
    return np.stack(
        [split_observation(REACH.spec, getattr(step, field))[GOAL_TERM] for step in steps]
    )


def test_a_goal_is_where_the_tool_came_to_later(episode: list[Transition]):
    others = relabelled(episode)
    assert len(others) == GOALS * len(episode) == 450
    exact = others[:: len(SPREADS)]
    # goal - tool of the goal that was given; with the new goal it is that minus the one later, so
    # the difference must be one of those at the ends of this step and of later ones.
    given = gaps(episode, 'next_observation')
    moved = gaps(episode, 'observation') - gaps(exact, 'observation')
    for number, gap in enumerate(moved):
        distance = np.abs(given[number:] - gap).max(axis=1)
        assert distance.min() <= 1e-6
    last = exact[-1]  # the tool is where its goal is: it can only be the end of this step
    np.testing.assert_allclose(gaps([last], 'next_observation')[0], 0.0, atol=1e-6)
    assert last.reward > 0.9  # r = exp(0) - 0 - effort


def test_other_goals_are_around_it(episode: list[Transition]):
    alone = [
        relabelled([step], seed=number) for number, step in enumerate(episode)
    ]  # so that it can only be the end of the step
    for number, spread in enumerate(SPREADS):
        away = gaps([others[number] for others in alone], 'next_observation')
        # 450 draws: the standard error of the deviation is 3 %.
        assert away.std() == pytest.approx(spread, rel=0.15, abs=1e-6)


def test_only_the_goal_is_another_one(episode: list[Transition]):
    others = relabelled(episode)
    for number, other in enumerate(others):
        step = episode[number // GOALS]
        for field in ('observation', 'next_observation'):
            before = split_observation(REACH.spec, getattr(step, field))
            after = split_observation(REACH.spec, getattr(other, field))
            assert [
                name
                for name in before
                if name != GOAL_TERM and (before[name] != after[name]).any()
            ] == []
        assert other.action is step.action
        terms = split_observation(REACH.spec, other.next_observation)
        assert other.reward == REACH.reward(terms, step.command)
    # What was given is still there: relabelling takes copies.
    np.testing.assert_array_equal(
        gaps(episode[1:], 'observation'), gaps(episode[:-1], 'next_observation')
    )


def test_goals_are_of_the_same_episode(episode: list[Transition]):
    far = [
        dataclasses.replace(step, next_observation=step.next_observation + np.float32(100.0))
        for step in episode
    ]  # none of them follows from the one before
    others = relabelled(far[:2], episode)
    assert len(others) == GOALS * (2 + len(episode))
    np.testing.assert_allclose(
        gaps(others[: 2 * GOALS : GOALS], 'next_observation'), 0.0, atol=1e-4
    )
    assert np.abs(gaps(others[2 * GOALS :], 'next_observation')).max() < 2.0


@pytest.mark.fault('E07', 'refused', '')
def test_a_goal_whose_reward_cannot_be_learned_from_is_left_out(episode: list[Transition]):
    def reward(terms: Terms, command: np.ndarray) -> float:
        return float('inf') if (terms[GOAL_TERM] == 0.0).all() else 1.0  # as one over the distance

    last = episode[-1:]
    hindsight = Hindsight(dataclasses.replace(REACH, reward=reward), seed=0)
    assert hindsight.take(last[0]) == []
    assert [other.reward for other in hindsight.flush()] == [1.0] * (GOALS - 1)


def test_an_episode_without_end_is_cut_where_the_task_would_end(episode: list[Transition]):
    still = episode[0]
    still = dataclasses.replace(still, next_observation=still.observation)
    hindsight = Hindsight(REACH, seed=0)
    counts = [len(hindsight.take(still)) for _ in range(302)]
    assert [number for number, count in enumerate(counts) if count] == [150, 300]


@pytest.mark.parametrize(
    ('name', 'is_found'), [('reach', True), ('balance', False), ('none', False)]
)
def test_a_task_without_a_goal_has_no_hindsight(name: str, is_found: bool):
    assert (find_hindsight(name, 0) is not None) is is_found


def test_what_a_person_has_judged_is_not_denied_by_other_goals(episode: list[Transition]):
    judged = [*episode[:-1], dataclasses.replace(episode[-1], reward=-1.0, terminated=True)]
    assert len(relabelled(judged)) == GOALS * (len(episode) - 1)
