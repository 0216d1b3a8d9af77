"""ROS messages <-> RobotState: every type, exactly, and only what the contract needs."""

import array

import numpy as np
import pytest
from builders import make_spec, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from geometry_msgs.msg import PointStamped, PoseStamped, Twist
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Float32MultiArray, Float64MultiArray

from sac_ros.messages import MessageError, stamp_of
from sac_ros.spec_rules import FRAMED_TYPES, SOURCE_TYPES
from sac_ros.state import QUATERNIONS, SOURCES, RobotState
from sac_ros.state_messages import MESSAGE_TYPES, TYPES, state_message, state_reader
from sac_ros.terms import TERMS

pytestmark = pytest.mark.ros

ALL_KINDS = [(source, kind) for source, kinds in SOURCE_TYPES.items() for kind in kinds]


def spec_for(source, kind=None, fields=None, **about_topic):
    """Return a contract that observes fields of a source, all that its type brings unless told."""
    kind = kind or SOURCE_TYPES[source][0]
    fields = fields or [field for field in SOURCES[source] if field in TYPES[kind].places]
    terms = [
        {'term': field, **({'size': 3} if TERMS[field].size == 'declared' else {})}
        for field in fields
    ]
    return make_spec(
        observation=terms,
        limits={},
        topics={
            source: topic(source, type=kind, **about_topic),
            'command': topic('command'),
        },
    )


def random_state(spec, random) -> RobotState:
    """Return a state that has all that a contract of two joints measures."""
    fields = {name: random.normal(size=size) for name, size in spec.measured.items()}
    for name in QUATERNIONS:
        if name in fields:
            fields[name][3] = abs(fields[name][3])
            fields[name] /= np.linalg.norm(fields[name])
    if 'vector' in fields:
        fields['vector'] = fields['vector'].astype(np.float32).astype(np.float64)
    return RobotState(**fields)


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def read(message, source='joint_states', spec=None):
    return state_reader(spec or make_spec(), source)(message)


def refusal(message, source='joint_states', spec=None) -> str:
    with pytest.raises(MessageError) as caught:
        read(message, source, spec)
    return str(caught.value.fault)


def test_every_type_of_the_contract_has_a_message_class():
    assert {kind for _, kind in ALL_KINDS} == set(TYPES) == set(MESSAGE_TYPES)


def test_every_field_of_the_robot_can_come_by_the_usual_type():
    for source, kinds in SOURCE_TYPES.items():
        assert set(SOURCES[source]) <= set(TYPES[kinds[0]].places)


@pytest.mark.parametrize(('source', 'kind'), ALL_KINDS)
def test_a_state_comes_back_exactly_from_the_wire(source, kind):
    spec = spec_for(source, kind)
    random = np.random.default_rng(0)
    for stamp in (12.5, 13.25):
        sent = random_state(spec, random)
        message = state_message(spec, source, sent, stamp)
        assert type(message) is MESSAGE_TYPES[kind]
        assert stamp_of(message) == (stamp if hasattr(message, 'header') else 0.0)
        fields = read(through_the_wire(message), source, spec)
        assert set(fields) == set(spec.measured)
        for name, values in fields.items():
            assert values.dtype == np.float64
            assert values.shape == (spec.measured[name],)
            np.testing.assert_array_equal(values, getattr(sent, name))


@pytest.mark.parametrize(
    ('source', 'field'), [(source, field) for source in SOURCES for field in SOURCES[source]]
)
def test_what_the_contract_does_not_need_is_not_read(source, field):
    spec = spec_for(source, fields=[field])
    message = state_message(
        spec_for(source), source, random_state(spec_for(source), np.random.default_rng(0)), 1.0
    )
    assert list(read(message, source, spec)) == [field]


@pytest.mark.parametrize(
    ('source', 'kind'), [pair for pair in ALL_KINDS if pair[1] in FRAMED_TYPES]
)
def test_a_message_in_another_frame_than_the_contract_says_is_refused(source, kind):
    spec = spec_for(source, kind, frame='base')
    message = state_message(spec, source, random_state(spec, np.random.default_rng(0)), 1.0)
    assert message.header.frame_id == 'base'
    assert set(read(message, source, spec)) == set(spec.measured)
    message.header.frame_id = 'camera\n' + 50 * '.'
    assert refusal(message, source, spec) == (
        f"E_OBS_FRAME: {source} is in frame 'camera\\n{50 * '.'}', not in 'base'"
    )


@pytest.mark.parametrize(('source', 'kind'), ALL_KINDS)
def test_the_frame_goes_with_the_types_that_have_one(source, kind):
    """JointState has a header too, but its numbers are in no frame."""
    has_frame = hasattr(MESSAGE_TYPES[kind](), 'header') and kind != 'sensor_msgs/JointState'
    assert (kind in FRAMED_TYPES) == has_frame


def test_any_frame_goes_when_the_contract_names_none():
    message = PointStamped()
    message.header.frame_id = 'anywhere'
    np.testing.assert_array_equal(read(message, 'goal')['goal'], [0.0, 0.0, 0.0])


@pytest.mark.parametrize('kind', SOURCE_TYPES['vector'])
def test_a_vector_comes_as_it_is_or_not_at_all(kind):
    spec = spec_for('vector', kind)
    message = MESSAGE_TYPES[kind](data=[1.5, -2.25, 3.0])
    fields = read(message, 'vector', spec)
    np.testing.assert_array_equal(fields['vector'], [1.5, -2.25, 3.0])
    again = state_message(spec, 'vector', RobotState(**fields), 4.0)
    assert type(again) is (Float32MultiArray if 'Float32' in kind else Float64MultiArray)
    assert list(again.data) == [1.5, -2.25, 3.0]
    for data in ([], [1.0, 2.0], [1.0] * 4, array.array('f', bytes(4_000_000))):
        message = MESSAGE_TYPES[kind](data=list(data))
        assert refusal(message, 'vector', spec) == (
            f'E_OBS_SHAPE: vector has {len(data)} numbers, 3 are needed'
        )


def test_a_pose_and_a_point_mean_the_same_position():
    pose, point = PoseStamped(), PointStamped()
    pose.pose.position.y = point.point.y = 0.5
    for message, kind in (
        (pose, 'geometry_msgs/PoseStamped'),
        (point, 'geometry_msgs/PointStamped'),
    ):
        fields = read(message, 'goal', spec_for('goal', kind))
        np.testing.assert_array_equal(fields['goal'], [0, 0.5, 0])


def test_the_numbers_of_an_odometry_are_where_the_message_has_them():
    message = Odometry()
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    position.x, position.y, position.z = 1.0, 2.0, 3.0
    orientation.x, orientation.y, orientation.z, orientation.w = 0.0, 0.0, 0.6, 0.8
    linear, angular = message.twist.twist.linear, message.twist.twist.angular
    linear.x, linear.y, linear.z = 4.0, 5.0, 6.0
    angular.x, angular.y, angular.z = 7.0, 8.0, 9.0
    fields = read(message, 'odometry', spec_for('odometry'))
    assert {name: values.tolist() for name, values in fields.items()} == {
        'base_position': [1.0, 2.0, 3.0],
        'base_orientation': [0.0, 0.0, 0.6, 0.8],
        'base_linear_velocity': [4.0, 5.0, 6.0],
        'base_angular_velocity': [7.0, 8.0, 9.0],
    }


def test_a_wished_velocity_is_ahead_to_the_left_and_turning():
    message = Twist()
    message.linear.x, message.linear.y, message.angular.z = 0.5, -0.25, 0.125
    message.linear.z = message.angular.x = message.angular.y = (
        99.0  # a base on the ground has none
    )
    fields = read(message, 'goal_velocity', spec_for('goal_velocity', 'geometry_msgs/Twist'))
    np.testing.assert_array_equal(fields['goal_velocity'], [0.5, -0.25, 0.125])


@pytest.mark.parametrize('source', ['tool_pose', 'odometry', 'imu'])
def test_an_orientation_and_its_negative_are_read_as_the_same(source):
    (field,) = set(SOURCES[source]) & set(QUATERNIONS)
    spec = spec_for(source, fields=[field])
    found = set()
    for sign in (1.0, -1.0):
        quaternion = sign * np.array([0.5, -0.5, 0.1, -0.7])  # as it came: the guard sees the norm
        message = state_message(spec, source, RobotState(**{field: quaternion}), 1.0)
        found.add(read(through_the_wire(message), source, spec)[field].tobytes())
    assert found == {np.array([-0.5, 0.5, -0.1, 0.7]).tobytes()}


@pytest.mark.parametrize('field', SOURCES['imu'])
def test_what_an_imu_does_not_measure_is_not_there(field):
    """A covariance that begins with -1 says so: many gyroscopes know no orientation."""
    spec = spec_for('imu')
    message = state_message(spec, 'imu', random_state(spec, np.random.default_rng(0)), 1.0)
    assert all(values is not None for values in read(message, 'imu', spec).values())
    getattr(message, f'{field.removeprefix("imu_")}_covariance')[0] = -1.0
    fields = read(through_the_wire(message), 'imu', spec)
    assert [name for name, values in fields.items() if values is None] == [field]


def test_an_imu_that_is_written_without_orientation_says_so():
    spec = spec_for('imu', fields=['imu_angular_velocity'])
    message = state_message(spec, 'imu', RobotState(imu_angular_velocity=np.ones(3)), 1.0)
    assert message.orientation_covariance[0] == message.linear_acceleration_covariance[0] == -1.0
    assert message.angular_velocity_covariance[0] == 0.0
    assert read(message, 'imu', spec_for('imu'))['imu_orientation'] is None


@pytest.mark.parametrize(
    ('source', 'field'), [(source, field) for source in SOURCES for field in SOURCES[source]]
)
def test_what_the_contract_needs_and_the_state_lacks_cannot_be_sent(source, field):
    with pytest.raises(ValueError, match=f'^the state brings no {field}$'):
        state_message(spec_for(source, fields=[field]), source, RobotState(), 0.0)
