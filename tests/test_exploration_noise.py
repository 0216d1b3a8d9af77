"""exploration_noise.py: its size, its colour, and when the controller adds it."""

import math
from itertools import pairwise

import numpy as np
import pytest
from builders import make_spec, make_state

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController
from sac_ros.exploration_noise import LARGEST, SmoothNoise
from sac_ros.spec import TaskSpec

DT = 0.02  # [s]: 50 Hz
# Half the range is 1 and 3, so 0.1 explores with deviations of 0.1 and 0.3.
SPEC = make_spec(lower=[-1.0, -2.0], upper=[1.0, 4.0])


def make_noise(
    exploration: float = 0.1, time: float = 0.2, seed: int = 0, spec: TaskSpec = SPEC
) -> SmoothNoise:
    return SmoothNoise(spec, exploration, time, np.random.default_rng(seed))


def test_half_of_a_value_is_left_after_a_half_life() -> None:
    noise = make_noise(time=DT / math.log(2.0))  # e^(-dt / tau) = 1/2, 1 - 1/4 is made anew
    n = np.random.default_rng(0).standard_normal((2, 2))
    first = math.sqrt(0.75) * n[0]
    second = 0.5 * first + math.sqrt(0.75) * n[1]
    assert np.abs((first, second)).max() < LARGEST

    np.testing.assert_allclose(noise.next(), [0.1, 0.3] * first)
    np.testing.assert_allclose(noise.next(), [0.1, 0.3] * second)


def test_it_wanders_with_the_deviation_and_the_correlation_time_that_were_asked_for() -> None:
    noise = make_noise(time=0.2)  # ten periods
    values = np.array([noise.next() for _ in range(100_000)]) / [0.1, 0.3]
    # 100,000 periods are 5,000 times two correlation times: a standard error of about 1 %.
    # A standard normal cut off at 2 has the variance 0.9205.
    np.testing.assert_allclose(values.std(axis=0), math.sqrt(0.9205), rtol=0.04)
    np.testing.assert_allclose(values.mean(axis=0), 0.0, atol=0.05)
    for lag, expected in ((1, math.exp(-0.1)), (10, math.exp(-1.0)), (60, math.exp(-6.0))):
        correlation = (values[lag:] * values[:-lag]).mean(axis=0) / values.var(axis=0)
        np.testing.assert_allclose(correlation, expected, atol=0.05)
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.05  # elements know nothing of each other


def test_no_value_is_beyond_two_deviations_and_some_would_be() -> None:
    noise = make_noise(time=0.0)
    largest = np.max([np.abs(noise.next()) for _ in range(1_000)], axis=0)
    np.testing.assert_allclose(largest, [0.2, 0.6], rtol=1e-12)


def test_without_a_correlation_time_it_is_white() -> None:
    noise = make_noise(time=0.0)
    n = np.random.default_rng(0).standard_normal((3, 2))
    for i in range(3):
        np.testing.assert_allclose(noise.next(), np.clip(n[i], -2.0, 2.0) * [0.1, 0.3])


def test_it_begins_anew_at_zero_with_other_numbers() -> None:
    noise = make_noise(time=1.0)
    first = noise.next()
    for _ in range(200):
        noise.next()
    noise.restart()
    again = noise.next()
    # sqrt(1 - e^-0.04) = 0.198 deviations at most times 4 or so, from 0
    assert (np.abs(again) < [0.08, 0.24]).all()
    assert (again != first).all()


def test_the_same_seed_gives_the_same_noise() -> None:
    one, same, other = make_noise(seed=3), make_noise(seed=3), make_noise(seed=4)
    for _ in range(5):
        value = one.next()
        np.testing.assert_array_equal(value, same.next())
        assert (value != other.next()).all()


def test_an_action_with_noise_stays_within_its_bounds() -> None:
    noise = make_noise(exploration=1.0, time=0.0)
    actions = np.array([noise.added_to(np.array([0.9, 3.9])) for _ in range(100)])
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(actions.max(axis=0), [1.0, 4.0])
    assert (actions >= [-1.0, -2.0]).all()


def test_nothing_is_explored_unless_somebody_says_so() -> None:
    for step in run(active(), 5):
        np.testing.assert_array_equal(step.action, [0.5, 0.5])


def test_the_record_has_the_action_with_its_noise_and_the_command_follows_it() -> None:
    controller = active(make_spec(max_rate=math.inf))
    controller.noise = make_noise(spec=controller.spec)
    expected = make_noise(spec=controller.spec)

    for step in run(controller, 50):
        wanted = (0.5 + expected.next()).astype(np.float32)
        np.testing.assert_array_equal(step.action, wanted)
        np.testing.assert_array_equal(step.command, wanted)


def test_nothing_is_added_while_the_robot_is_stopped() -> None:
    controller = active()
    controller.noise = make_noise()
    run(controller, 2)
    bad = [controller.step(make_state(joint_position=(4.0, 0.0)), 3 * DT) for _ in range(2)]
    recovering = run(controller, 10, start=4)

    assert [step.mode for step in bad] == [Mode.HOLD, Mode.SAFE]
    assert [step.mode for step in recovering] == [Mode.SAFE] * 9 + [Mode.ACTIVE]
    for step in recovering[:9]:
        np.testing.assert_array_equal(step.action, [0.5, 0.5])
        np.testing.assert_array_equal(step.command, [0.0, 0.0])
    assert (np.asarray(recovering[9].action) != 0.5).all()


def test_an_emergency_stop_ends_exploration_for_good() -> None:
    controller = active()
    controller.noise = make_noise()
    run(controller, 3)
    controller.emergency_stop('the button was pressed')
    run(controller, 3, start=4)
    assert controller.reset(make_state(6 * DT), 6 * DT) is None

    steps = run(controller, 20, start=7)

    assert steps[-1].mode is Mode.ACTIVE
    for step in steps:
        np.testing.assert_array_equal(step.action, [0.5, 0.5])


def test_each_activation_explores_from_zero_again() -> None:
    controller = active(make_spec(max_rate=math.inf))
    controller.noise = make_noise(spec=controller.spec, time=10.0)
    run(controller, 400)
    controller.deactivate()
    assert controller.activate(make_state(401 * DT), 401 * DT) is None

    (step,) = run(controller, 1, start=402)

    # sqrt(1 - e^-0.004) = 0.063 deviations of 0.1, times 4 at most
    np.testing.assert_allclose(step.command, 0.5, atol=0.026)


@pytest.mark.fault('F13', 'ACTIVE', '')
def test_noise_of_full_size_leaves_commands_bounded_and_rate_limited() -> None:
    controller = active()
    controller.noise = make_noise(exploration=1.0, time=0.0, spec=controller.spec)

    steps = run(controller, 500)

    assert {(step.mode, step.fault) for step in steps} == {(Mode.ACTIVE, None)}
    changes = [after.command - before.command for before, after in pairwise(steps)]
    assert np.abs(changes).max() == pytest.approx(0.1)  # 5 rad/s^2 * 0.02 s: the limit is used
    assert np.abs([step.command for step in steps]).max() <= 1.0
    actions = np.array([step.action for step in steps])
    assert (actions.min(axis=0) == -1.0).all()  # 0.5 - 2 is cut off
    assert (actions.max(axis=0) == 1.0).all()


def active(spec: TaskSpec | None = None) -> PolicyController:
    """Return a controller whose policy always asks for 0.5 rad/s."""
    answer = np.full(2, 0.5, dtype=np.float32)
    controller = PolicyController(spec or make_spec(), lambda _: answer)
    assert controller.activate(make_state(), 0.0) is None
    return controller


def run(controller: PolicyController, ticks: int, start: int = 1) -> list[ControlStep]:
    """Step with a good state at each period, from period `start` on."""
    return [controller.step(make_state(i * DT), i * DT) for i in range(start, start + ticks)]
