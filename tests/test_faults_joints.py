"""What the names of joints in messages can do to a robot, and their order.

Real messages, on the wire, through Measurements and PolicyController, on a virtual clock.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from message_robot import (
    JOINTS,
    Robot,
    assert_held_once_then_safe_until_it_ends,
    assert_unharmed,
)
from sensor_msgs.msg import JointState

pytestmark = pytest.mark.ros


def reordered(message: JointState, order, strangers=()) -> JointState:
    """Return the message with its joints, and strangers after them, in another order."""
    names = [*message.name, *strangers]
    parts = {
        place: [*getattr(message, place), *[77.0] * len(strangers)]
        for place in ('position', 'velocity', 'effort')
    }
    return JointState(
        header=message.header,
        name=[names[i] for i in order],
        **{place: [values[i] for i in order] for place, values in parts.items()},
    )


@pytest.mark.fault('A06', 'ACTIVE', '')
@given(order=st.permutations(range(5)))
def test_the_order_of_the_joints_changes_no_bit_of_the_command(order):
    plain, shuffled = Robot(), Robot()
    for _ in range(3):
        expected = plain.tick()
        step = shuffled.tick(joint_states=lambda m: reordered(m, order, ('gripper', 'head')))
        assert_unharmed([step])
        assert step.observation.tobytes() == expected.observation.tobytes()
        assert step.command.tobytes() == expected.command.tobytes()


@pytest.mark.fault('A07', 'ACTIVE', 'W_OBS_EXTRA')
def test_joints_that_the_contract_does_not_name_are_ignored_and_told_once():
    plain, robot = Robot(), Robot()
    spoil = {'joint_states': lambda message: reordered(message, range(4), ('gripper',))}
    steps = [robot.tick(**spoil) for _ in range(20)]
    assert_unharmed(steps)
    expected = [plain.tick() for _ in range(20)]
    np.testing.assert_array_equal(steps[-1].command, expected[-1].command)
    assert robot.notices() == [
        "W_OBS_EXTRA: joint_states has joints that the contract does not name: 'gripper'"
    ]
    robot.tick(**spoil)
    assert robot.notices() == []


@pytest.mark.fault('A08', 'SAFE', 'E_OBS_MISSING_JOINT')
@pytest.mark.parametrize('missing', range(3))
def test_a_joint_that_is_missing_stops_the_robot(missing):
    others = [i for i in range(3) if i != missing]
    text = assert_held_once_then_safe_until_it_ends(
        Robot(), 'E_OBS_MISSING_JOINT', joint_states=lambda m: reordered(m, others)
    )
    found = ', '.join(repr(JOINTS[i]) for i in others)
    assert text == f"joint '{JOINTS[missing]}' is absent from joint_states: it has {found}"


@pytest.mark.fault('A09', 'SAFE', 'E_OBS_DUP_JOINT')
def test_a_joint_that_is_named_twice_stops_the_robot():
    text = assert_held_once_then_safe_until_it_ends(
        Robot(), 'E_OBS_DUP_JOINT', joint_states=lambda m: reordered(m, [0, 1, 2, 1])
    )
    assert text == "joint 'elbow' is named 2 times in joint_states"


@pytest.mark.fault('A10', 'ACTIVE', '')
def test_an_order_of_joints_that_changes_while_the_robot_moves_is_followed():
    plain, robot = Robot(), Robot()
    random = np.random.default_rng(1)
    for tick in range(60):
        order = np.roll(range(4), tick // 10) if tick < 30 else random.permutation(4)
        step = robot.tick(joint_states=lambda m, order=order: reordered(m, order, ('gripper',)))
        expected = plain.tick()
        assert_unharmed([step])
        assert step.command.tobytes() == expected.command.tobytes()
