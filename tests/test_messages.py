"""Messages <-> RobotState: joints by name, frames, stamps, and messages that are refused."""

import numpy as np
import pytest
from builders import make_spec, make_state, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float32MultiArray, Float64MultiArray

from sac_ros.guard import Guard
from sac_ros.messages import (
    MAX_ORDERS,
    MESSAGE_TYPES,
    JointOrder,
    Measurements,
    stamp_of,
    state_message,
    time_message,
)
from sac_ros.spec_rules import SOURCE_TYPES
from sac_ros.state import RobotState

pytestmark = pytest.mark.ros


def joint_states(names='shoulder elbow', position=(0.1, -0.2), velocity=(0.3, -0.4), **fields):
    return JointState(
        name=names.split(), position=list(position), velocity=list(velocity), **fields
    )


def measured(message, source='joint_states', spec=None, arrival=1.0) -> RobotState:
    measurements = Measurements(spec or make_spec())
    measurements.update(source, message, arrival)
    return measurements.state()


def refusal(message, source='joint_states', spec=None) -> str:
    return str(measured(message, source, spec).refused[source])


def test_joints_are_found_by_name_in_any_order_among_others():
    message = joint_states(
        names='gripper elbow base shoulder',
        position=(9.0, -0.2, 8.0, 0.1),
        velocity=(7, -0.4, 6, 0.3),
    )
    state = measured(message)
    np.testing.assert_array_equal(state.joint_position, [0.1, -0.2])
    np.testing.assert_array_equal(state.joint_velocity, [0.3, -0.4])


def test_two_publishers_with_different_orders_are_both_understood():
    measurements = Measurements(make_spec())
    for i in range(3 * MAX_ORDERS):
        names, values = ('shoulder elbow', (i, -i)) if i % 2 else ('elbow shoulder', (-i, i))
        extra = f'{names} extra{i}'
        measurements.update('joint_states', joint_states(extra, (*values, 0), (*values, 0)), 1.0)
        np.testing.assert_array_equal(measurements.state().joint_position, [i, -i])


def test_an_order_of_joints_is_looked_up_once():
    order = JointOrder(('a', 'b'), 'joint_states')
    assert order.find(('b', 'x', 'a')) is order.find(('b', 'x', 'a'))
    np.testing.assert_array_equal(order.find(('b', 'x', 'a')), [2, 0])


def test_an_absent_joint_is_named_with_what_came_instead():
    assert refusal(joint_states(names='shoulder elbo')) == (
        "E_OBS_MISSING_JOINT: joint 'elbow' is absent from joint_states: it has shoulder, elbo"
    )
    assert refusal(JointState()) == (
        "E_OBS_MISSING_JOINT: joint 'shoulder' is absent from joint_states: it has no names"
    )


def test_a_joint_named_twice_is_refused():
    message = joint_states(names='elbow shoulder elbow', position=(1, 2, 3), velocity=(1, 2, 3))
    assert refusal(message) == "E_OBS_DUP_JOINT: joint 'elbow' is named 2 times in joint_states"


def test_another_joint_named_twice_is_no_concern_of_ours():
    message = joint_states(
        names='x shoulder elbow x', position=(1, 2, 3, 4), velocity=(1, 2, 3, 4)
    )
    np.testing.assert_array_equal(measured(message).joint_position, [2, 3])


def test_names_and_numbers_must_be_equally_many():
    assert refusal(joint_states(position=(1.0,))) == (
        'E_OBS_SHAPE: joint_states has 2 names and 1 numbers in position'
    )
    assert refusal(joint_states(velocity=(1.0, 2.0, 3.0))) == (
        'E_OBS_SHAPE: joint_states has 2 names and 3 numbers in velocity'
    )


def test_a_field_that_the_contract_does_not_need_is_not_looked_at():
    state = measured(joint_states(effort=[1.0, 2.0, 3.0]))
    assert state.joint_effort is None
    assert not state.refused


def test_a_missing_velocity_is_found_by_the_guard():
    spec = make_spec(observation=[{'term': 'joint_velocity'}], limits={})
    state = measured(joint_states(velocity=()), spec=spec)
    assert str(Guard(spec).find_fault(state, 1.0)) == (
        'E_OBS_MISSING_FIELD: joint_states brings no joint_velocity'
    )


def test_a_field_that_is_only_limited_is_read_for_the_guard():
    limits = {'joint_effort': {'lower': -5.0, 'upper': 5.0}}
    spec = make_spec(observation=[{'term': 'joint_position'}], limits=limits)
    fault = Guard(spec).find_fault(measured(joint_states(effort=[0.0, 7.0]), spec=spec), 1.0)
    assert str(fault) == 'E_OBS_RANGE: joint_effort of elbow 7 is outside [-5.0, 5.0]'


def test_a_refused_message_leaves_the_last_values_until_a_good_one_comes():
    measurements = Measurements(make_spec())
    measurements.update('joint_states', joint_states(), 1.0)
    measurements.update('joint_states', joint_states(names='elbow wrist'), 2.0)
    state = measurements.state()
    assert state.stamps == {'joint_states': 1.0}
    assert state.refused['joint_states'].code == 'E_OBS_MISSING_JOINT'
    np.testing.assert_array_equal(state.joint_position, [0.1, -0.2])
    measurements.update('joint_states', joint_states(position=(5, 6)), 3.0)
    assert measurements.state().refused == {}
    np.testing.assert_array_equal(measurements.state().joint_position, [5, 6])


def test_nan_is_stored_as_it_is_for_the_guard_to_find():
    spec = make_spec(observation=[{'term': 'joint_position'}])
    state = measured(joint_states(position=(0.0, np.nan)), spec=spec)
    fault = Guard(spec).find_fault(state, 1.0)
    assert str(fault) == 'E_OBS_NONFINITE: joint_position of elbow is nan'


def test_the_stamp_is_the_headers_or_else_the_time_of_arrival():
    message = joint_states()
    assert measured(message, arrival=7.0).stamps['joint_states'] == 7.0
    message.header.stamp = Time(sec=3, nanosec=250_000_000)
    assert measured(message, arrival=7.0).stamps['joint_states'] == 3.25
    assert stamp_of(Float64MultiArray()) == 0.0


@pytest.mark.parametrize('stamp', [0.0, 0.02, 1.999999999, 1.9999999999, 1795377249.5])
def test_times_survive_the_way_through_a_message(stamp):
    message = time_message(stamp)
    assert 0 <= message.nanosec < 1_000_000_000
    assert message.sec + message.nanosec * 1e-9 == pytest.approx(stamp, abs=1e-9)


@pytest.mark.parametrize('kind', SOURCE_TYPES['tool_pose'])
def test_a_tool_pose_is_refused_in_another_frame_than_the_contract_says(kind):
    topics = {key: topic(key) for key in ('joint_states', 'goal', 'command')}
    topics['tool_pose'] = topic('tool_pose', frame='base', type=kind)
    spec = make_spec(topics=topics)
    message = state_message(spec, 'tool_pose', make_state(), 1.0)
    assert message.header.frame_id == 'base'
    np.testing.assert_array_equal(
        measured(message, 'tool_pose', spec).tool_position, [0.3, 0.0, 0.4]
    )
    message.header.frame_id = 'camera'
    assert refusal(message, 'tool_pose', spec) == (
        "E_OBS_FRAME: tool_pose is in frame 'camera', not in 'base'"
    )


def test_any_frame_goes_when_the_contract_names_none():
    message = PointStamped()
    message.header.frame_id = 'anywhere'
    assert measured(message, 'goal').refused == {}


@pytest.mark.parametrize('kind', SOURCE_TYPES['vector'])
def test_a_vector_comes_as_it_is(kind):
    spec = make_spec(
        observation=[{'term': 'vector', 'size': 3}],
        joints=[],
        interface='generic',
        lower=[-1.0],
        upper=[1.0],
        topics={'vector': topic('vector', type=kind), 'command': topic('command')},
    )
    message = MESSAGE_TYPES[kind](data=[1.5, -2.25, 3.0])
    state = measured(message, 'vector', spec, arrival=4.0)
    np.testing.assert_array_equal(state.vector, [1.5, -2.25, 3.0])
    assert state.stamps == {'vector': 4.0}
    again = state_message(spec, 'vector', state, 4.0)
    assert type(again) is (Float32MultiArray if 'Float32' in kind else Float64MultiArray)
    assert list(again.data) == [1.5, -2.25, 3.0]


def test_every_type_of_the_contract_has_a_message_class():
    assert {kind for kinds in SOURCE_TYPES.values() for kind in kinds} == set(MESSAGE_TYPES)


def test_a_state_comes_back_exactly_from_the_wire():
    observation = [{'term': name} for name in ('joint_position', 'joint_velocity', 'joint_effort')]
    observation.append({'term': 'goal_from_tool'})
    spec = make_spec(observation=observation)
    random = np.random.default_rng(0)
    sent = make_state(
        joint_position=random.normal(size=2),
        joint_velocity=random.normal(size=2),
        joint_effort=random.normal(size=2),
        tool_position=random.normal(size=3),
        goal=random.normal(size=3),
    )
    measurements = Measurements(spec)
    for source in spec.sources:
        message = state_message(spec, source, sent, 12.5)
        received = deserialize_message(serialize_message(message), type(message))
        measurements.update(source, received, 99.0)
    state = measurements.state()
    for name in ('joint_position', 'joint_velocity', 'joint_effort', 'tool_position', 'goal'):
        np.testing.assert_array_equal(getattr(state, name), getattr(sent, name))
    assert state.stamps == dict.fromkeys(('joint_states', 'tool_pose', 'goal'), 12.5)


def test_a_source_that_the_state_lacks_cannot_be_sent():
    with pytest.raises(ValueError, match='the state brings no goal'):
        state_message(make_spec(), 'goal', RobotState(), 0.0)


def test_a_pose_and_a_point_mean_the_same_position():
    pose, point = PoseStamped(), PointStamped()
    pose.pose.position.y = point.point.y = 0.5
    spec_of = {
        kind: make_spec(
            topics={
                **{key: topic(key) for key in ('joint_states', 'tool_pose', 'command')},
                'goal': topic('goal', type=kind),
            }
        )
        for kind in SOURCE_TYPES['goal']
    }
    for message, kind in (
        (pose, 'geometry_msgs/PoseStamped'),
        (point, 'geometry_msgs/PointStamped'),
    ):
        np.testing.assert_array_equal(measured(message, 'goal', spec_of[kind]).goal, [0, 0.5, 0])
