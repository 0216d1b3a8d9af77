"""measurements.py: the newest of each source, what was refused, and what is worth a word."""

import pytest
from builders import make_spec, make_state, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from sensor_msgs.msg import JointState
from two_clocks import SPEC, Clocks

from sac_ros.measurements import Measurements
from sac_ros.state_messages import state_message

pytestmark = pytest.mark.ros


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_nothing_was_measured_at_first(clocks):
    state = clocks.measurements.state()
    assert state.stamps == state.refused == clocks.measurements.intervals == {}
    assert state.joint_position is None
    assert clocks.notices() == []


def test_the_newest_of_each_source_is_kept(clocks):
    assert clocks.joints(1.0, 2.0)
    clocks.steady = 0.02
    assert clocks.joints(3.0, 4.0)
    assert clocks.arrive('tool_pose', state_message(SPEC, 'tool_pose', make_state(), 0.0))
    state = clocks.measurements.state()
    assert clocks.position == [3.0, 4.0]
    assert state.tool_position.tolist() == [0.3, 0.0, 0.4]
    assert state.goal is None
    assert set(state.stamps) == {'joint_states', 'tool_pose'}


def test_a_state_does_not_change_when_more_is_measured(clocks):
    clocks.joints(1.0, 2.0)
    before = clocks.measurements.state()
    clocks.steady = 0.02
    clocks.joints(3.0, 4.0)
    clocks.joints(names='wrist')
    assert before.joint_position.tolist() == [1.0, 2.0]
    assert before.stamps == {'joint_states': 0.0}
    assert before.refused == {}


def test_a_message_does_not_share_its_numbers_with_the_state(clocks):
    spec = make_spec(
        observation=[{'term': 'vector', 'size': 2}],
        topics={'vector': topic('vector'), 'command': topic('command')},
    )
    measurements = Measurements(spec)
    message = state_message(spec, 'vector', make_state(vector=(1.0, 2.0)), 0.0)
    measurements.update('vector', message, 0.0, 0.0)
    message.data[0] = 9.0
    assert measurements.state().vector.tolist() == [1.0, 2.0]


def test_two_publishers_with_different_orders_are_both_understood(clocks):
    for i in range(6):
        clocks.steady += 0.01
        names, values = ('shoulder elbow', (i, -i)) if i % 2 else ('elbow shoulder', (-i, i))
        assert clocks.joints(*map(float, values), names=names)
        assert clocks.position == [i, -i]


def test_a_refused_message_leaves_the_last_values_until_a_good_one_comes(clocks):
    clocks.joints(1.0, 2.0)
    clocks.steady = 0.02
    assert not clocks.joints(9.0, 9.0, names='elbow wrist')
    state = clocks.measurements.state()
    text = str(state.refused['joint_states'])
    assert text == (
        "E_OBS_MISSING_JOINT: joint 'shoulder' is absent from joint_states: "
        "it has 'elbow', 'wrist'"
    )
    assert clocks.position == [1.0, 2.0]
    assert clocks.age == pytest.approx(0.02)
    clocks.steady = 0.04
    assert clocks.joints(5.0, 6.0)
    assert clocks.measurements.state().refused == {}
    assert clocks.position == [5.0, 6.0]


def test_forgetting_leaves_nothing_and_everything_may_come_anew(clocks):
    for clocks.steady in (0.0, 0.02):
        clocks.joints(1.0, 2.0)
    clocks.joints(names='wrist', age=-0.01)
    assert clocks.measurements.intervals
    clocks.measurements.forget()
    state = clocks.measurements.state()
    assert state.stamps == state.refused == clocks.measurements.intervals == {}
    assert state.joint_position is None
    clocks.steady, clocks.wall = 0.01, 0.0  # both clocks have gone back, as simulated time does
    assert clocks.joints(5.0, 6.0)
    assert clocks.age == pytest.approx(0.0)


def test_notices_stay_few_when_nobody_takes_them(clocks):
    clocks.joints(1.0, 2.0, 3.0, names='shoulder elbow wrist')
    for i in range(1, 1000):
        clocks.joints(1.0, 2.0, age=i * 0.001)
    assert clocks.notices() == [
        "W_OBS_EXTRA: joint_states has joints that the contract does not name: 'wrist'",
        'W_STAMP_ORDER: joint_states is 0.999 s older than the one before it, and was dropped',
    ]
    assert clocks.notices() == []


def test_what_was_extra_is_told_once_and_not_in_full(clocks):
    names = 'shoulder elbow ' + ' '.join(f'x{i}' for i in range(7)) + ' x0'
    for clocks.steady in (0.0, 0.02, 0.04):
        clocks.joints(*range(10), names=names)
    clocks.measurements.forget()
    clocks.joints(*range(10), names=names)
    assert clocks.notices() == [
        'W_OBS_EXTRA: joint_states has joints that the contract does not name: '
        "'x0', 'x1', 'x2', 'x3', 'x4' and 2 more"
    ]


def test_what_comes_in_a_message_of_a_million_names_is_refused(clocks):
    message = JointState()
    message.name = ['x'] * 1_000_000
    assert not clocks.arrive('joint_states', message)
    assert str(clocks.measurements.state().refused['joint_states']) == (
        'E_OBS_SHAPE: joint_states has 1000000 names (limit 1000)'
    )
