"""controller.py: what operators, watchdog and clock do to the control tick."""

import math

import numpy as np
import pytest
from builders import make_spec, make_state

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import LONGEST_PAUSE, PolicyController
from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec

DT = 0.02  # [s]; 5 rad/s^2 allow 0.1 rad/s in a period
DISABLED = Fault('W_DISABLED', 'an operator has called ~/enable with false')


def active(spec: TaskSpec | None = None, action: float = 1.0) -> PolicyController:
    answer = np.full(2, action, dtype=np.float32)
    controller = PolicyController(spec or make_spec(), lambda _: answer)
    assert controller.activate(make_state(), 0.0) is None
    return controller


def run(controller: PolicyController, ticks: int, start: int = 1) -> list[ControlStep]:
    """Step with a good state at each period, from period `start` on."""
    periods = range(start, start + ticks)
    return [controller.step(make_state(i * DT), i * DT) for i in periods]


def first(steps: list[ControlStep]) -> list[float]:
    return [round(float(step.command[0]), 9) for step in steps]


def test_with_a_ramp_the_policy_gains_its_say_bit_by_bit():
    controller = active(make_spec(max_rate=math.inf))
    controller.ramp_time = 4 * DT

    assert first(run(controller, 6)) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_the_ramp_begins_anew_after_each_stop():
    controller = active(make_spec(max_rate=math.inf))
    controller.ramp_time = 4 * DT
    run(controller, 6)
    controller.emergency_stop('the button was pressed')
    assert first(run(controller, 2, start=7)) == [0.0, 0.0]
    assert controller.reset(make_state(8 * DT), 8 * DT) is None

    steps = run(controller, 13, start=9)

    assert first(steps) == [0.0] * 9 + [0.25, 0.5, 0.75, 1.0]


def test_a_longer_ramp_takes_nothing_from_a_policy_that_has_its_say():
    controller = active(make_spec(max_rate=math.inf))
    controller.ramp_time = 2 * DT
    before = first(run(controller, 3))
    controller.ramp_time = 100 * DT

    assert before + first(run(controller, 2, start=4)) == [0.5, 1.0, 1.0, 1.0, 1.0]


def test_another_ramp_time_counts_for_what_is_left_of_the_ramp():
    controller = active(make_spec(max_rate=math.inf))
    controller.ramp_time = 4 * DT
    before = first(run(controller, 2))
    controller.ramp_time = 10 * DT
    slower = first(run(controller, 2, start=3))
    controller.ramp_time = 0.0

    assert before + slower + first(run(controller, 1, start=5)) == [0.25, 0.5, 0.6, 0.7, 1.0]


def test_a_position_ramps_away_from_where_the_robot_was_measured():
    spec = make_spec(interface='position', stop='hold', max_rate=math.inf, lower=-3.0, upper=3.0)
    controller = active(spec)  # the shoulder is at 0.1 rad, the policy asks for 1 rad
    controller.ramp_time = 2 * DT

    assert first(run(controller, 3)) == [0.55, 1.0, 1.0]  # half of the way, then all of it


@pytest.mark.parametrize(('scale', 'expected'), [(1.0, 0.9), (0.5, 0.45), (0.0, 0.0)])
def test_speed_scaling_leaves_a_part_of_the_velocity(scale: float, expected: float):
    controller = active(action=0.9)
    controller.speed_scale = scale

    assert first(run(controller, 12))[-1] == pytest.approx(expected, abs=1e-7)


def test_speed_scaling_of_a_position_makes_smaller_steps_to_the_same_place():
    spec = make_spec(interface='position', stop='hold', lower=-3.0, upper=3.0)
    controller = active(spec)  # 5 rad/s * 0.02 s = 0.1 rad in a period
    controller.speed_scale = 0.5

    assert first(run(controller, 3)) == [0.15, 0.2, 0.25]
    assert first(run(controller, 60, start=4))[-1] == pytest.approx(1.0, abs=1e-3)


def test_a_stop_that_is_not_zero_is_what_is_scaled_towards():
    controller = active(make_spec(stop=[0.2, 0.2], max_rate=math.inf))
    controller.speed_scale = 0.5

    assert first(run(controller, 1)) == [0.6]  # half way from 0.2 to 1


def test_disabled_the_policy_is_silent_until_it_is_enabled_and_ten_ticks_are_good():
    controller = active()
    run(controller, 3)
    controller.forbid(DISABLED)

    stopped = run(controller, 5, start=4)
    controller.permit('W_DISABLED')
    back = run(controller, 11, start=9)

    assert {step.mode for step in stopped} == {Mode.SAFE}
    assert {step.fault for step in stopped} == {DISABLED}
    assert first(stopped) == [0.2, 0.1, 0.0, 0.0, 0.0]
    assert [step.mode for step in back] == [Mode.SAFE] * 9 + [Mode.ACTIVE] * 2


def test_what_is_forbidden_cannot_be_activated():
    controller = PolicyController(make_spec(), lambda _: np.zeros(2, dtype=np.float32))
    controller.forbid(DISABLED)

    assert controller.activate(make_state(), 0.0) == DISABLED
    controller.permit('W_DISABLED')
    assert controller.activate(make_state(), 0.0) is None


@pytest.mark.fault('A27', 'SAFE', 'E_CMD_CONFLICT')
def test_a_rival_on_the_command_topic_stops_the_robot_while_it_is_there():
    controller = active()
    run(controller, 2)
    controller.forbid(Fault('E_CMD_CONFLICT', 'arm/commands is also published by /teleop'))

    step = run(controller, 1, start=3)[0]

    assert (step.mode, str(step.fault)) == (
        Mode.SAFE,
        'E_CMD_CONFLICT: arm/commands is also published by /teleop',
    )


def test_a_stop_that_is_asked_for_while_the_policy_thinks_counts_at_once():
    controller = active()
    run(controller, 3)
    thought = controller.think(make_state(4 * DT), 4 * DT)
    controller.emergency_stop('the button was pressed')

    step = controller.decide(thought, 4 * DT)

    assert step.mode is Mode.FAULT
    assert first([step]) == [0.2]


@pytest.mark.fault('G05', 'SAFE', 'E_TICK_LATE')
def test_a_policy_that_takes_three_periods_is_stopped_for_and_not_followed_afterwards():
    spec = make_spec()
    overruns: list[ControlStep] = []

    def slow(observation: np.ndarray) -> np.ndarray:
        if not overruns and observation[-2] > 0.25:  # the fourth tick
            overruns.extend(controller.overrun((4 + late) * DT) for late in (2, 3))
        return np.ones(2, dtype=np.float32)

    controller = PolicyController(spec, slow)
    assert controller.activate(make_state(), 0.0) is None

    steps = run(controller, 4)
    after = controller.step(make_state(7 * DT), 7 * DT)

    assert first(steps[:3]) == [0.1, 0.2, 0.3]
    assert first(overruns) == [0.2, 0.1]  # on the way to the stop command, one each period
    assert first(steps[3:]) == [0.1]  # what was sent last, not what the policy had asked for
    assert {step.mode for step in (*overruns, steps[3], after)} == {Mode.SAFE}
    assert str(overruns[0].fault) == 'E_TICK_LATE: the tick has not ended in time'
    assert steps[3].fault is not None
    assert steps[3].fault.code == 'E_TICK_LATE'
    assert [step.sequence for step in (*steps[:3], *overruns, steps[3])] == [1, 2, 3, 4, 5, 6]
    assert first([after]) == [0.0]


@pytest.mark.fault('G06', 'SAFE', 'E_TICK_LATE')
def test_after_a_pause_that_nobody_can_explain_the_robot_is_stopped_first():
    controller = active()
    run(controller, 3)

    late = controller.step(make_state(2.0), 2.0)  # the state is new; two seconds are missing
    back = [controller.step(make_state(2.0 + i * DT), 2.0 + i * DT) for i in range(1, 11)]

    assert late.mode is Mode.SAFE
    assert str(late.fault) == 'E_TICK_LATE: no tick for 97.0 periods (limit 3)'
    assert [step.mode for step in back] == [Mode.SAFE] * 9 + [Mode.ACTIVE]


def test_a_pause_of_three_periods_is_still_none():
    controller = active()
    run(controller, 3)

    now = (3 + LONGEST_PAUSE) * DT
    assert controller.step(make_state(now), now).mode is Mode.ACTIVE


@pytest.mark.fault('G10', 'SAFE', 'W_CLOCK_JUMP')
def test_a_clock_that_goes_back_is_stopped_for():
    controller = active()
    for i in range(500, 503):
        controller.step(make_state(i * DT), i * DT)

    steps = run(controller, 12)

    assert [step.mode for step in steps] == [Mode.SAFE] * 10 + [Mode.ACTIVE] * 2
    assert str(steps[0].fault) == 'W_CLOCK_JUMP: the clock has gone back by 10.020 s'
    assert steps[1].fault is None


@pytest.mark.fault('G11', 'SAFE', 'E_OBS_STALE')
def test_a_clock_that_jumps_an_hour_ahead_is_stopped_for():
    controller = active()
    run(controller, 3)

    assert controller.step(make_state(3 * DT), 3600.0).mode is Mode.SAFE
    step = controller.step(make_state(3 * DT), 3600.02)
    assert step.mode is Mode.SAFE
    assert step.fault is not None
    assert step.fault.code == 'E_OBS_STALE'


@pytest.mark.fault('G19', 'FAULT', 'E_INTERNAL')
@pytest.mark.parametrize('place', ['guard', 'changes', 'observe', 'policy'])
def test_an_error_in_the_program_is_a_latched_fault_and_the_loop_lives(
    place: str, monkeypatch: pytest.MonkeyPatch
):
    controller = active()
    run(controller, 3)

    def broken(*_: object) -> None:
        raise ZeroDivisionError('a bug')

    with monkeypatch.context() as patch:
        if place == 'policy':
            patch.setattr(controller, '_acting', (0, broken))
        elif place == 'observe':
            patch.setattr('sac_ros.controller.observe', broken)
        else:
            patch.setattr(getattr(controller, f'_{place}'), 'find_fault', broken)
        step = run(controller, 1, start=4)[0]

    assert (step.mode, str(step.fault)) == (Mode.FAULT, 'E_INTERNAL: ZeroDivisionError: a bug')
    assert first([step]) == [0.2]
    assert {step.mode for step in run(controller, 20, start=5)} == {Mode.FAULT}
    assert controller.reset(make_state(24 * DT), 24 * DT) is None
    assert [step.mode for step in run(controller, 10, start=25)][-1] is Mode.ACTIVE


@pytest.mark.fault('B14', 'FAULT', 'E_ACT_NONFINITE')
def test_a_policy_that_goes_on_answering_nan_is_latched_out():
    controller = active(action=math.nan)

    steps = run(controller, 4)

    assert [step.mode for step in steps] == [Mode.HOLD, Mode.SAFE, Mode.FAULT, Mode.FAULT]
    assert {step.fault.code for step in steps if step.fault} == {'E_ACT_NONFINITE'}
    assert first(steps) == [0.0] * 4


@pytest.mark.fault('A21', 'SAFE', 'E_OBS_RANGE')
def test_a_joint_at_twice_its_limit_is_held_for_a_period_and_then_stopped_for():
    controller = active()  # the elbow may be at 2 rad
    run(controller, 3)

    steps = [
        controller.step(make_state(i * DT, joint_position=(0.0, 4.0)), i * DT) for i in (4, 5, 6)
    ]

    assert [step.mode for step in steps] == [Mode.HOLD, Mode.SAFE, Mode.SAFE]
    assert {step.fault.code for step in steps if step.fault} == {'E_OBS_RANGE'}
    assert first(steps) == [0.3, 0.2, 0.1]


def test_a_reset_while_something_else_is_wrong_is_refused_and_says_what():
    controller = active()
    run(controller, 3)
    controller.emergency_stop('the button was pressed')
    run(controller, 1, start=4)
    gone = make_state(0.0)  # 1 s old

    fault = controller.reset(gone, 1.0)

    assert fault is not None
    assert fault.code == 'E_OBS_STALE'
    assert controller.mode is Mode.FAULT
    controller.forbid(DISABLED)
    assert controller.reset(make_state(5 * DT), 5 * DT) == DISABLED
    controller.permit('W_DISABLED')
    assert controller.reset(make_state(5 * DT), 5 * DT) is None
    assert controller.mode is Mode.SAFE  # and no longer FAULT


def test_the_watchdogs_own_time_is_no_clock_that_goes_back():
    controller = active()
    run(controller, 3)
    controller.overrun(5.5 * DT)  # a moment after the tick below has read the time

    step = controller.step(make_state(5.4 * DT), 5.4 * DT)

    assert step.fault is not None
    assert step.fault.code == 'E_TICK_LATE'


def test_a_stop_and_a_reset_within_one_period_still_stop_the_robot():
    controller = active()
    run(controller, 3)
    controller.emergency_stop('the button was pressed')
    assert controller.reset(make_state(3 * DT), 3 * DT) is None

    assert [step.mode for step in run(controller, 10, start=4)] == [Mode.SAFE] * 9 + [Mode.ACTIVE]
