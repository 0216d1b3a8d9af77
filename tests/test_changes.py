"""changes.py: jumps and frozen sensors, told from values and stamps alone."""

import math

import numpy as np
import pytest
from builders import make_spec, make_state, topic

from sac_ros.changes import FROZEN_WARNING, Changes
from sac_ros.control_step import Mode
from sac_ros.controller import PolicyController
from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState, canonical

DT = 0.02  # [s]


def jumpy_spec(**overrides: object) -> TaskSpec:
    """Believe joint positions that change by at most 2 rad/s (shoulder) and 4 rad/s (elbow)."""
    limits = {'joint_position': {'lower': -3.0, 'upper': 3.0, 'max_rate': [2.0, 4.0]}}
    return make_spec(observation=[{'term': 'joint_position'}], limits=limits, **overrides)


def frozen_spec(timeout: float | None) -> TaskSpec:
    joint_states = topic('joint_states', **({'frozen_timeout': timeout} if timeout else {}))
    return make_spec(
        observation=[{'term': 'joint_position'}, {'term': 'joint_velocity'}],
        topics={'joint_states': joint_states, 'command': topic('command')},
    )


def at(now: float, *joint_position: float) -> RobotState:
    return make_state(now, joint_position=joint_position)


def test_a_change_within_max_rate_is_believed_and_a_faster_one_is_named():
    changes = Changes(jumpy_spec())

    assert changes.find_fault(at(0.0, 0.0, 0.0)) is None
    assert changes.find_fault(at(0.02, 0.04, 0.08)) is None  # 2 and 4 rad/s in 20 ms
    fault = changes.find_fault(at(0.04, 0.04, 0.18))

    assert str(fault) == 'E_OBS_JUMP: joint_position of elbow has changed by 5 a second (limit 4)'


def test_an_orientation_that_turns_through_half_a_turn_has_not_jumped():
    spec = make_spec(
        observation=[{'term': 'tool_orientation'}],
        topics={
            'tool_pose': {'name': 'tool_pose', 'timeout': 0.1},
            'command': topic('command'),
        },
        limits={'tool_orientation': {'lower': -1.0, 'upper': 1.0, 'max_rate': 5.0}},
    )
    changes = Changes(spec)
    for i in range(200):  # 1 rad/s about z, through 180 degrees, where q becomes -q
        half = 0.5 * (2.0 + 0.02 * i)
        turned = canonical(np.array([0.0, 0.0, np.sin(half), np.cos(half)]))
        state = RobotState(tool_orientation=turned, stamps={'tool_pose': 0.02 * i})
        assert changes.find_fault(state) is None
    back = RobotState(tool_orientation=np.array([1.0, 0.0, 0.0, 0.0]), stamps={'tool_pose': 4.0})
    assert changes.find_fault(back).code == 'E_OBS_JUMP'


def test_a_single_wild_value_is_told_once():
    changes = Changes(jumpy_spec())
    places = [0.0, 0.0, 1.0, 0.02, 0.02]

    faults = [changes.find_fault(at(i * DT, x, 0.0)) for i, x in enumerate(places)]

    assert [fault is not None for fault in faults] == [False, False, True, False, False]


def test_a_jump_that_stays_is_told_twice_and_then_believed():
    changes = Changes(jumpy_spec())
    places = [0.0, 1.0, 1.0, 1.0, 0.98]

    faults = [changes.find_fault(at(i * DT, x, 0.0)) for i, x in enumerate(places)]

    assert [fault is not None for fault in faults] == [False, True, True, False, False]


def test_a_long_pause_allows_a_long_way():
    changes = Changes(jumpy_spec())
    changes.find_fault(at(0.0, 0.0, 0.0))

    assert changes.find_fault(at(1.0, 1.9, 0.0)) is None  # 1.9 rad in 1 s


def test_the_same_measurement_again_is_no_change_and_no_news():
    changes = Changes(jumpy_spec())
    changes.find_fault(at(0.0, 0.0, 0.0))

    assert changes.find_fault(at(0.0, 2.0, 0.0)) is None  # the same stamp: not looked at
    assert changes.find_fault(at(0.02, 0.04, 0.0)) is None


def test_a_jump_is_told_again_until_a_newer_measurement_has_come():
    changes = Changes(jumpy_spec())
    changes.find_fault(at(0.0, 0.0, 0.0))

    jump = changes.find_fault(at(0.02, 1.0, 0.0))

    assert str(jump) == (
        'E_OBS_JUMP: joint_position of shoulder has changed by 50 a second (limit 2)'
    )
    assert changes.find_fault(at(0.02, 1.0, 0.0)) == jump  # the next tick, the same measurement
    assert changes.find_fault(at(0.02, 1.0, 0.0)) == jump
    assert changes.find_fault(at(0.04, 0.0, 0.0)) is None
    assert changes.find_fault(at(0.04, 0.0, 0.0)) is None


def test_a_jump_of_one_topic_outlasts_good_news_of_another():
    limits = {'joint_position': {'lower': -3.0, 'upper': 3.0, 'max_rate': 2.0}}
    changes = Changes(make_spec(limits=limits))
    changes.find_fault(make_state(0.0, joint_position=(0.0, 0.0)))
    jumped = {'joint_position': (1.0, 0.0), 'stamps': {'joint_states': 0.02}}

    jump = changes.find_fault(make_state(0.02, **jumped))

    assert jump is not None
    assert changes.find_fault(make_state(0.04, **jumped)) == jump  # tool_pose is new
    assert changes.find_fault(make_state(0.06, joint_position=(0.0, 0.0))) is None


def test_a_sensor_that_has_frozen_is_told_again_until_a_newer_measurement_has_come():
    changes = Changes(frozen_spec(0.1))
    changes.find_fault(make_state(0.0))

    freeze = changes.find_fault(make_state(0.12))

    assert str(freeze) == (
        'E_OBS_FROZEN: joint_states has repeated itself for 0.120 s (limit 0.1 s)'
    )
    assert changes.find_fault(make_state(0.12)) == freeze
    assert changes.find_fault(make_state(0.14, joint_position=(0.11, -0.2))) is None


def test_after_a_restart_a_jump_is_forgotten():
    changes = Changes(jumpy_spec())
    changes.find_fault(at(0.0, 0.0, 0.0))
    assert changes.find_fault(at(0.02, 1.0, 0.0)) is not None
    changes.restart()

    assert changes.find_fault(at(0.02, 1.0, 0.0)) is None


def test_after_a_restart_nothing_is_a_jump():
    changes = Changes(jumpy_spec())
    changes.find_fault(at(0.0, 0.0, 0.0))
    changes.restart()

    assert changes.find_fault(at(0.02, 2.9, 0.0)) is None


@pytest.mark.fault('A20', 'HOLD', 'E_OBS_JUMP')
def test_a_spike_is_held_for_one_period():
    controller = PolicyController(jumpy_spec(), lambda _: np.ones(2, dtype=np.float32))
    assert controller.activate(at(0.0, 0.0, 0.0), 0.0) is None
    places = [0.0, 0.0, 1.0, 0.0, 0.0]

    steps = [controller.step(at(i * DT, x, 0.0), i * DT) for i, x in enumerate(places, 1)]

    assert [step.mode for step in steps] == [Mode.ACTIVE] * 2 + [Mode.HOLD] + [Mode.ACTIVE] * 2
    assert steps[2].fault is not None
    assert steps[2].fault.code == 'E_OBS_JUMP'
    np.testing.assert_array_equal(steps[2].command, steps[1].command)


@pytest.mark.fault('A20', 'SAFE', 'E_OBS_JUMP')
def test_a_spike_that_no_newer_message_follows_is_stopped_for_and_never_acted_on():
    seen: list[float] = []

    def policy(observation: np.ndarray) -> np.ndarray:
        seen.append(float(observation[0]))
        return np.ones(2, dtype=np.float32)

    controller = PolicyController(jumpy_spec(), policy)
    assert controller.activate(at(0.0, 0.0, 0.0), 0.0) is None
    stamped = [(1, 0.0), (2, 1.0), (2, 1.0), (2, 1.0), (5, 0.0)]  # [periods], [rad]

    steps = [
        controller.step(at(period * DT, x, 0.0), i * DT)
        for i, (period, x) in enumerate(stamped, 1)
    ]

    assert [step.mode for step in steps] == [Mode.ACTIVE, Mode.HOLD] + [Mode.SAFE] * 3
    assert [step.fault.code for step in steps if step.fault] == ['E_OBS_JUMP'] * 3
    assert seen == [0.0, 0.0]


@pytest.mark.fault('A20', 'SAFE', 'E_OBS_JUMP')
def test_an_encoder_that_slips_is_stopped_for_and_believed_after_ten_good_periods():
    controller = PolicyController(jumpy_spec(), lambda _: np.ones(2, dtype=np.float32))
    assert controller.activate(at(0.0, 0.0, 0.0), 0.0) is None
    places = [0.0] * 2 + [1.0] * 13

    steps = [controller.step(at(i * DT, x, 0.0), i * DT) for i, x in enumerate(places, 1)]

    assert [step.mode for step in steps] == (
        [Mode.ACTIVE] * 2 + [Mode.HOLD] + [Mode.SAFE] * 10 + [Mode.ACTIVE] * 2
    )
    assert [step.fault.code for step in steps if step.fault] == ['E_OBS_JUMP'] * 2


@pytest.mark.fault('A19', 'SAFE', 'E_OBS_FROZEN')
def test_a_sensor_that_repeats_itself_for_longer_than_the_contract_allows_is_not_believed():
    controller = PolicyController(frozen_spec(0.2), lambda _: np.ones(2, dtype=np.float32))
    assert controller.activate(make_state(0.0), 0.0) is None

    steps = [controller.step(make_state(i * DT), i * DT) for i in range(1, 13)]

    # The first to be compared comes after 20 ms; 0.2 s without a change are over after 0.22 s.
    assert [step.mode for step in steps] == [Mode.ACTIVE] * 11 + [Mode.SAFE]
    assert str(steps[11].fault) == (
        'E_OBS_FROZEN: joint_states has repeated itself for 0.220 s (limit 0.2 s)'
    )
    moved = make_state(13 * DT, joint_velocity=(0.3, -0.4000001))
    assert controller.step(moved, 13 * DT).fault is None


@pytest.mark.fault('A19', 'ACTIVE', 'W_OBS_FROZEN')
def test_without_such_a_limit_there_is_one_warning_and_control_goes_on():
    controller = PolicyController(frozen_spec(None), lambda _: np.ones(2, dtype=np.float32))
    assert controller.activate(make_state(0.0), 0.0) is None
    ticks = round(3 * FROZEN_WARNING / DT)
    notices: list[Fault] = []

    for i in range(1, ticks):
        assert controller.step(make_state(i * DT), i * DT).mode is Mode.ACTIVE
        notice = controller.take_notice()
        notices.extend([notice] if notice else [])

    assert [str(notice) for notice in notices] == [
        'W_OBS_FROZEN: joint_states has repeated itself for 5.0 s'
    ]


def test_a_goal_may_stay_as_it_is():
    spec = make_spec()
    assert spec.topics['goal'].timeout == math.inf
    controller = PolicyController(spec, lambda _: np.zeros(2, dtype=np.float32))
    assert controller.activate(make_state(0.0), 0.0) is None

    for i in range(1, 400):
        wiggle = 1e-9 * i  # everything else moves a little
        state = make_state(
            i * DT,
            joint_position=(wiggle, 0.0),
            tool_position=(wiggle, 0.0, 0.0),
            stamps={'goal': 0.0},
        )
        assert controller.step(state, i * DT).fault is None
        assert controller.take_notice() is None
