"""Transitions from ticks: what follows, what does not, and what it paid."""

import dataclasses
import math

import numpy as np
import pytest
from builders import make_spec, spec_content
from learner_ticks import FAULT, SPEC, follow, lengths, make_maker, tick

from sac_ros.control_step import ControlStep, Mode
from sac_ros.observation import split_observation
from sim_training.learned_action import learned_action
from sim_training.learner_scores import task_score
from sim_training.tasks import load_task
from sim_training.transitions import TransitionMaker


def test_two_ticks_in_a_row_are_a_transition_with_the_command_that_was_sent():
    transitions, _ = follow(make_maker(), tick(1), tick(2), tick(3))
    first, second = transitions
    assert first.observation[0] == np.float32(0.01)
    assert first.command.tolist() == [0.001, 0.001]
    assert first.action.tolist() == [0.001, 0.001]  # 1 was asked for: no rate limit does that
    assert first.next_observation[0] == np.float32(0.02)
    assert first.reward == pytest.approx(0.02 + 0.1)
    assert (first.terminated, first.is_takeover) == (False, False)
    assert second.reward == pytest.approx(0.03 + 0.2)


@pytest.mark.parametrize(
    ('asked', 'sent', 'learned'),
    [
        ([0.35, -0.25], [0.35, -0.25], [0.35, -0.25]),  # within a step of 0.1: as it is
        ([0.9, -0.9], [0.4, -0.3], [0.9, -0.9]),  # the rate limit made the command of it
        ([7.0, -0.2], [0.4, -0.2], [1.0, -0.2]),  # and the bound of 1 as well
        ([0.9, -0.9], [0.2, -0.1], [0.2, -0.1]),  # something else did, as `speed_scale`
        ([0.9, -0.9], [0.4, -0.2], [0.4, -0.2]),  # one element alone is no proof
    ],
)
def test_the_action_to_learn_is_what_was_asked_where_the_limits_alone_explain_the_command(
    asked: list[float], sent: list[float], learned: list[float]
):
    step = tick(1, action=np.array(asked, np.float32), command=np.array(sent))
    assert step.observation is not None
    split_observation(SPEC, step.observation)['previous_action'][:] = [0.3, -0.2]
    np.testing.assert_allclose(learned_action(SPEC, step), learned, rtol=1e-6)


def test_the_action_to_learn_is_the_command_where_the_last_one_is_not_observed():
    terms = [term for term in spec_content()['observation'] if term['term'] != 'previous_action']
    spec = make_spec(observation=terms)
    observation = np.zeros(spec.observation_size, np.float32)
    step = tick(1, observation=observation, command=np.array([0.1, 0.1]))
    assert learned_action(spec, step).tolist() == [0.1, 0.1]


def test_a_tick_waits_for_half_a_second_of_news():
    maker = make_maker()
    for number in range(1, 27):  # up to 0.5 s behind the first
        maker.add(tick(number))
    assert maker.take() == ([], [])
    for number in range(27, 29):
        maker.add(tick(number))
    assert len(maker.take()[0]) == 1


@pytest.mark.fault('F12', 'refused', '')
@pytest.mark.parametrize(
    ('steps', 'numbers'),
    [
        ([tick(1), tick(3), tick(4)], [3]),  # a tick is missing
        ([tick(1), tick(2, **FAULT), tick(3), tick(4)], [3]),
        ([tick(1), tick(2, mode=Mode.SAFE), tick(3), tick(4)], [1, 3]),  # good, but not acting
        ([tick(1), tick(2, stamp=10.06), tick(3, stamp=10.08)], [2]),  # a period was missed
        (
            [tick(1), tick(2, stamp=10.021), tick(3, stamp=10.041)],
            [2],
        ),  # of one state
        ([tick(1), tick(2, is_takeover=True), tick(3, is_takeover=True)], [2]),
        ([tick(1), tick(2), tick(1, stamp=10.06), tick(2, stamp=10.08)], [1, 1]),  # started anew
        ([tick(2), tick(1, stamp=10.06)], []),
    ],
)
def test_nothing_is_learned_across_a_gap(steps: list[ControlStep], numbers: list[int]):
    transitions, _ = follow(make_maker(), *steps)
    assert [round(float(t.observation[0]) * 100) for t in transitions] == numbers


def test_a_persons_actions_are_labelled():
    ticks = [tick(number, is_takeover=True) for number in (1, 2)]
    transitions, _ = follow(make_maker(), *ticks)
    assert [transition.is_takeover for transition in transitions] == [True]


@pytest.mark.fault('E07', 'refused', '')
@pytest.mark.parametrize('reward', [math.nan, math.inf, -math.inf, 1e39, -1.1e6])
def test_a_reward_that_cannot_be_learned_from_costs_its_transition_alone(reward: float):
    def odd(last: ControlStep, step: ControlStep) -> float:
        return reward if step.sequence == 3 else 1e6

    maker = TransitionMaker(SPEC, odd, lambda terms: False, None)
    maker.end_episode(tick(5).stamp)
    transitions, returns = follow(maker, *(tick(number) for number in (1, 2, 3, 4, 5)))
    assert [transition.reward for transition in transitions] == [1e6] * 3
    assert lengths(returns) == [(3, False)]  # by what is missing nobody is judged
    assert maker.refused == pytest.approx(reward, nan_ok=True)


@pytest.mark.fault('F11', 'ACTIVE', '')
def test_without_a_reward_nothing_is_learned():
    maker = TransitionMaker(SPEC, lambda last, step: None, lambda terms: False, None)
    assert follow(maker, tick(1), tick(2), tick(3)) == ([], [])


def test_the_score_of_a_task_is_the_reward_of_its_simulation():
    task = load_task('balance')
    observation = np.array([0.1, 0.05, 0.2, 0.0, 3.0], np.float32)
    last = dataclasses.replace(tick(1), command=np.array([3.0]))
    step = dataclasses.replace(tick(2), observation=observation)
    terms = split_observation(task.spec, observation)
    assert task_score(task)(last, step) == task.reward(terms, np.array([3.0]))
    # 1 - 0.25 (0.05 / 0.3)^2 - 0.5 (0.1 + 0.5 * 0.2)^2 - 0.05 (3 / 10)^2
    assert task_score(task)(last, step) == pytest.approx(0.96856, abs=1e-5)
