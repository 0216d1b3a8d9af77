"""controller.py: the states of the control tick, on a clock that the test turns by hand."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from builders import make_spec, make_state

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController
from sac_ros.exploration_noise import SmoothNoise
from sac_ros.fault import Fault
from sac_ros.observation import observe
from sac_ros.spec import TaskSpec

Policy = Callable[[np.ndarray], np.ndarray]


def test_nothing_is_sent_before_activation() -> None:
    controller = PolicyController(make_spec(), _always(1.0))

    assert _mode(controller) is Mode.INACTIVE
    with pytest.raises(RuntimeError, match=r'^a tick needs an active controller; call activate'):
        controller.step(make_state(), 0.0)


def test_a_fault_prevents_activation_and_is_returned() -> None:
    controller = PolicyController(make_spec(), _always(1.0))

    fault = controller.activate(make_state(joint_position=(4.0, 0.0)), 0.0)

    assert str(fault) == 'E_OBS_RANGE: joint_position of shoulder 4 is outside [-3.0, 3.0]'
    assert _mode(controller) is Mode.INACTIVE
    assert controller.find_fault(make_state(), 0.0) is None
    assert controller.activate(make_state(), 0.0) is None
    assert _mode(controller) is Mode.ACTIVE


@pytest.mark.fault('A21', 'INACTIVE', 'E_OBS_RANGE')
def test_a_position_outside_the_bounds_of_the_action_prevents_activation() -> None:
    spec = make_spec(interface='position', stop='hold')  # the guard lets the elbow be at 2 rad
    controller = PolicyController(spec, _always(0.0))
    outside = make_state(joint_position=(0.0, 1.5))

    fault = controller.activate(outside, 0.0)

    assert str(fault) == (
        'E_OBS_RANGE: joint_position of elbow 1.5 is 0.5 outside the bounds of the action '
        '[-1.0, 1.0]; 0.1 is allowed, the step of a period at max_rate'
    )
    assert controller.find_fault(outside, 0.0) == fault
    assert _mode(controller) is Mode.INACTIVE
    assert controller.activate(make_state(joint_position=(0.0, 1.05)), 0.0) is None


def test_a_position_that_leaves_the_bounds_while_it_runs_is_no_fault_and_recovers() -> None:
    controller = _active(make_spec(interface='position', stop='hold'), _always(1.0))
    outside = make_state(joint_position=(0.0, 1.5))
    controller.forbid(Fault('W_DISABLED', 'an operator has called ~/enable with false'))
    controller.step(outside, 0.0)
    controller.permit('W_DISABLED')

    assert controller.find_fault(outside, 0.0) is None
    steps = [controller.step(outside, 0.0) for _ in range(10)]

    assert [step.mode for step in steps] == [Mode.SAFE] * 9 + [Mode.ACTIVE]


def test_a_tick_tells_what_was_seen_asked_for_and_sent() -> None:
    spec = make_spec()
    controller = _active(spec, _always(1.0, -1.0))

    first = controller.step(make_state(0.02), 0.02)
    second = controller.step(make_state(0.04), 0.04)

    assert (first.stamp, first.sequence, first.mode, first.fault) == (0.02, 1, Mode.ACTIVE, None)
    assert (second.stamp, second.sequence) == (0.04, 2)
    np.testing.assert_array_equal(first.observation, observe(spec, make_state(), np.zeros(2)))
    np.testing.assert_array_equal(first.action, [1.0, -1.0])
    np.testing.assert_allclose(first.command, [0.1, -0.1])  # 5 rad/s^2 * 0.02 s
    np.testing.assert_allclose(second.command, [0.2, -0.2])


def test_the_policy_sees_the_command_that_was_sent_and_not_what_it_asked_for() -> None:
    controller = _active(make_spec(), _always(1.0, -1.0))
    controller.step(make_state(), 0.0)

    observation = controller.step(make_state(), 0.0).observation

    assert observation is not None
    np.testing.assert_allclose(observation[-2:], [0.1, -0.1], rtol=1e-6)


def test_a_single_bad_message_is_bridged_by_the_last_command() -> None:
    steps = _run(_active(make_spec(), _always(1.0)), 'good good bad good')

    assert [step.mode for step in steps] == [Mode.ACTIVE, Mode.ACTIVE, Mode.HOLD, Mode.ACTIVE]
    assert _first_elements(steps) == pytest.approx([0.1, 0.2, 0.2, 0.3])
    assert steps[2].observation is None
    assert steps[2].action is None
    assert str(steps[2].fault) == 'E_OBS_NONFINITE: joint_position of shoulder is nan'


def test_a_bad_message_soon_after_another_is_not_bridged() -> None:
    controller = _active(make_spec(), _always(1.0))

    steps = _run(controller, 'bad ' + 'good ' * 9 + 'bad good')

    assert [step.mode for step in steps] == [Mode.HOLD] + [Mode.ACTIVE] * 9 + [Mode.SAFE] * 2


def test_every_eleventh_message_may_be_bad() -> None:
    steps = _run(_active(make_spec(), _always(1.0)), ('bad ' + 'good ' * 10) * 3)

    assert [step.mode for step in steps] == ([Mode.HOLD] + [Mode.ACTIVE] * 10) * 3


def test_a_lasting_fault_holds_one_period_then_stops_and_recovers_after_ten_good_ticks() -> None:
    controller = _active(make_spec(), _always(1.0))

    steps = _run(controller, 'good ' * 3 + 'bad ' * 4 + 'good ' * 12)

    modes = [Mode.ACTIVE] * 3 + [Mode.HOLD] + [Mode.SAFE] * 3 + [Mode.SAFE] * 9 + [Mode.ACTIVE] * 3
    assert [step.mode for step in steps] == modes
    # up to 0.3, held, down to the stop command 0 in steps of 0.1, and up again
    commands = [0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0.0] + [0.0] * 9 + [0.1, 0.2, 0.3]
    assert _first_elements(steps) == pytest.approx(commands, abs=1e-12)
    assert [step.fault is None for step in steps] == [True] * 3 + [False] * 4 + [True] * 12


def test_a_bad_tick_while_recovering_starts_the_ten_good_ones_again() -> None:
    controller = _active(make_spec(), _always(1.0))

    steps = _run(controller, 'bad bad ' + 'good ' * 9 + 'bad ' + 'good ' * 10)

    assert [step.mode for step in steps] == (
        [Mode.HOLD] + [Mode.SAFE] * (1 + 9 + 1 + 9) + [Mode.ACTIVE]
    )


@pytest.mark.fault('A02', 'SAFE', 'E_OBS_NONFINITE')
def test_a_difference_that_overflows_float32_is_a_fault_and_the_policy_is_not_asked() -> None:
    answers = _Answers(1.0)
    controller = _active(make_spec(limits={}), answers)
    # each fits float32, which ends at 3.4e38, and their difference, 6e38, does not
    far = make_state(goal=(3e38, 0.0, 0.0), tool_position=(-3e38, 0.0, 0.0))

    with np.errstate(all='raise'):
        steps = [controller.step(state, 0.0) for state in (make_state(), far, far)]

    assert [step.mode for step in steps] == [Mode.ACTIVE, Mode.HOLD, Mode.SAFE]
    assert str(steps[1].fault) == (
        'E_OBS_NONFINITE: goal_from_tool[0] of the observation is inf; '
        'a finite number in float32 is needed'
    )
    assert answers.asked == 1
    assert steps[1].observation is None
    assert steps[1].action is None


def test_a_policy_that_answers_nan_three_times_is_latched_out_until_reset() -> None:
    answers = _Answers(1.0, 1.0, math.nan, math.nan, math.nan, 1.0)
    controller = _active(make_spec(), answers)

    steps = _run(controller, 'good ' * 8)

    assert [step.mode for step in steps] == (
        [Mode.ACTIVE] * 2 + [Mode.HOLD, Mode.SAFE] + [Mode.FAULT] * 4
    )
    # held at 0.2, then to the stop command
    assert _first_elements(steps) == pytest.approx([0.1, 0.2, 0.2, 0.1, 0, 0, 0, 0], abs=1e-12)
    assert answers.asked == 5  # and never again
    assert str(steps[7].fault) == 'E_ACT_NONFINITE: the policy answered [nan nan]'
    assert controller.find_fault(make_state(), 0.0) == steps[7].fault

    assert controller.reset(make_state(), 0.0) is None

    assert _mode(controller) is Mode.SAFE
    assert controller.find_fault(make_state(), 0.0) is None
    steps = _run(controller, 'good ' * 10)
    assert [step.mode for step in steps] == [Mode.SAFE] * 9 + [Mode.ACTIVE]


def test_an_emergency_stop_leads_to_the_stop_command_until_reset_and_ten_good_ticks() -> None:
    controller = _active(make_spec(), _always(1.0, 1.0))
    _run(controller, 'good ' * 3)  # up to 0.3 rad/s
    controller.emergency_stop('the button was pressed')

    stopped = _run(controller, 'good ' * 5)
    assert controller.reset(make_state(), 0.0) is None
    recovering = _run(controller, 'good ' * 11)

    assert {step.mode for step in stopped} == {Mode.FAULT}
    assert {str(step.fault) for step in stopped} == {'E_ESTOP: the button was pressed'}
    assert _first_elements(stopped) == pytest.approx([0.2, 0.1, 0, 0, 0], abs=1e-12)
    assert [step.mode for step in recovering] == [Mode.SAFE] * 9 + [Mode.ACTIVE] * 2


def test_an_emergency_stop_while_inactive_forbids_activation_until_reset() -> None:
    controller = PolicyController(make_spec(), _always(0.0))
    controller.emergency_stop('the button was pressed')
    assert str(controller.activate(make_state(), 0.0)) == 'E_ESTOP: the button was pressed'
    assert _mode(controller) is Mode.INACTIVE
    assert controller.reset(make_state(), 0.0) is None
    assert controller.activate(make_state(), 0.0) is None


def test_an_emergency_stop_keeps_the_cause_that_has_latched_before_it() -> None:
    controller = _active(make_spec(), _always(math.nan))
    _run(controller, 'good ' * 3)
    controller.noise = SmoothNoise(make_spec(), 0.1, 0.1, np.random.default_rng(0))

    controller.emergency_stop('the button was pressed')

    (step,) = _run(controller, 'good')
    assert step.mode is Mode.FAULT
    assert str(step.fault) == 'E_ACT_NONFINITE: the policy answered [nan nan]'
    assert controller.noise is None
    # One reset takes back both.
    assert controller.reset(make_state(), 0.0) is None
    assert controller.find_fault(make_state(), 0.0) is None


def test_of_two_emergency_stops_the_first_is_told() -> None:
    controller = _active(make_spec(), _always(1.0))
    controller.emergency_stop('the button was pressed')
    controller.emergency_stop('~/estop says true')

    assert {str(step.fault) for step in _run(controller, 'good good')} == {
        'E_ESTOP: the button was pressed'
    }
    assert controller.reset(make_state(), 0.0) is None
    controller.emergency_stop('~/estop says true')
    assert str(_run(controller, 'good')[0].fault) == 'E_ESTOP: ~/estop says true'


def test_a_latched_fault_outlives_deactivation_but_not_reset() -> None:
    controller = _active(make_spec(), _always(math.inf))
    _run(controller, 'good ' * 3)
    assert _mode(controller) is Mode.FAULT

    controller.deactivate()
    assert str(controller.activate(make_state(), 0.0)).startswith('E_ACT_NONFINITE')
    assert _mode(controller) is Mode.INACTIVE

    assert controller.reset(make_state(), 0.0) is None
    assert _mode(controller) is Mode.INACTIVE
    assert controller.activate(make_state(), 0.0) is None


def test_nan_answers_with_a_good_one_between_them_are_not_latched() -> None:
    controller = _active(make_spec(), _Answers(*[math.nan, math.nan, 1.0] * 5))

    steps = _run(controller, 'good ' * 15)

    assert Mode.FAULT not in [step.mode for step in steps]


def test_a_policy_that_is_broken_is_latched_although_bad_messages_come_between() -> None:
    controller = _active(make_spec(), _always(math.nan))

    steps = _run(controller, 'good bad good bad good')

    assert [step.mode for step in steps] == [Mode.HOLD] + [Mode.SAFE] * 3 + [Mode.FAULT]


def test_deactivation_gives_the_commands_that_lead_to_the_stop_command() -> None:
    controller = _active(make_spec(), _always(0.35, -0.15))
    _run(controller, 'good ' * 10)

    commands = controller.deactivate()

    assert _mode(controller) is Mode.INACTIVE
    # in steps of 5 rad/s^2 * 0.02 s = 0.1 rad/s from 0.35 and -0.15
    expected = [[0.25, -0.05], [0.15, 0.0], [0.05, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(commands, expected, atol=1e-7)  # the action is float32
    np.testing.assert_array_equal(commands[-1], [0.0, 0.0])


def test_deactivation_at_rest_still_sends_one_stop_command() -> None:
    commands = _active(make_spec(), _always(1.0)).deactivate()

    np.testing.assert_array_equal(commands, [[0.0, 0.0]])


def test_deactivation_of_a_position_holds_where_the_robot_was_sent_last() -> None:
    spec = make_spec(interface='position', stop='hold', max_rate=math.inf)
    controller = _active(spec, _always(0.5, -0.5))
    _run(controller, 'good')

    np.testing.assert_array_equal(controller.deactivate(), [[0.5, -0.5]])


def test_a_position_starts_anew_from_where_the_robot_is_at_each_activation() -> None:
    spec = make_spec(interface='position', stop='hold')
    controller = _active(spec, _always(1.0))
    _run(controller, 'good ' * 3)
    controller.deactivate()
    moved = make_state(joint_position=(-0.5, 0.6))  # by hand, meanwhile

    assert controller.activate(moved, 0.0) is None

    # 5 rad/s * 0.02 s = 0.1 rad from where it is
    np.testing.assert_allclose(controller.step(moved, 0.0).command, [-0.4, 0.7])


def test_activation_again_starts_as_the_first_time() -> None:
    controller = _active(make_spec(), _always(1.0))
    first = _run(controller, 'good ' * 3 + 'bad bad good')
    controller.deactivate()

    assert controller.activate(make_state(), 0.0) is None
    again = _run(controller, 'good ' * 3 + 'bad bad good')

    assert [(step.sequence, step.mode) for step in again] == [
        (step.sequence, step.mode) for step in first
    ]
    np.testing.assert_array_equal(
        [step.command for step in again], [step.command for step in first]
    )


def test_every_tick_says_which_model_was_asked() -> None:
    controller = _active(make_spec(), _always(1.0))
    first = _run(controller, 'good ' * 2)
    thought = controller.think(make_state(), 0.0)
    controller.swap(_always(-1.0))

    old = controller.decide(thought, 0.0)  # thought before the swap
    new = [*_run(controller, 'good bad'), controller.overrun(0.0)]

    np.testing.assert_array_equal(old.action, [1.0, 1.0])
    np.testing.assert_array_equal(new[0].action, [-1.0, -1.0])
    assert [step.model for step in (*first, old, *new)] == [0, 0, 0, 1, 1, 1]
    assert controller.model == 1


class _Answers:
    """A policy that gives these answers, one a tick, and the last for ever; it counts them."""

    def __init__(self, *answers: float) -> None:
        self.asked = 0
        self._answers = answers

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return np.full(2, answer, dtype=np.float32)


def _always(*action: float) -> Policy:
    """Return a policy with one answer: one number for both joints, or two."""
    answer = np.broadcast_to(np.array(action, dtype=np.float32), (2,))
    return lambda observation: answer


def _mode(controller: PolicyController) -> Mode:
    return controller.mode


def _active(spec: TaskSpec, policy: Policy) -> PolicyController:
    controller = PolicyController(spec, policy)
    assert controller.activate(make_state(), 0.0) is None
    return controller


def _run(controller: PolicyController, story: str) -> list[ControlStep]:
    """Step once for each word: `good` measures, `bad` measures NaN."""
    states = {'good': make_state(), 'bad': make_state(joint_position=(math.nan, 0.0))}
    return [controller.step(states[word], 0.0) for word in story.split()]


def _first_elements(steps: Sequence[ControlStep]) -> list[float]:
    return [float(step.command[0]) for step in steps]
