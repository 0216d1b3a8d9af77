"""trial.py: when a model is worse than the one before it."""

import math

import numpy as np
import pytest
from builders import make_spec

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
