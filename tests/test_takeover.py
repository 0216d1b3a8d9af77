"""takeover.py: a person acts in place of the policy, on a clock that the test turns by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from builders import make_spec, make_state

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController
from sac_ros.exploration_noise import SmoothNoise
from sac_ros.spec import TaskSpec
from sac_ros.takeover import Takeover

DT = 0.02  # [s]; 5 rad/s^2 allow 0.1 rad/s in a period
TIMEOUT = 0.07  # [s]: three periods and a half
SPEC = make_spec()


class Robot:
    """A controlled robot, tick by tick; its policy asks for 1 rad/s and counts how often."""

    def __init__(self, spec: TaskSpec = SPEC) -> None:
        self.asked = 0
        self.ticks = 0
        self.controller = PolicyController(spec, self._ask)
        self.controller.takeover.timeout = TIMEOUT
        assert self.controller.activate(make_state(), 0.0) is None

    @property
    def now(self) -> float:
        return self.ticks * DT

    def say(self, *values: float) -> str:
        """Let a person say something now; return why it is refused, if it is."""
        return str(self.controller.takeover.take(values, self.now) or '')

    def tick(self, **changes: tuple[float, float]) -> ControlStep:
        self.ticks += 1
        return self.controller.step(make_state(self.now, **changes), self.now)

    def run(self, ticks: int, *says: float) -> list[ControlStep]:
        """Tick; the person says the same before each, if anything."""
        steps = []
        for _ in range(ticks):
            if says:
                assert self.say(*says) == ''
            steps.append(self.tick())
        return steps

    def reset(self) -> str:
        return str(self.controller.reset(make_state(self.now), self.now) or '')

    def _ask(self, observation: np.ndarray) -> np.ndarray:
        self.asked += 1
        return np.ones(2, dtype=np.float32)


def first(steps: list[ControlStep]) -> list[float]:
    return [round(float(step.command[0]), 9) for step in steps]


def modes(steps: list[ControlStep]) -> list[Mode]:
    return [step.mode for step in steps]


def codes(steps: list[ControlStep]) -> set[str]:
    return {'' if step.fault is None else step.fault.code for step in steps}


@pytest.mark.fault('F09', 'ACTIVE', '')
def test_a_person_acts_from_the_next_tick_on_and_the_policy_from_the_one_after_letting_go() -> (
    None
):
    robot = Robot()
    before = robot.run(3)
    asked = robot.asked
    during = robot.run(4, -1.0, 0.25)
    assert robot.asked == asked  # the policy is silent
    assert robot.say() == ''
    after = robot.run(3)

    assert first(before + during + after) == [0.1, 0.2, 0.3, 0.2, 0.1, 0, -0.1, 0.0, 0.1, 0.2]
    assert modes(before + during + after) == [Mode.ACTIVE] * 10
    assert codes(before + during + after) == {''}
    labels = [step.is_takeover for step in before + during + after]
    assert labels == [False] * 3 + [True] * 4 + [False] * 3
    for step in during:
        np.testing.assert_array_equal(step.action, np.float32([-1.0, 0.25]))
        assert step.observation is not None  # it is learned from
    for step in before + after:
        np.testing.assert_array_equal(step.action, [1.0, 1.0])


@pytest.mark.fault('F10', 'SAFE', 'E_TAKEOVER_LOST')
def test_a_person_who_falls_silent_is_stopped_for_and_the_policy_does_not_act() -> None:
    robot = Robot()
    robot.run(2)
    asked = robot.asked
    robot.run(3, -1.0, -1.0)  # to -0.1 rad/s, the last word at 0.08 s, the last tick at 0.10 s

    steps = robot.run(100)

    # At 0.12 and 0.14 s it is 0.04 and 0.06 s old, at 0.16 s it is too old.
    assert modes(steps) == [Mode.ACTIVE] * 2 + [Mode.SAFE] * 98
    assert first(steps)[:6] == [-0.2, -0.3, -0.2, -0.1, 0.0, 0.0]
    assert not any(step.command.any() for step in steps[5:])
    assert codes(steps[2:]) == {'E_TAKEOVER_LOST'}
    assert steps[2].fault is not None
    assert steps[2].fault.text == ('the newest action on ~/takeover is 0.080 s old (limit 0.07 s)')
    assert robot.asked == asked
    assert not any(step.is_takeover for step in steps[2:])


@pytest.mark.fault('F10', 'resumed', 'E_TAKEOVER_LOST')
@pytest.mark.parametrize(
    ('end', 'acts'),
    [
        (lambda robot: robot.say(), 1.0),
        (lambda robot: robot.reset(), 1.0),
        (lambda robot: '', -1.0),  # the person is back, below
    ],
    ids=['release', 'reset', 'new action'],
)
def test_after_a_loss_the_robot_waits_for_a_word_and_for_ten_good_ticks(
    end: Callable[[Robot], str], acts: float
) -> None:
    robot = Robot()
    robot.run(1, -1.0, -1.0)
    assert codes(robot.run(20)[3:]) == {'E_TAKEOVER_LOST'}
    assert end(robot) == ''

    steps = robot.run(11, *([] if acts > 0.0 else [-1.0, -1.0]))

    assert modes(steps) == [Mode.SAFE] * 9 + [Mode.ACTIVE] * 2
    assert codes(steps) == {''}
    assert first(steps) == [0.0] * 9 + [0.1 * acts, 0.2 * acts]
    assert [step.is_takeover for step in steps[9:]] == [acts < 0.0] * 2


@pytest.mark.parametrize(
    ('values', 'refusal'),
    [
        ((0.5,), '~/takeover has 1 numbers; 2 are needed, or none to let go'),
        ((0.5,) * 3, '~/takeover has 3 numbers; 2 are needed, or none to let go'),
        ((0.5, math.nan), 'elbow on ~/takeover is nan; a finite number is needed'),
        ((-math.inf, 0.0), 'shoulder on ~/takeover is -inf; a finite number is needed'),
    ],
)
@pytest.mark.fault('F10', 'SAFE', 'E_TAKEOVER_LOST')
def test_nonsense_is_refused_and_keeps_no_takeover_alive(
    values: tuple[float, ...], refusal: str
) -> None:
    robot = Robot()
    assert robot.say(*values) == f'W_TAKEOVER_REFUSED: {refusal}'
    assert not robot.tick().is_takeover  # nor does it begin one
    assert robot.say(-1.0, -1.0) == ''
    steps = []
    for _ in range(10):
        steps.append(robot.tick())
        assert robot.say(*values) == f'W_TAKEOVER_REFUSED: {refusal}'

    assert modes(steps) == [Mode.ACTIVE] * 3 + [Mode.SAFE] * 7
    assert codes(steps[3:]) == {'E_TAKEOVER_LOST'}


def test_an_action_out_of_bounds_is_brought_to_them_and_the_rate_limit_holds() -> None:
    robot = Robot(make_spec(lower=[-1.0, -0.5], upper=[1.0, 0.5]))

    steps = robot.run(12, -1e300, 50.0)

    np.testing.assert_array_equal(steps[0].action, [-1.0, 0.5])
    assert first(steps) == [-0.1, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -0.8, -0.9, -1, -1, -1]
    assert steps[-1].command[1] == 0.5


def test_the_speed_scale_holds_for_a_person_too() -> None:
    robot = Robot()
    robot.controller.speed_scale = 0.5

    assert first(robot.run(12, -1.0, -1.0))[-3:] == [-0.5] * 3


def test_no_noise_is_added_to_the_action_of_a_person() -> None:
    robot = Robot()
    robot.controller.noise = SmoothNoise(SPEC, 1.0, 0.0, np.random.default_rng(0))

    for step in robot.run(5, -0.5, 0.5):
        np.testing.assert_array_equal(step.action, [-0.5, 0.5])
    assert robot.say() == ''
    assert (np.asarray(robot.tick().action) != 1.0).any()


def test_a_state_that_is_not_believed_stops_the_person_too() -> None:
    robot = Robot()
    robot.run(3, -1.0, -1.0)
    steps = []
    for _ in range(3):
        assert robot.say(-1.0, -1.0) == ''
        steps.append(robot.tick(joint_position=(math.nan, 0.0)))

    assert modes(steps) == [Mode.HOLD, Mode.SAFE, Mode.SAFE]
    assert first(steps) == [-0.3, -0.2, -0.1]
    assert codes(steps) == {'E_OBS_NONFINITE'}
    assert not any(step.is_takeover for step in steps)


def test_an_emergency_stop_counts_for_a_person_too_and_a_reset_leaves_the_person_in_charge() -> (
    None
):
    robot = Robot()
    robot.run(3, -1.0, -1.0)
    robot.controller.emergency_stop('the button was pressed')
    stopped = robot.run(3, -1.0, -1.0)
    assert robot.reset() == ''
    back = robot.run(11, -1.0, -1.0)

    assert modes(stopped) == [Mode.FAULT] * 3
    assert first(stopped) == [-0.2, -0.1, 0.0]
    assert modes(back) == [Mode.SAFE] * 9 + [Mode.ACTIVE] * 2
    assert first(back)[9:] == [-0.1, -0.2]
    assert back[-1].is_takeover


def test_a_lost_person_is_not_forgotten_by_a_reset_while_something_else_is_wrong() -> None:
    robot = Robot()
    robot.run(1, -1.0, -1.0)
    robot.run(10)
    gone = make_state(0.0)  # 0.22 s old, 0.1 s is allowed

    fault = robot.controller.reset(gone, robot.now)

    assert fault is not None
    assert fault.code == 'E_OBS_STALE'
    assert codes(robot.run(20)) == {'E_TAKEOVER_LOST'}
    assert robot.reset() == ''
    assert modes(robot.run(10)) == [Mode.SAFE] * 9 + [Mode.ACTIVE]


def test_while_inactive_a_person_moves_nothing_and_is_forgotten_when_gone() -> None:
    robot = Robot()
    robot.controller.deactivate()
    assert robot.say(-1.0, -1.0) == ''
    robot.ticks = 10
    assert robot.controller.activate(make_state(robot.now), robot.now) is None

    (step,) = robot.run(1)

    assert (step.mode, step.is_takeover) == (Mode.ACTIVE, False)
    np.testing.assert_allclose(step.command, [0.1, 0.1])


def test_a_person_who_is_there_at_the_start_is_in_charge_from_the_first_tick_on() -> None:
    robot = Robot()
    robot.controller.deactivate()
    assert robot.say(-1.0, -1.0) == ''
    assert robot.controller.activate(make_state(robot.now), robot.now) is None

    (step,) = robot.run(1)

    assert step.is_takeover
    np.testing.assert_allclose(step.command, [-0.1, -0.1])
    assert robot.asked == 0


def test_an_action_from_the_future_does_not_stay_young_when_the_clock_goes_back() -> None:
    takeover = Takeover(SPEC)
    assert takeover.take([0.1, 0.2], now=100.0) is None
    assert takeover.find_fault(100.19) is None  # 0.2 s unless somebody says otherwise

    fault = takeover.find_fault(90.0)

    assert str(fault) == (
        'E_TAKEOVER_LOST: the newest action on ~/takeover is -10.000 s old (limit 0.2 s)'
    )
    takeover.forget_lost(90.0)
    assert takeover.action is None
