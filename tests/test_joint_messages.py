"""joint_messages.py: joints are found by name, and what is refused says why."""

import numpy as np
import pytest
from builders import make_spec, make_state

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from sensor_msgs.msg import JointState

from sac_ros.guard import Guard
from sac_ros.joint_messages import MAX_NAMES, MAX_ORDERS, JointOrder
from sac_ros.messages import MessageError
from sac_ros.state import RobotState
from sac_ros.state_messages import state_message, state_reader

pytestmark = pytest.mark.ros


def refusal(joints: str, names: list[str]) -> str:
    with pytest.raises(MessageError) as caught:
        JointOrder(tuple(joints.split()), 'joint_states').find(names)
    return str(caught.value.fault)


def test_an_order_of_joints_is_looked_up_once():
    order = JointOrder(('a', 'b'), 'joint_states')
    assert order.find(['b', 'x', 'a']) is order.find(['b', 'x', 'a'])
    np.testing.assert_array_equal(order.find(['b', 'x', 'a']), [2, 0])


def test_orders_that_are_forgotten_are_found_again():
    order = JointOrder(('a', 'b'), 'joint_states')
    for i in range(3 * MAX_ORDERS):
        np.testing.assert_array_equal(order.find(['b', f'x{i}', 'a']), [2, 0])
    np.testing.assert_array_equal(order.find(['b', 'x0', 'a']), [2, 0])


def test_an_absent_joint_is_named_with_what_came_instead():
    assert refusal('shoulder elbow', ['shoulder', 'elbo']) == (
        "E_OBS_MISSING_JOINT: joint 'elbow' is absent from joint_states: it has 'shoulder', 'elbo'"
    )
    assert refusal('shoulder elbow', []) == (
        "E_OBS_MISSING_JOINT: joint 'shoulder' is absent from joint_states: it has no names"
    )
    assert refusal('a', [f'x{i}' for i in range(MAX_NAMES)]) == (
        "E_OBS_MISSING_JOINT: joint 'a' is absent from joint_states: "
        "it has 'x0', 'x1', 'x2', 'x3', 'x4' and 995 more"
    )


def test_names_that_are_no_text_at_all_are_refused_in_a_line_that_can_be_printed():
    text = refusal('a', ['\ud800\n'])
    assert text.endswith(r"it has '\ud800\n'")
    assert text.encode('utf-8')


def test_a_joint_named_twice_is_refused():
    assert refusal('shoulder elbow', ['elbow', 'shoulder', 'elbow']) == (
        "E_OBS_DUP_JOINT: joint 'elbow' is named 2 times in joint_states"
    )


def test_another_joint_named_twice_is_no_concern_of_ours():
    order = JointOrder(('shoulder', 'elbow'), 'joint_states')
    np.testing.assert_array_equal(order.find(['x', 'shoulder', 'elbow', 'x']), [1, 2])


def test_more_names_than_any_robot_has_are_refused_before_they_are_looked_at():
    class Names(list):
        def __iter__(self):
            raise AssertionError('looked at')

    assert refusal('a', Names(['a'] * (MAX_NAMES + 1))) == (
        'E_OBS_SHAPE: joint_states has 1001 names (limit 1000)'
    )


def read(message: JointState, spec=None):
    return state_reader(spec or make_spec(), 'joint_states')(message)


def refused(message: JointState) -> str:
    with pytest.raises(MessageError) as caught:
        read(message)
    return str(caught.value.fault)


def joint_states(names='shoulder elbow', position=(0.1, -0.2), velocity=(0.3, -0.4), **fields):
    return JointState(
        name=names.split(), position=list(position), velocity=list(velocity), **fields
    )


def test_joints_are_found_by_name_in_any_order_among_others():
    message = joint_states(
        names='gripper elbow base shoulder',
        position=(9.0, -0.2, 8.0, 0.1),
        velocity=(7, -0.4, 6, 0.3),
    )
    fields = read(message)
    np.testing.assert_array_equal(fields['joint_position'], [0.1, -0.2])
    np.testing.assert_array_equal(fields['joint_velocity'], [0.3, -0.4])


def test_names_and_numbers_must_be_equally_many():
    assert refused(joint_states(position=(1.0,))) == (
        'E_OBS_SHAPE: joint_states has 2 names and 1 numbers in position'
    )
    assert refused(joint_states(velocity=(1.0, 2.0, 3.0))) == (
        'E_OBS_SHAPE: joint_states has 2 names and 3 numbers in velocity'
    )


def test_a_field_that_the_message_leaves_out_was_not_measured():
    assert read(joint_states(velocity=()))['joint_velocity'] is None


def test_a_field_that_is_only_limited_is_read_for_the_guard():
    limits = {'joint_effort': {'lower': -5.0, 'upper': 5.0}}
    spec = make_spec(observation=[{'term': 'joint_position'}], limits=limits)
    fields = read(joint_states(effort=[0.0, 7.0]), spec=spec)
    fault = Guard(spec).find_fault(RobotState(**fields, stamps={'joint_states': 1.0}), 1.0)
    assert str(fault) == 'E_OBS_RANGE: joint_effort of elbow 7 is outside [-5.0, 5.0]'


def test_a_state_that_knows_more_than_the_contract_needs_says_it():
    message = state_message(make_spec(), 'joint_states', make_state(joint_effort=(5.0, 6.0)), 1.0)
    assert list(message.name) == ['shoulder', 'elbow']
    assert list(message.effort) == [5.0, 6.0]
