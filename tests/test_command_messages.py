"""Commands through every message type that a contract may name, there and back."""

import numpy as np
import pytest
from builders import make_spec, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from sac_ros.command_messages import (
    TYPES,
    command_from_message,
    command_message,
    command_type,
)
from sac_ros.messages import MessageError
from sac_ros.spec_rules import COMMAND_TYPES

pytestmark = pytest.mark.ros

CASES = [(interface, kind) for interface, kinds in COMMAND_TYPES.items() for kind in kinds]
STOPS = {'position': 'hold'}


def spec_for(interface, kind, **command):
    """Return a contract of two action elements that are sent as `kind`."""
    special = {
        'twist': {'axes': ['linear.x', 'angular.z']},
        'generic': {'lower': [-1.0, -1.0], 'upper': [1.0, 1.0]},
    }
    return make_spec(
        interface=interface,
        stop=STOPS.get(interface, 'zero'),
        observation=[{'term': 'joint_position'}],
        topics={
            'joint_states': topic('joint_states'),
            'command': topic('command', type=kind, **command),
        },
        **special.get(interface, {}),
    )


@pytest.mark.parametrize(('interface', 'kind'), CASES)
def test_every_command_type_brings_the_command_back_exactly(interface, kind):
    spec = spec_for(interface, kind)
    command = np.array([0.1, -1.0 / 3.0])
    message = command_message(spec, command, 12.5)
    assert type(message) is command_type(spec)
    received = deserialize_message(serialize_message(message), type(message))
    again = command_from_message(spec, received)
    np.testing.assert_array_equal(again, command)


def test_every_type_of_the_contract_is_there_and_no_other():
    assert {kind for kinds in COMMAND_TYPES.values() for kind in kinds} == set(TYPES)


def test_a_forward_controller_gets_the_numbers_in_the_order_of_the_contract():
    spec = spec_for('velocity', 'std_msgs/Float64MultiArray')
    message = command_message(spec, np.array([0.5, -0.5]), 0.0)
    assert list(message.data) == [0.5, -0.5]


def test_a_trajectory_has_one_point_one_period_ahead_and_starts_on_arrival():
    spec = spec_for('position', 'trajectory_msgs/JointTrajectory')
    message = command_message(spec, np.array([0.5, -0.5]), 12.5)
    assert message.joint_names == ['shoulder', 'elbow']
    assert len(message.points) == 1
    assert list(message.points[0].positions) == [0.5, -0.5]
    duration = message.points[0].time_from_start
    assert (duration.sec, duration.nanosec) == (0, 20_000_000)  # 50 Hz
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)


@pytest.mark.parametrize('interface', ['position', 'velocity', 'effort'])
def test_a_joint_state_command_fills_the_field_of_its_interface(interface):
    spec = spec_for(interface, 'sensor_msgs/JointState')
    message = command_message(spec, np.array([0.5, -0.5]), 12.5)
    filled = {name: list(getattr(message, name)) for name in ('position', 'velocity', 'effort')}
    assert filled.pop(interface) == [0.5, -0.5]
    assert list(filled.values()) == [[], []]
    assert message.header.stamp.sec == 12


def test_a_twist_fills_the_axes_of_the_contract_and_leaves_the_rest_zero():
    spec = spec_for('twist', 'geometry_msgs/TwistStamped', frame='base_link')
    message = command_message(spec, np.array([0.5, -0.25]), 12.5)
    assert message.header.frame_id == 'base_link'
    assert (message.twist.linear.x, message.twist.angular.z) == (0.5, -0.25)
    assert message.twist.linear.y == message.twist.angular.x == 0.0


def test_joint_commands_are_read_by_name():
    trajectory = spec_for('position', 'trajectory_msgs/JointTrajectory')
    message = command_message(trajectory, np.array([0.5, -0.5]), 0.0)
    message.joint_names = ['elbow', 'shoulder']
    np.testing.assert_array_equal(command_from_message(trajectory, message), [-0.5, 0.5])
    joint_state = spec_for('effort', 'sensor_msgs/JointState')
    message = JointState(name=['elbow', 'x', 'shoulder'], effort=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(command_from_message(joint_state, message), [3.0, 1.0])


@pytest.mark.parametrize(
    ('data', 'text'),
    [
        ([1.0], 'the command has 1 numbers, 2 are needed'),
        ([1.0, 2.0, 3.0], 'the command has 3 numbers, 2 are needed'),
        ([0.0, float('nan')], 'the command for elbow is nan'),
        ([float('-inf'), 0.0], 'the command for shoulder is -inf'),
    ],
)
def test_a_bad_command_is_refused_with_what_is_wrong(data, text):
    spec = spec_for('velocity', 'std_msgs/Float64MultiArray')
    with pytest.raises(MessageError, match=f'^{text}$'):
        command_from_message(spec, Float64MultiArray(data=data))


def test_joint_commands_without_points_or_with_too_few_numbers_are_refused():
    spec = spec_for('position', 'trajectory_msgs/JointTrajectory')
    with pytest.raises(MessageError, match='the trajectory has no points'):
        command_from_message(spec, JointTrajectory(joint_names=['shoulder', 'elbow']))
    spec = spec_for('position', 'sensor_msgs/JointState')
    with pytest.raises(MessageError, match='the command has 2 names and 1 numbers'):
        command_from_message(spec, JointState(name=['shoulder', 'elbow'], position=[1.0]))
    with pytest.raises(MessageError, match="joint 'elbow' is absent from the command"):
        command_from_message(spec, JointState(name=['shoulder'], position=[1.0]))
    twice = JointState(name=['shoulder', 'elbow', 'elbow'], position=[1.0, 2.0, 3.0])
    with pytest.raises(MessageError, match="joint 'elbow' is named 2 times in the command"):
        command_from_message(spec, twice)
    many = JointState(name=['shoulder'] * 1001, position=[1.0] * 1001)
    with pytest.raises(MessageError, match=r'the command has 1001 names \(limit 1000\)'):
        command_from_message(spec, many)
