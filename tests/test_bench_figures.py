"""The arithmetic of the benchmarks: samples worked out by hand become the figures."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest

from sim_training.bench_command_watch import CommandWatch
from sim_training.bench_figures import Round, compare, match_answers, slope, worst_and_median
from sim_training.bench_models import bench_spec
from sim_training.bench_robot import JOINTS, paced, swing

NAN = float('nan')
PERIOD = 0.02  # [s]
STILL = [0.0] * 7
SPEC = bench_spec(50.0, timeout=0.1)  # bounds -1 and 1, 5 rad/s^2 * 0.02 s = 0.1 a period


def made_round(*latency: float, missed: int = 0, cpu_time: float = 0.001) -> Round:
    return Round(np.array(latency), missed, cpu_time)


def test_the_first_command_after_a_state_is_its_answer():
    latency, missed = match_answers([0.0, 0.02], [0.003, 0.004, 0.025], PERIOD)
    np.testing.assert_allclose(latency, [0.003, 0.005])
    assert missed == 0


def test_commands_before_the_first_state_answer_nothing():
    latency, missed = match_answers([1.0], [0.9, 0.99, 1.001], PERIOD)
    np.testing.assert_allclose(latency, [0.001])
    assert missed == 0


def test_a_state_without_a_command_in_its_period_is_missed():
    latency, missed = match_answers([0.0, 0.02], [0.005, 0.041], PERIOD)
    np.testing.assert_allclose(latency, [0.005])
    assert missed == 1


def test_what_follows_a_missed_state_is_not_timed_because_it_may_be_the_late_answer():
    # 21 ms after the first state, 1 ms after the second: not an answer in a millisecond.
    latency, missed = match_answers([0.0, 0.02, 0.04], [0.021, 0.044], PERIOD)
    np.testing.assert_allclose(latency, [0.004])
    assert missed == 1


def test_a_period_ends_with_the_next_state_when_that_one_came_early():
    latency, missed = match_answers([0.0, 0.015], [0.016], PERIOD)
    assert latency.size == 0
    assert missed == 1


def test_a_state_that_came_late_does_not_give_the_one_before_it_more_time():
    _, missed = match_answers([0.0, 0.05], [0.03, 0.06], PERIOD)
    assert missed == 1


def test_without_any_command_every_state_is_missed():
    latency, missed = match_answers([0.0, 0.02, 0.04], [], PERIOD)
    assert latency.size == 0
    assert missed == 3


def test_figures_are_medians_over_rounds_and_ratios_are_those_of_pairs():
    echo = [made_round(0.001, cpu_time=0.0005), made_round(0.004), made_round(0.002)]
    policy = [
        made_round(0.002, missed=1),
        made_round(0.005, missed=2),
        made_round(0.003, 0.003, cpu_time=0.003),
    ]
    result = compare(echo, policy)
    assert result['echo_node']['p50_ms'] == pytest.approx(2.0)
    assert result['policy_node']['p50_ms'] == pytest.approx(3.0)
    assert result['policy_node']['answers'] == 4
    assert result['policy_node']['missed'] == 3
    assert result['policy_node']['cpu_ms_per_command'] == pytest.approx(1.0)
    # The ratios of the pairs are 2, 1.25 and 1.5.
    assert result['ratio_p50'] == pytest.approx({'median': 1.5, 'min': 1.25, 'max': 2.0})
    assert result['ratio_p99'] == pytest.approx({'median': 1.5, 'min': 1.25, 'max': 2.0})
    each = result['policy_node']['rounds']
    assert [a_round['missed'] for a_round in each] == [1, 2, 0]


def test_the_99th_percentile_is_not_the_median():
    figures = compare([made_round(*np.linspace(0.0, 0.1, 101))], [made_round(0.05)])
    assert figures['echo_node']['p50_ms'] == pytest.approx(50.0)
    assert figures['echo_node']['p99_ms'] == pytest.approx(99.0)
    assert figures['ratio_p50']['median'] == pytest.approx(1.0)


def test_a_node_that_answered_nothing_has_no_figures_rather_than_good_ones():
    result = compare([made_round(0.001)], [made_round(missed=50)])
    assert math.isnan(result['policy_node']['p50_ms'])
    assert math.isnan(result['ratio_p99']['median'])
    assert result['policy_node']['missed'] == 50


def test_the_slope_is_that_of_the_line_of_least_squares():
    assert slope([0.0, 10.0, 20.0], [5.0, 25.0, 45.0]) == pytest.approx(2.0)
    # Deviations (-1, 0, 1) and (-1, 2, -1): no slope, whatever the point in the middle.
    assert slope([0.0, 1.0, 2.0], [0.0, 3.0, 0.0]) == pytest.approx(0.0)
    assert slope([1e6, 1e6 + 1.0, 1e6 + 3.0], [0.0, 1.0, 5.0]) == pytest.approx(12.0 / 7.0)


@pytest.mark.parametrize('times', [[], [1.0], [2.0, 2.0]])
def test_there_is_no_slope_through_fewer_than_two_times(times):
    assert math.isnan(slope(times, [3.0] * len(times)))


def test_worst_and_median():
    assert worst_and_median([2.0, 7.0, 3.0]) == {'median': 3.0, 'worst': 7.0}


def test_commands_in_time_are_counted_and_nothing_else():
    watch = CommandWatch(SPEC)
    for tick in range(5):
        watch.add(10.0 + tick * PERIOD, [0.1 * tick] * 7)
    assert (watch.commands, watch.missed, watch.violations) == (5, 0, 0)
    assert watch.longest == pytest.approx(1.0)


@pytest.mark.parametrize(
    ('interval', 'missed'),  # [periods]
    [(1.4, 0), (1.6, 1), (2.0, 1), (3.1, 2), (51.0, 50)],
)
def test_periods_without_a_command_are_counted_each(interval, missed):
    watch = CommandWatch(SPEC)
    watch.add(0.0, STILL)
    watch.add(interval * PERIOD, STILL)
    assert watch.missed == missed
    assert watch.longest == pytest.approx(interval)
    assert watch.violations == 0


def test_silence_at_the_end_is_missed_too():
    watch = CommandWatch(SPEC)
    watch.add(0.0, STILL)
    watch.end(11 * PERIOD)
    assert watch.missed == 10


def test_before_the_first_command_nothing_is_missed():
    watch = CommandWatch(SPEC)
    watch.end(100.0)
    assert (watch.missed, watch.longest) == (0, 0.0)


@pytest.mark.parametrize(
    'command',
    [
        [NAN] + [0.0] * 6,
        [float('inf')] + [0.0] * 6,
        [0.0] * 6 + [-0.101],  # faster than 0.1 a period
        [0.0] * 6,  # a joint is missing
    ],
)
def test_a_bad_command_is_a_violation(command):
    watch = CommandWatch(SPEC)
    watch.add(0.0, STILL)
    watch.add(PERIOD, command)
    assert watch.violations == 1
    assert watch.missed == 0


def test_bounds_are_kept_even_by_the_first_command():
    watch = CommandWatch(SPEC)
    watch.add(0.0, [1.0] * 7)
    assert watch.violations == 0
    watch.add(PERIOD, [1.001] + [1.0] * 6)
    assert watch.violations == 1


def test_the_largest_change_is_allowed_to_the_last_digit():
    watch = CommandWatch(SPEC)
    watch.add(0.0, [0.3] * 7)
    watch.add(PERIOD, [0.3 + 0.1] * 7)
    watch.add(2 * PERIOD, [0.3] * 7)
    assert watch.violations == 0


def test_the_robot_swings_as_fast_as_it_says_and_never_stands_still():
    (before, _), (_, velocity), (after, _) = (swing(100.0 + step * 1e-4) for step in (-1, 0, 1))
    assert len(before) == len(JOINTS) == 7
    np.testing.assert_allclose(np.subtract(after, before) / 2e-4, velocity, atol=1e-6)
    states = [swing(1e9 + tick * PERIOD)[0] for tick in range(500)]
    assert all(one != two for one, two in pairwise(states))


def test_a_pace_begins_at_once_and_never_makes_up_for_what_was_slept_through(monkeypatch):
    clock = [100.0]
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr('sim_training.bench_robot.time.monotonic', lambda: clock[0])
    monkeypatch.setattr('sim_training.bench_robot.time.sleep', sleep)
    times = []
    for _ in islice(paced(50.0), 5):
        times.append(clock[0])
        clock[0] += 0.07 if len(times) == 2 else 0.005  # once, three periods are slept through
    np.testing.assert_allclose(times, [100.0, 100.02, 100.09, 100.11, 100.13])
    np.testing.assert_allclose(slept[:4], [0.015, 0.0, 0.015, 0.015], atol=1e-9)
