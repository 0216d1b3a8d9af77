"""By what a learner scores: the task, or rewards that are given for single ticks."""

import math

import numpy as np
import pytest
from builders import make_spec

from sac_ros.control_step import ControlStep, Mode
from sac_ros.errors import UserError
from sim_training.learner_scores import LARGEST_BACKLOG, GivenRewards, transition_maker
from sim_training.tasks import load_task

SPEC = make_spec()


def tick(number: int) -> ControlStep:
    observation = np.full(SPEC.observation_size, number / 100, np.float32)
    command = np.zeros(2)
    return ControlStep(
        number * SPEC.dt, number, Mode.ACTIVE, observation, command, command, fault=None
    )


def test_a_reward_belongs_to_the_tick_that_it_was_given_for():
    given = GivenRewards()
    maker = transition_maker(
        'Hopper-v5', SPEC, given, has_simulation=False
    )  # whatever it is: rewards are given
    for number in (1, 2, 3, 4):
        maker.add(tick(number))
    given.add([4.0, 0.5])  # out of order
    given.add([2.0, -1.0])
    maker.add(tick(1_000))
    transitions, _ = maker.take()
    rewards = [(float(each.next_observation[0]), each.reward) for each in transitions]
    assert rewards == [(pytest.approx(0.02), -1.0), (pytest.approx(0.04), 0.5)]


def test_rewards_of_an_earlier_activation_are_forgotten():
    given = GivenRewards()
    given.add([2.0, 1.0])
    given.forget()
    assert given.score(tick(1), tick(2)) is None


def test_rewards_that_nobody_asks_for_do_not_fill_the_memory():
    given = GivenRewards()
    for number in range(LARGEST_BACKLOG + 1):
        given.add([float(number), 1.0])
    assert given.score(tick(0), tick(0)) is None  # the oldest has gone
    assert given.score(tick(0), tick(1)) == 1.0
    assert given.score(tick(0), tick(1)) is None  # and counts once


@pytest.mark.fault('E07', 'refused', 'UserError')
@pytest.mark.parametrize('numbers', [[], [1.0], [1.0, math.nan], [math.inf, 1.0], [1.0] * 3])
def test_what_is_no_reward_is_refused(numbers: list[float]):
    with pytest.raises(UserError, match=r'a reward is \[.*; \[sequence, reward\] is needed, both'):
        GivenRewards().add(numbers)


def test_a_task_scores_as_in_the_simulation_and_ends_by_its_time_limit():
    task = load_task('balance')
    maker = transition_maker('balance', task.spec, None, has_simulation=False)
    for number in range(1, task.time_limit + 2):
        step = ControlStep(
            number * task.spec.dt,
            number,
            Mode.ACTIVE,
            np.zeros(task.spec.observation_size, np.float32),
            np.zeros(1, np.float32),
            np.full(1, 5.0),  # N: costs 0.05 * (5 / 10)^2
            fault=None,
        )
        maker.add(step)
    maker.add(tick(100_000))
    transitions, (episode,) = maker.take()
    assert transitions[0].reward == pytest.approx(1.0 - 0.0125)
    assert (episode.length, episode.is_whole) == (500, True)
    assert episode.reward_sum == pytest.approx(500 * (1.0 - 0.0125))


def test_what_nobody_can_score_is_refused():
    with pytest.raises(UserError, match="'Hopper-v5' is no task, so nobody knows its reward; giv"):
        transition_maker('Hopper-v5', SPEC, None, has_simulation=False)
    with pytest.raises(UserError, match="contract 'tiny' is not that of 'balance': they differ"):
        transition_maker('balance', SPEC, GivenRewards(), has_simulation=False)
