"""Where an episode of a learner begins and ends, whether it is whole, and whose return it is."""

import dataclasses
import math

import numpy as np
import pytest
from learner_ticks import DT, FALLEN, FAULT, SPEC, WITHOUT_GOAL, follow, lengths, make_maker, tick

from sac_ros.control_step import ControlStep, Mode
from sac_ros.fault import Fault
from sac_ros.observation import split_observation
from sim_training.transitions import EpisodeReturn, TransitionMaker


def test_an_episode_ends_where_the_simulation_says_also_when_it_says_so_late():
    maker = make_maker()
    for number in (1, 2, 3, 4, 5):
        maker.add(tick(number))
    maker.end_episode(tick(3).stamp - 0.001)  # the state is a little older than its tick
    transitions, returns = follow(maker)
    assert [round(float(t.observation[0]) * 100) for t in transitions] == [1, 2, 4]
    assert not any(transition.terminated for transition in transitions)  # cut off, not over
    assert returns == [EpisodeReturn(0, pytest.approx(0.12 + 0.23), 2, is_whole=True)]


def test_an_end_between_two_ticks_parts_them():
    maker = make_maker()
    maker.end_episode(tick(2).stamp)  # whose tick never came
    transitions, returns = follow(maker, tick(1), tick(3), tick(4))
    assert [round(float(t.observation[0]) * 100) for t in transitions] == [3]
    assert returns == []  # no transition in it


def test_a_persons_verdict_is_a_reward_behind_which_there_is_nothing():
    maker = make_maker()
    maker.end_episode(tick(2).stamp, verdict=1.0)
    (first, second), _ = follow(maker, tick(1), tick(2), tick(3), tick(4))
    assert (first.reward, first.terminated) == (pytest.approx(0.12 + 1.0), True)
    assert (round(float(second.observation[0]) * 100), second.terminated) == (3, False)


def test_an_episode_that_we_came_into_the_middle_of_is_not_whole():
    maker = make_maker(is_told=True)
    maker.end_episode(tick(7).stamp)
    maker.end_episode(tick(9).stamp)
    _, returns = follow(maker, *(tick(number) for number in range(5, 10)))
    assert lengths(returns) == [(2, False), (1, True)]


@pytest.mark.parametrize(
    ('lost', 'expected'),
    [
        ((), [(2, False), (3, True), (2, True)]),
        ((1, 2, 3, 4, 5), [(2, False), (2, True)]),  # it began to listen after the first end
        ((7,), [(2, False), (1, False), (2, True)]),  # in the middle
        ((8,), [(2, False), (2, False), (2, True)]),  # the tick at the end
        ((8, 9), [(2, False), (2, False), (1, False)]),  # and the first one of the next
    ],
)
def test_an_episode_of_which_a_tick_is_lost_is_not_whole(
    lost: tuple[int, ...], expected: list[tuple[int, bool]]
):
    maker = make_maker(is_told=True)
    for number in (4, 8, 11):
        maker.end_episode(tick(number).stamp)
    heard = (tick(number) for number in range(2, 12) if number not in lost)
    _, returns = follow(maker, *heard)
    assert lengths(returns) == expected


def test_when_the_clock_begins_anew_old_ends_end_nothing():
    maker = make_maker()
    maker.end_episode(500.0)  # its ticks never came
    maker.end_episode(tick(2).stamp)
    for number in range(1, 40):
        maker.add(tick(number))
    transitions, returns = maker.take()
    assert [round(float(t.observation[0]) * 100) for t in transitions[:2]] == [1, 3]
    assert [found.length for found in returns] == [1]


def test_the_task_ends_an_episode_and_what_lies_there_is_not_learned_from():
    down = np.zeros(SPEC.observation_size, np.float32)
    down[0] = FALLEN
    steps = [tick(1), *(tick(number, observation=down) for number in (2, 3, 4)), tick(5), tick(6)]
    transitions, returns = follow(make_maker(), *steps)
    assert [transition.terminated for transition in transitions] == [True, False]
    assert transitions[1].observation[0] == np.float32(0.05)
    assert [found.length for found in returns] == [1]


def test_an_episode_ends_by_its_time_limit_and_the_next_begins_there():
    steps = [tick(number) for number in range(1, 8)]
    transitions, returns = follow(make_maker(time_limit=3, spec=WITHOUT_GOAL), *steps)
    assert len(transitions) == 6
    assert lengths(returns) == [(3, True), (3, True)]


def test_with_a_goal_an_episode_counts_from_a_new_one_on():
    new_goal = np.zeros(SPEC.observation_size, np.float32)
    split_observation(SPEC, new_goal)['goal_from_tool'][:] = [0.3, 0.0, 0.0]
    steps = [tick(number) for number in range(1, 6)]
    steps += [tick(number, observation=new_goal) for number in range(6, 14)]
    transitions, returns = follow(make_maker(time_limit=3), *steps)
    # 1 to 4, then at its goal from 4 to 5; 6 to 9, then at its goal from 9 to 12, and to 13.
    assert lengths(returns)[:4] == [(3, True), (1, False), (3, True), (3, False)]
    assert not any(
        t.observation[0] == np.float32(0.05) for t in transitions
    )  # the goal was moved, not the tool


@pytest.mark.fault('F05', 'refused', '')
@pytest.mark.parametrize('is_told', [False, True])
def test_an_episode_that_a_deactivation_or_a_crash_cuts_off_is_not_whole(is_told: bool):
    maker = make_maker(is_told=is_told)
    again = [tick(number, stamp=20.0 + number * DT) for number in (1, 2, 3)]
    for step in (*(tick(number) for number in (1, 2, 3)), *again):
        maker.add(step)
    maker.end_episode(again[-1].stamp)
    _, returns = follow(maker)
    # What follows goes on in the middle of the simulation's episode; a robot begins another.
    assert lengths(returns) == [(2, False), (2, not is_told)]


OUT_OF_PLAY = {'observation': None, 'fault': Fault('W_DISABLED', ''), 'mode': Mode.SAFE}


@pytest.mark.parametrize(
    'out',
    [
        OUT_OF_PLAY,
        {**OUT_OF_PLAY, 'fault': Fault('E_ESTOP', ''), 'mode': Mode.FAULT},
    ],
)
def test_a_robot_that_is_put_back_by_a_person_begins_a_whole_episode_when_it_is_let_go(
    out: dict[str, object],
):
    maker = make_maker()
    lingering = {'fault': Fault('E_OBS_STALE', ''), 'mode': Mode.SAFE}
    steps = [
        *(tick(number) for number in (1, 2, 3)),  # the verdict comes with the third
        *(tick(number) for number in (4, 5)),  # nobody was that quick
        *(tick(number, **out) for number in (6, 7)),
        *(tick(number, **lingering) for number in (8, 9)),
        *(tick(number) for number in (10, 11, 12)),
    ]
    maker.end_episode(tick(3).stamp, verdict=1.0)
    maker.end_episode(tick(12).stamp, verdict=-1.0)
    _, returns = follow(maker, *steps)
    assert lengths(returns) == [(2, True), (1, False), (2, True)]


def test_a_pause_ends_an_episode_and_the_next_one_is_whole():
    maker = make_maker()
    for number in (1, 2, 3, 4, 5, 101, 102, 103):
        maker.add(tick(number))
    maker.end_episode(tick(3).stamp, verdict=1.0)
    maker.break_off(tick(5).stamp)
    maker.end_episode(tick(103).stamp, verdict=1.0)
    maker.break_off(tick(103).stamp)  # paused at once: the verdict counts
    transitions, returns = follow(maker)
    assert lengths(returns) == [(2, True), (1, False), (2, True)]
    assert [transition.terminated for transition in transitions] == [0, 1, 0, 0, 1]


def test_a_verdict_counts_also_where_the_next_goal_comes_with_it():
    new_goal = np.zeros(SPEC.observation_size, np.float32)
    split_observation(SPEC, new_goal)['goal_from_tool'][:] = [0.3, 0.0, 0.0]
    maker = make_maker()
    maker.end_episode(tick(3).stamp, verdict=1.0)
    transitions, returns = follow(maker, tick(1), tick(2), tick(3, observation=new_goal))
    assert [transition.terminated for transition in transitions] == [False, True]
    assert lengths(returns) == [(2, True)]


def test_a_fault_before_a_robot_begins_takes_nothing_from_its_episode():
    faulted = tick(1, **FAULT)
    for is_told in (False, True):
        maker = make_maker(is_told=is_told)
        maker.end_episode(tick(4).stamp)
        _, returns = follow(maker, faulted, *(tick(number) for number in (2, 3, 4)))
        assert lengths(returns) == [(2, not is_told)]


@pytest.mark.parametrize(
    'changes',
    [
        {3: {'model': 1}, 4: {'model': 1}},  # another model took over
        {3: FAULT},
        {1: {'is_takeover': True}, 2: {'is_takeover': True}},
    ],
)
def test_a_return_counts_for_a_model_only_when_it_acted_all_the_time(
    changes: dict[int, dict[str, object]],
):
    steps = [tick(number, **changes.get(number, {})) for number in range(1, 5)]
    maker = make_maker()
    maker.end_episode(steps[-1].stamp)
    _, (found,) = follow(maker, *steps)
    assert not found.is_whole


def test_the_model_of_a_return_is_the_one_that_acted():
    maker = make_maker()
    maker.end_episode(tick(3).stamp)
    _, (found,) = follow(maker, *(tick(number, model=4) for number in (1, 2, 3)))
    assert (found.model, found.is_whole) == (4, True)


def test_an_episode_ends_where_the_task_says_so_also_by_a_reward_that_cannot_be_learned_from():
    def odd(last: ControlStep, step: ControlStep) -> float:
        return math.nan if step.sequence == 3 else 1.0

    observations = [np.full(SPEC.observation_size, number == 3, np.float32) for number in range(7)]
    maker = TransitionMaker(
        SPEC, odd, lambda terms: any(each.all() for each in terms.values()), None
    )
    steps = [dataclasses.replace(tick(n), observation=observations[n]) for n in range(1, 7)]
    _, returns = follow(maker, *steps)
    assert lengths(returns) == [(1, False)]


@pytest.mark.parametrize('code', ['W_DISABLED', 'E_ESTOP', 'E_OBS_RANGE'])
@pytest.mark.parametrize('verdict', [1.0, -1.0])
def test_a_robot_that_was_stopped_can_be_judged_until_it_acts_again(code: str, verdict: float):
    mode = Mode.FAULT if code == 'E_ESTOP' else Mode.SAFE
    stopped = {'observation': None, 'fault': Fault(code, ''), 'mode': mode}
    first = {**stopped, 'mode': Mode.HOLD if code == 'E_OBS_RANGE' else mode}  # it is bridged
    steps = [
        *(tick(number) for number in (1, 2, 3)),
        tick(4, **first),
        *(tick(number, **stopped) for number in (5, 6)),
        *(tick(number) for number in (7, 8, 9)),
    ]
    maker = make_maker()
    maker.end_episode(tick(5).stamp, verdict=verdict)
    maker.end_episode(tick(6).stamp, verdict=verdict)  # once more: there is nothing left to judge
    transitions, _ = follow(maker, *steps)
    assert [t.terminated for t in transitions] == [False, True, False, False]
    assert transitions[1].reward == pytest.approx(0.03 + 0.2 + verdict)

    transitions, _ = follow(make_maker(), *steps)  # nobody judges
    assert [t.terminated for t in transitions] == [False] * 4
    assert transitions[1].reward == pytest.approx(0.03 + 0.2)


@pytest.mark.parametrize(
    ('out', 'end', 'expected'),
    [
        ({}, None, [True]),  # ~/enable false in mid-episode
        ({'fault': Fault('E_ESTOP', ''), 'mode': Mode.FAULT}, None, [False]),
        ({}, tick(3), [False]),  # what it does behind the verdict is nobody's play
        ({}, tick(4), [False]),
    ],
)
def test_an_episode_is_interrupted_by_who_takes_the_robot_out_of_play(
    out: dict[str, object], end: ControlStep | None, expected: list[bool]
):
    maker = make_maker()
    if end is not None:
        maker.end_episode(end.stamp, verdict=1.0)
        expected = [False] * (5 - end.sequence) + [False]
    steps = [*(tick(number) for number in (1, 2, 3, 4, 5)), tick(6, **{**OUT_OF_PLAY, **out})]
    _, returns = follow(maker, *steps)
    assert [found.is_interrupted for found in returns] == expected[: len(returns)]
    assert len(returns) == (1 if end is None or end.sequence == 4 else 2)
