"""trial.py, ladder.py, episode_return.py: a model that is worse than the one before it falls."""

import json
import math

import numpy as np
import pytest
from builders import make_spec
from model_builders import constant_model

from sac_ros.episode_return import EpisodeReturn, read_episode_return
from sac_ros.errors import UserError
from sac_ros.ladder import REMEMBERED, Conditions, Ladder, Rung
from sac_ros.policy import OnnxPolicy
from sac_ros.trial import HEAD_START, ReturnWatch, shown_returns

# Mean 10, standard deviation 1; of the next return sqrt(1 + 1/3) = 1.1547.
BEFORE = (9.0, 10.0, 11.0)
SPEC = make_spec()


def on_trial(*returns: float, before: tuple[float, ...] = BEFORE) -> ReturnWatch:
    watch = ReturnWatch(before, HEAD_START)
    for value in returns:
        assert not watch.is_worse
        watch.add(value)
    return watch


def test_suspicion_is_the_sum_of_what_is_missing():
    watch = ReturnWatch(BEFORE)
    watch.add(8.0)
    assert watch.suspicion == pytest.approx(2.0 / math.sqrt(4.0 / 3.0) - 0.5)
    watch.add(9.0)
    assert watch.suspicion == pytest.approx(3.0 / math.sqrt(4.0 / 3.0) - 1.0)
    assert list(watch.against) == [8.0, 9.0]


def test_a_good_past_excuses_nothing():
    watch = ReturnWatch(BEFORE)
    for _ in range(100):
        watch.add(1000.0)
    assert watch.suspicion == 0.0
    watch.add(4.0)  # 6 / 1.1547 - 0.5 = 4.7
    assert watch.is_worse
    assert list(watch.against) == [4.0]


@pytest.mark.parametrize(('value', 'is_worse'), [(7.12, False), (7.10, True)])
def test_the_first_episode_of_a_trial_may_fall_short_by_two_and_a_half_deviations(
    value: float, is_worse: bool
):
    # 10 - 2.5 * 1.1547 = 7.113
    assert on_trial(value).is_worse is is_worse


@pytest.mark.parametrize(
    ('value', 'is_worse', 'is_good_enough'),
    [
        (9.43, False, True),  # 10 - 0.5 * 1.1547 = 9.42
        (9.41, False, False),
        (8.66, False, False),  # 10 - 3.5 / 3 * 1.1547 = 8.653
        (8.64, True, False),
    ],
)
def test_three_episodes_accept_a_model_or_end_it_or_leave_it_on_trial(
    value: float, is_worse: bool, is_good_enough: bool
):
    watch = on_trial(value, value, value)
    assert (watch.is_worse, watch.is_good_enough) == (is_worse, is_good_enough)


def test_two_episodes_are_not_enough_however_good():
    assert not on_trial(1e6, 1e6).is_good_enough
    assert on_trial(1e6, 1e6, 1e6).is_good_enough


@pytest.mark.parametrize(
    ('before', 'allowed', 'worse'),
    [
        ((100.0, 100.0, 100.0), 90.1, 89.9),  # 2.5 * 4 % of 100
        ((-100.0, -100.0, -100.0), -109.9, -110.1),
        ((0.0, 0.0, 0.0), 0.0, -1e-9),
        ((1e12, 1e12, 1e12), 0.901e12, 0.899e12),
    ],
)
def test_a_base_that_always_does_the_same_allows_ten_percent(
    before: tuple[float, ...], allowed: float, worse: float
):
    assert not on_trial(allowed, before=before).is_worse
    assert on_trial(worse, before=before).is_worse


def test_a_model_that_always_falls_where_the_base_falls_half_the_time_is_found_out():
    before = (50.0, 500.0) * 10  # mean 275, deviation 230.8 * sqrt(1.05) = 236.5
    watch = ReturnWatch(before, HEAD_START)
    while not watch.is_worse:  # each adds 225 / 236.5 - 0.5 = 0.451
        assert not watch.is_good_enough
        watch.add(50.0)
    assert watch.episodes == 5
    assert on_trial(500.0, 50.0, 500.0, before=before).is_good_enough


def test_models_that_are_as_good_are_seldom_rolled_back_and_worse_ones_nearly_always():
    random = np.random.default_rng(0)

    def share_of_falls(shortfall: float) -> float:
        falls = 0
        for _ in range(500):
            watch = ReturnWatch(tuple(random.normal(size=20)), HEAD_START)
            while not (watch.is_worse or watch.is_good_enough):
                watch.add(float(random.normal()) - shortfall)
            falls += watch.is_worse
        return falls / 500

    assert share_of_falls(-1.0) < 0.02
    assert share_of_falls(0.0) < 0.12
    assert share_of_falls(2.0) > 0.95


def test_a_comparison_needs_three_returns():
    with pytest.raises(ValueError, match='2 returns are known; 3 are needed'):
        ReturnWatch((1.0, 2.0))


def test_returns_are_told_as_mean_and_deviation():
    assert shown_returns((12.34567,)) == '12.35 of 1 episode'
    assert shown_returns(BEFORE) == '10 +- 1 of 3 episodes'


def policy(action: float) -> OnnxPolicy:
    return OnnxPolicy(constant_model(SPEC, (action, 0.0)), 'm')


BASE, BETTER, BEST = (policy(action) for action in (0.0, 0.1, 0.2))


def episode(model: int, value: float) -> EpisodeReturn:
    return EpisodeReturn.model_validate({'model': model, 'return': value, 'length': 50})


def known_ladder() -> Ladder:
    """Return a ladder whose base model, number 0, has the returns BEFORE."""
    ladder = Ladder(Rung(BASE), Conditions(0.0, 1.0))
    ladder.base.numbers.append(0)
    for value in BEFORE:
        assert ladder.add(episode(0, value)) is None
    return ladder


def with_accepted() -> Ladder:
    ladder = known_ladder()
    ladder.try_out(BETTER, b'better')
    assert ladder.on_trial is not None
    ladder.on_trial.numbers.append(1)
    verdicts = [ladder.add(episode(1, value)) for value in (12.0, 13.0, 14.0)]
    assert verdicts[:2] == [None, None]
    assert verdicts[2] is not None
    assert verdicts[2].code == ''
    assert verdicts[2].text == 'return 13 +- 1 of 3 episodes; 10 +- 1 of 3 episodes before'
    ladder.accept(verdicts[2].rung)
    return ladder


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_the_base_acts_again_after_one_bad_episode_of_a_candidate():
    ladder = known_ladder()
    ladder.try_out(BETTER, b'better')
    assert ladder.acting_name == 'on trial'
    assert ladder.acting.policy is BETTER
    ladder.acting.numbers.append(1)

    verdict = ladder.add(episode(1, 2.0))
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'
    assert verdict.text == 'return 2 of 1 episode; 10 +- 1 of 3 episodes before'
    ladder.drop(verdict.rung)
    assert ladder.acting.policy.sha256 == BASE.sha256
    assert ladder.acting_name == 'base'


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_a_candidate_that_is_worse_than_the_accepted_model_falls_to_that():
    ladder = with_accepted()
    ladder.try_out(BEST, b'best')
    ladder.acting.numbers.append(2)

    verdict = ladder.add(episode(2, 10.0))  # as good as the base: 3 less than the accepted one
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'
    ladder.drop(verdict.rung)
    assert ladder.acting.policy is BETTER
    assert ladder.acting_name == 'accepted'


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_an_accepted_model_that_becomes_worse_than_the_base_falls_with_all_above_it():
    ladder = with_accepted()
    assert ladder.add(episode(1, 10.0)) is None
    ladder.try_out(BEST, b'best')
    verdict = ladder.add(episode(1, 2.0))  # told late
    assert verdict is not None
    assert verdict.rung is ladder.accepted
    ladder.drop(verdict.rung)
    assert ladder.acting.policy is BASE
    assert ladder.on_trial is None


def test_returns_of_a_model_that_has_left_count_for_nobody():
    ladder = with_accepted()
    with pytest.raises(UserError, match=r'model 7 is none of those that count: 0, 1$'):
        ladder.add(episode(7, 1.0))


def test_a_ladder_knows_its_models():
    ladder = with_accepted()
    assert ladder.holds(BASE.sha256)
    assert ladder.holds(BETTER.sha256)
    assert not ladder.holds(BEST.sha256)


def test_only_the_newest_twenty_returns_count():
    ladder = known_ladder()
    for value in range(30):
        ladder.add(episode(0, float(value)))
    assert list(ladder.base.returns) == [float(value) for value in range(10, 30)]


def test_a_return_is_read():
    read = read_episode_return('{"model": 3, "return": -1.5, "length": 250}')
    assert (read.model, read.value, read.length) == (3, -1.5, 250)
    assert read_episode_return('{"model": 0, "return": 2, "length": 1}').value == 2.0


@pytest.mark.parametrize(
    ('text', 'error'),
    [
        ('', 'episode_return: found .*; invalid JSON'),
        ('[' * 999, 'episode_return: .*'),
        ('{}', r'episode_return: model: is missing \(and 2 more\)'),
        ('[1, 2.0, 3]', 'episode_return: found .*'),
        (json.dumps({'model': 1.5, 'return': 2.0, 'length': 3}), 'model: found 1.5; .*integer'),
        (json.dumps({'model': True, 'return': 2.0, 'length': 3}), 'model: found True; .*integer'),
        (json.dumps({'model': -1, 'return': 2.0, 'length': 3}), 'model: found -1; .*'),
        ('{"model": 1, "return": NaN, "length": 3}', 'return: found nan; .*'),
        ('{"model": 1, "return": Infinity, "length": 3}', 'return: found inf; .*'),
        ('{"model": 1, "return": 1e400, "length": 3}', 'return: found inf; .*'),
        ('{"model": 1, "return": 1e13, "length": 3}', 'return: found 1e?.*; .*'),
        (json.dumps({'model': 1, 'return': '2', 'length': 3}), "return: found '2'; .*number"),
        (json.dumps({'model': 1, 'return': True, 'length': 3}), 'return: found True; .*number'),
        (json.dumps({'model': 1, 'return': 2.0, 'length': 0}), 'length: found 0; .*'),
        (json.dumps({'model': 1, 'return': 2.0, 'length': 3, 'x': 4}), 'x: found 4; extra .*'),
        ('\x1b[31m', 'episode_return: found .*'),
        (' ' * 1001, 'has 1001 characters; at most 1000 are allowed'),
    ],
)
def test_what_is_no_return_is_refused_in_one_line(text: str, error: str):
    with pytest.raises(UserError, match=error) as caught:
        read_episode_return(text)
    assert '\n' not in str(caught.value)
    assert '\x1b' not in str(caught.value)


def test_an_interrupted_episode_ends_a_trial_and_nothing_else():
    ladder = with_accepted()
    ladder.try_out(BEST, b'best')
    ladder.acting.numbers.append(2)
    told = {'model': 1, 'return': 1.0, 'length': 50, 'interrupted': True}
    assert ladder.add(EpisodeReturn.model_validate(told)) is None
    verdict = ladder.add(EpisodeReturn.model_validate({**told, 'model': 2}))
    assert verdict is not None
    assert (verdict.rung.policy, verdict.code) == (BEST, 'E_CAND_STOPPED')
    assert list(verdict.rung.returns) == []


def test_returns_of_other_conditions_are_kept_apart_and_are_there_again_with_these():
    ladder = with_accepted()
    ladder.try_out(BEST, b'best')
    before = ladder.conditions
    ladder.change_conditions(Conditions(0.1, 1.0))
    assert ladder.acting.policy is BETTER  # no trial outlives that
    assert list(ladder.acting.returns) == []
    assert ladder.acting.watch is None  # what the base comes to with noise is not known
    with pytest.raises(UserError, match='model 1 is none of those that count'):
        ladder.add(episode(1, 12.0))  # it began before
    for number in range(20):
        ladder.change_conditions(Conditions(0.1, number / 100))
    assert len(ladder.base.elsewhere) <= REMEMBERED

    ladder = with_accepted()
    ladder.change_conditions(Conditions(0.1, 1.0))
    ladder.change_conditions(before)
    ladder.acting.numbers.append(4)
    assert list(ladder.acting.returns) == [12.0, 13.0, 14.0]
    verdict = ladder.add(episode(4, 1.0))
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'


def test_where_nothing_is_known_of_the_base_an_accepted_model_must_not_become_worse_than_it_is():
    ladder = with_accepted()
    ladder.change_conditions(Conditions(0.1, 1.0))
    ladder.acting.numbers.append(3)
    assert [ladder.add(episode(3, value)) for value in (6.0, 7.0, 8.0)] == [None] * 3
    verdict = ladder.add(episode(3, 1.0))
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'
    assert verdict.text == 'return 1 of 1 episode; 7 +- 1 of 3 episodes before'


def test_what_was_accepted_beside_a_base_without_returns_is_to_stay_as_good_as_in_its_trial():
    ladder = Ladder(Rung(BASE), Conditions(0.0, 1.0))
    rung = Rung(BETTER, b'better')
    rung.returns.extend((12.0, 13.0, 14.0))
    rung.numbers.append(1)
    ladder.accept(rung)
    verdict = ladder.add(episode(1, 5.0))
    assert verdict is not None
    assert verdict.text == 'return 5 of 1 episode; 13 +- 1 of 3 episodes before'


@pytest.mark.parametrize('exploration', [0.0, 0.05])
def test_with_less_noise_an_accepted_model_is_to_be_as_good_as_the_base_was_with_more(
    exploration: float,
):
    ladder = Ladder(Rung(BASE), Conditions(0.1, 1.0))
    ladder.base.returns.extend(BEFORE)
    ladder.accept(Rung(BETTER, b'better'))
    ladder.change_conditions(Conditions(exploration, 1.0))
    ladder.acting.numbers.append(3)
    assert ladder.add(episode(3, 10.0)) is None
    verdict = ladder.add(episode(3, 1.0))
    assert verdict is not None
    assert verdict.text == 'return 1 of 1 episode; 10 +- 1 of 3 episodes before'
