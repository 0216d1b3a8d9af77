"""What the contents of messages can do to a robot: from the message to the command that is sent.

Real messages, on the wire, through Measurements and PolicyController, on a virtual clock.
"""

import math
from array import array

import numpy as np
import pytest
from builders import topic
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from message_robot import (
    EVERYTHING,
    JOINTS,
    Robot,
    assert_held_once_then_safe_until_it_ends,
    assert_unharmed,
    spec_of,
    state_at,
)
from sensor_msgs.msg import JointState

from sac_ros.messages import stamp_of
from sac_ros.spec_rules import FRAMED_TYPES
from sac_ros.state import QUATERNIONS, SOURCES, field_size
from sac_ros.state_messages import state_message
from sac_ros.terms import TERMS

pytestmark = pytest.mark.ros

FIELDS = [(name, i) for name, size in EVERYTHING.measured.items() for i in range(size)]


def with_value(name: str, i: int, value: float):
    """Return what puts a value into element i of a field, and the source of the field."""
    (source,) = TERMS[name].sources

    def spoil(message):
        state = state_at(0)
        getattr(state, name)[i] = value
        return state_message(EVERYTHING, source, state, stamp_of(message))

    return {source: spoil}


@pytest.mark.fault('A01', 'SAFE', 'E_OBS_NONFINITE')
@pytest.mark.parametrize(('name', 'i'), FIELDS)
def test_nan_anywhere_stops_the_robot(name, i):
    text = assert_held_once_then_safe_until_it_ends(
        Robot(), 'E_OBS_NONFINITE', **with_value(name, i, math.nan)
    )
    element = f'of {JOINTS[i]}' if name.startswith('joint_') else f'[{i}]'
    assert text.replace(' ', '') == f'{name}{element}isnan'.replace(' ', '')


@pytest.mark.fault('A02', 'SAFE', 'E_OBS_NONFINITE')
@given(
    place=st.sampled_from(FIELDS),
    value=st.sampled_from([math.inf, -math.inf, 1e308, -1e308, 3.5e38]),
)
@settings(max_examples=40)
def test_what_is_infinite_in_single_precision_stops_the_robot(place, value):
    assert_held_once_then_safe_until_it_ends(
        Robot(), 'E_OBS_NONFINITE', **with_value(*place, value)
    )


@pytest.mark.fault('A03', 'ACTIVE', '')
@given(
    place=st.sampled_from([(name, i) for name, i in FIELDS if name not in QUATERNIONS]),
    value=st.sampled_from([5e-324, -5e-324, 1e-310, -0.0, 1e-45]),
)
@settings(max_examples=40)
def test_numbers_next_to_nothing_are_numbers(place, value):
    robot = Robot()
    steps = [robot.tick(**with_value(*place, value)) for _ in range(5)]
    assert_unharmed(steps)
    assert all(np.isfinite(step.observation).all() for step in steps)


@pytest.mark.fault('A04', 'SAFE', 'E_OBS_SHAPE')
@pytest.mark.parametrize('place', ['position', 'velocity', 'effort'])
@pytest.mark.parametrize('size', [1, 2, 4, 100_000])
def test_joint_states_with_too_few_or_too_many_numbers_stop_the_robot(place, size):
    def spoil(message):
        setattr(message, place, array('d', bytes(8 * size)))
        return message

    text = assert_held_once_then_safe_until_it_ends(Robot(), 'E_OBS_SHAPE', joint_states=spoil)
    assert text == f'joint_states has 3 names and {size} numbers in {place}'


@pytest.mark.fault('A04', 'SAFE', 'E_OBS_SHAPE')
@pytest.mark.parametrize('size', [0, 1, 3, 100_000])
def test_a_vector_of_another_size_stops_the_robot(size):
    def spoil(message):
        message.data = array('d', bytes(8 * size))
        return message

    text = assert_held_once_then_safe_until_it_ends(Robot(), 'E_OBS_SHAPE', vector=spoil)
    assert text == f'vector has {size} numbers, 2 are needed'


@pytest.mark.fault('A05', 'SAFE', 'E_OBS_MISSING_FIELD')
@pytest.mark.parametrize('place', ['position', 'velocity', 'effort'])
def test_a_field_of_joint_states_that_is_left_out_stops_the_robot(place):
    def spoil(message):
        setattr(message, place, [])
        return message

    text = assert_held_once_then_safe_until_it_ends(
        Robot(), 'E_OBS_MISSING_FIELD', joint_states=spoil
    )
    assert text == f'joint_states brings no joint_{place}'


@pytest.mark.fault('A05', 'SAFE', 'E_OBS_MISSING_FIELD')
def test_an_imu_that_says_that_it_knows_no_orientation_stops_the_robot():
    def spoil(message):
        message.orientation_covariance[0] = -1.0
        return message

    text = assert_held_once_then_safe_until_it_ends(Robot(), 'E_OBS_MISSING_FIELD', imu=spoil)
    assert text == 'imu brings no imu_orientation'


@pytest.mark.fault('A22', 'SAFE', 'E_OBS_QUAT')
@pytest.mark.parametrize('name', QUATERNIONS)
@pytest.mark.parametrize('norm', [0.0, 0.5])
def test_a_quaternion_of_another_norm_than_1_stops_the_robot(name, norm):
    (source,) = TERMS[name].sources

    def spoil(message):
        state = state_at(0)
        getattr(state, name)[:] = (0.6 * norm, 0.0, 0.0, 0.8 * norm)
        return state_message(EVERYTHING, source, state, stamp_of(message))

    text = assert_held_once_then_safe_until_it_ends(Robot(), 'E_OBS_QUAT', **{source: spoil})
    assert text == f'{name} has norm {norm:g}; 1 is needed'


@pytest.mark.fault('A22', 'ACTIVE', '')
def test_a_quaternion_that_changes_its_sign_changes_no_bit_of_the_command():
    def flipped(source):
        def spoil(message):
            state = state_at(robot.ticks)
            for name in set(SOURCES[source]) & set(QUATERNIONS):
                getattr(state, name)[:] *= -1.0
            return state_message(EVERYTHING, source, state, stamp_of(message))

        return spoil

    plain, robot = Robot(), Robot()
    for tick in range(20):
        turned = ('tool_pose', 'odometry', 'imu') if tick % 2 else ()
        step = robot.tick(**{source: flipped(source) for source in turned})
        assert_unharmed([step])
        assert step.command.tobytes() == plain.tick().command.tobytes()


@pytest.mark.fault('A23', 'SAFE', 'E_OBS_RANGE')
def test_degrees_where_radians_are_needed_stop_the_robot_and_are_guessed():
    def spoil(message):
        message.position = [90.0, 10.0, -45.0]
        return message

    text = assert_held_once_then_safe_until_it_ends(Robot(), 'E_OBS_RANGE', joint_states=spoil)
    assert text.startswith('joint_position of shoulder 90 is outside [-3.0, 3.0]')
    assert 'degrees' in text


@pytest.mark.fault('A24', 'SAFE', 'E_OBS_FRAME')
@pytest.mark.parametrize(
    'source', [source for source in SOURCES if EVERYTHING.source_type(source) in FRAMED_TYPES]
)
def test_another_frame_than_the_contract_says_stops_the_robot(source):
    def spoil(message):
        message.header.frame_id = 'camera'
        return message

    spec = spec_of(*SOURCES, **{source: topic(source, frame='base')})
    text = assert_held_once_then_safe_until_it_ends(Robot(spec), 'E_OBS_FRAME', **{source: spoil})
    assert text == f"{source} is in frame 'camera', not in 'base'"


@pytest.mark.fault('A04', 'SAFE', 'E_OBS_SHAPE')
def test_a_million_names_stop_the_robot_without_being_looked_at():
    robot = Robot()
    message = JointState(header=robot.messages()['joint_states'].header)
    message.name = ['x'] * 1_000_000

    def spoil(good):
        message.header = good.header
        robot.measurements.update('joint_states', message, robot.now, robot.steady)

    text = assert_held_once_then_safe_until_it_ends(robot, 'E_OBS_SHAPE', joint_states=spoil)
    assert text == 'joint_states has 1000000 names (limit 1000)'


def test_the_contract_of_these_tests_measures_all_there_is():
    assert set(EVERYTHING.measured) == {name for names in SOURCES.values() for name in names}
    assert EVERYTHING.measured['joint_effort'] == field_size('joint_effort', 3) == 3
