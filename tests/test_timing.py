"""The schedule of ticks against simulated arrivals, and the numbers made of them."""

from collections.abc import Iterable

import numpy as np
import pytest

from sac_ros.timing import Samples, TickSchedule, TickStatistics, Watchdog

DT = 0.02


def ticks(arrivals: Iterable[float], end: float) -> tuple[np.ndarray, int]:
    """Return when ticks come for given arrivals until `end`, and how many a state started."""
    schedule = TickSchedule(DT)
    schedule.start(0.0)
    times, with_state = [], 0
    for arrival in [*arrivals, end]:
        while schedule.deadline < arrival:
            now = schedule.deadline
            schedule.tick_at_deadline(now)
            times.append(now)
        if arrival < end:
            schedule.arrived(arrival)
            if schedule.is_due(arrival):
                schedule.tick_with_state(arrival)
                times.append(arrival)
                with_state += 1
    return np.array(times), with_state


def steady(rate: float, seconds: float, start: float = 0.0) -> np.ndarray:
    return np.arange(start + 1.0 / rate, seconds, 1.0 / rate)


def test_each_state_at_the_control_rate_starts_a_tick():
    arrivals = steady(50.0, 2.0)
    times, with_state = ticks(arrivals, end=2.0)
    np.testing.assert_array_equal(times, arrivals)
    assert with_state == len(arrivals)


def test_jitter_of_a_third_of_a_period_does_not_skip_a_state():
    random = np.random.default_rng(0)
    arrivals = steady(50.0, 20.0) + random.uniform(-0.2, 0.2, size=999) * DT
    _, with_state = ticks(arrivals, end=20.0)
    assert with_state == len(arrivals)


def test_every_twentieth_state_of_a_kilohertz_starts_a_tick():
    times, with_state = ticks(steady(1000.0, 10.0), end=10.0)
    assert with_state == len(times)
    np.testing.assert_allclose(np.diff(times[5:]), DT, atol=1e-9)


@pytest.mark.parametrize('rate', [48.0, 49.5, 49.99, 50.01, 50.5, 50.9])
def test_a_clock_that_is_a_little_off_is_followed(rate):
    arrivals = steady(rate, 60.0)
    _, with_state = ticks(arrivals, end=60.0)
    assert with_state >= 0.999 * len(arrivals)


@pytest.mark.parametrize(
    'rate', [0.5, 10.0, 24.0, 30.0, 40.0, 45.0, 52.0, 55.0, 60.0, 75.0, 90.0, 130.0, 333.0, 999.0]
)
def test_the_control_rate_is_kept_whatever_the_rate_of_the_state(rate):
    times, _ = ticks(steady(rate, 60.0), end=60.0)
    # 2 % faster at most, so that max_rate holds.
    assert 47.0 <= len(times) / 60.0 <= 51.1
    assert np.diff(times).max() <= 1.8 * DT


def test_without_a_state_ticks_come_each_period_from_a_quarter_period_late_on():
    times, with_state = ticks([], end=0.1)
    # Due at 20, 40, 60, 80 ms, each with 5 ms of grace.
    np.testing.assert_allclose(times, [0.025, 0.045, 0.065, 0.085])
    assert with_state == 0


def test_after_one_lost_state_the_next_one_is_on_time_again():
    arrivals = np.delete(steady(50.0, 1.0), 10)  # without the one at 220 ms
    times, with_state = ticks(arrivals, end=1.0)
    assert with_state == len(arrivals)
    np.testing.assert_allclose(times[9:12], [0.2, 0.225, 0.24])


@pytest.mark.parametrize('phase', [0.05, 0.3, 0.45, 0.55, 0.7, 0.95])
def test_states_that_come_back_at_any_phase_soon_start_each_tick_again(phase):
    before, after = steady(50.0, 1.0), steady(50.0, 3.0, start=2.0 + phase * DT)
    _, with_state = ticks([*before, *after], end=3.0)
    assert with_state >= len(before) + len(after) - 12


def test_two_states_at_once_start_one_tick():
    arrivals = np.sort(np.concatenate([steady(50.0, 2.0), steady(50.0, 2.0) + 0.001]))
    times, _ = ticks(arrivals, end=2.0)
    assert len(times) in (99, 100)


def test_a_tick_that_is_far_too_late_begins_a_new_schedule():
    schedule = TickSchedule(DT)
    schedule.start(0.0)
    assert schedule.tick_with_state(0.1) == pytest.approx(0.08)  # due at 20 ms
    assert schedule.deadline == pytest.approx(0.1 + 1.25 * DT)


def test_a_simulation_that_begins_again_at_zero_is_followed_at_once():
    schedule = TickSchedule(DT)
    schedule.start(100.0)
    assert schedule.is_due(0.02)
    schedule.tick_with_state(0.02)
    assert not schedule.is_due(0.025)
    assert schedule.is_due(0.04)


def test_percentiles_are_of_the_newest_samples_and_the_maximum_is_of_all():
    samples = Samples(window=100)
    assert samples.summary() == {}
    samples.add(1000.0)
    for value in range(1, 101):
        samples.add(float(value))
    # 1 to 100: the median is 50.5; 0.99 * 99 = 98.01 steps above the first, which is 1.
    assert samples.summary() == pytest.approx({'p50': 50.5, 'p99': 99.01, 'max': 1000.0})


def test_a_tick_more_than_half_a_period_late_is_missed():
    statistics = TickStatistics(DT)
    for now, late in ((0.02, 0.0), (0.05, 0.0099), (0.09, 0.0101)):
        statistics.add_tick(now, late)
    assert (statistics.ticks, statistics.missed) == (3, 1)


def test_statistics_are_in_milliseconds_and_a_pause_is_no_period():
    statistics = TickStatistics(DT)
    statistics.add_tick(0.00, 0.0)
    statistics.add_tick(0.02, 0.0)
    statistics.restart()
    statistics.add_tick(9.00, 0.0)
    statistics.add_latency(0.0005, 0.0012)
    assert statistics.in_milliseconds() == {
        'period_ms.p50': 20.0,
        'period_ms.p99': 20.0,
        'period_ms.max': 20.0,
        'latency_ms.p50': 0.5,
        'latency_ms.p99': 0.5,
        'latency_ms.max': 0.5,
        'stamp_latency_ms.p50': 1.2,
        'stamp_latency_ms.p99': 1.2,
        'stamp_latency_ms.max': 1.2,
    }


def test_the_watchdog_acts_after_two_periods_and_then_once_in_each():
    watchdog = Watchdog(0.02)
    watchdog.start(0.0)
    watchdog.tick_ended(0.02)
    assert watchdog.rest(0.02) == pytest.approx(0.04)
    looks = [0.06, 0.08, 0.1]
    acted = []
    for now in looks:
        acted.append(watchdog.is_needed(now))
        assert watchdog.rest(now) == pytest.approx(0.02)
    assert acted == [True] * 3
    watchdog.tick_ended(0.105)
    assert not watchdog.is_needed(0.12)
    assert watchdog.rest(0.12) == pytest.approx(0.025)


def test_the_watchdog_says_that_it_has_sent_in_place_of_a_tick_for_half_a_period():
    watchdog = Watchdog(0.02)
    watchdog.start(0.0)
    watchdog.tick_ended(0.02)
    watchdog.rest(0.02)
    assert not watchdog.has_just_acted(0.021)  # that was the tick
    assert watchdog.is_needed(0.06)
    assert watchdog.has_just_acted(0.0699)
    assert not watchdog.has_just_acted(0.0701)  # the next period wants a command of its own
    watchdog.tick_ended(0.06)
    assert not watchdog.has_just_acted(0.0699)


def test_a_watchdog_that_has_slept_itself_lets_the_tick_go_first():
    watchdog = Watchdog(0.02)
    watchdog.start(0.0)
    watchdog.tick_ended(0.02)
    watchdog.rest(0.02)
    assert not watchdog.is_needed(2.0)  # the computer was frozen
    assert watchdog.rest(2.0) == pytest.approx(0.02)
    assert watchdog.is_needed(2.02)  # the tick has had its chance


@pytest.mark.parametrize('late', [0.011, 0.02, 0.05])
def test_a_watchdog_whose_looks_are_all_late_waits_once_and_then_acts(late: float):
    watchdog = Watchdog(0.02)
    watchdog.start(0.0)
    watchdog.tick_ended(0.02)
    now, acted = 0.02, []
    for _ in range(10):  # the tick hangs, and other threads keep the processor
        now += watchdog.rest(now) + late
        acted.append(watchdog.is_needed(now))
    assert acted == [False] + [True] * 9
    watchdog.tick_ended(now)
    now += watchdog.rest(now) + late
    assert not watchdog.is_needed(now)


def test_two_commands_are_at_least_half_a_period_apart():
    schedule = TickSchedule(0.02)
    schedule.start(0.0)  # due at 0.02, deadline at 0.025
    schedule.tick_at_deadline(0.025)
    schedule.sent(0.025)
    schedule.arrived(0.0312)  # the state that was late, 0.31 periods after the deadline
    assert not schedule.is_due(0.0312)
    schedule.sent(0.06)  # a tick that took long
    assert schedule.deadline >= 0.07
