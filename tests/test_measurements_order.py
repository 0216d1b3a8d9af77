"""measurements.py: which message is the newest, and how old it is, by two clocks."""

import math

import numpy as np
import pytest
from builders import make_spec, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from geometry_msgs.msg import PointStamped, Twist
from two_clocks import SPEC, WALL, Clocks

from sac_ros.control_step import Mode
from sac_ros.controller import PolicyController
from sac_ros.guard import FUTURE_TOLERANCE, Guard
from sac_ros.measurements import Measurements

pytestmark = pytest.mark.ros


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_an_age_is_counted_on_a_clock_that_nobody_sets(clocks):
    clocks.joints(1.0, 2.0, age=0.03)
    assert clocks.age == pytest.approx(0.03)
    clocks.steady = 0.02
    clocks.wall += 3600.0  # the computer has been told the time
    assert clocks.age == pytest.approx(0.05)
    clocks.joints(1.0, 2.0, age=0.01)
    assert clocks.age == pytest.approx(0.01)
    clocks.steady += 2.0
    assert clocks.age == pytest.approx(2.01)
    fault = Guard(SPEC).find_fault(clocks.measurements.state(), clocks.steady)
    assert str(fault) == 'E_OBS_STALE: joint_states is 2.010 s old (limit 0.1 s)'


def test_a_stamp_is_believed_as_far_ahead_as_two_clocks_may_differ(clocks):
    assert clocks.joints(1.0, 2.0, age=-0.9 * FUTURE_TOLERANCE)
    assert clocks.age == 0.0  # and no younger: it ages from its arrival on
    assert not clocks.joints(3.0, 4.0, age=-1.1 * FUTURE_TOLERANCE)
    assert str(clocks.measurements.state().refused['joint_states']) == (
        'E_STAMP_FUTURE: joint_states is stamped 0.055 s in the future (limit 0.05 s)'
    )
    assert clocks.position == [1.0, 2.0]


def test_a_publisher_that_begins_anew_by_an_older_clock_is_heard_after_the_timeout(clocks):
    clocks.joints(1.0, 2.0)
    for steady, is_heard in ((0.06, False), (0.1, False), (0.11, True), (0.12, True)):
        clocks.steady = steady
        assert clocks.joints(3.0, 4.0, age=50.0) is is_heard
    assert clocks.age == pytest.approx(50.0)  # and the guard refuses it
    notices = [notice for notice in clocks.notices() if 'W_OBS_RATE' not in notice]
    assert notices == [
        'W_STAMP_ORDER: joint_states is 49.900 s older than the one before it, and was dropped'
    ]


def test_the_same_message_is_not_new_however_long_one_waits(clocks):
    clocks.joints(1.0, 2.0)
    clocks.steady = 10.0
    assert not clocks.joints(1.0, 2.0, age=10.0)
    assert clocks.age == pytest.approx(10.0)


@pytest.mark.fault('G12', 'ACTIVE', '')
def test_a_clock_that_was_set_begins_a_new_order_of_stamps(clocks):
    clocks.joints(1.0, 2.0)
    clocks.steady, clocks.wall = 0.02, WALL - 3600.0
    assert clocks.joints(3.0, 4.0)  # an hour older than the one before, and yet newer
    clocks.steady, clocks.wall = 0.04, WALL - 3600.04  # a little is no setting, but a drift
    assert not clocks.joints(5.0, 6.0)
    assert clocks.position == [3.0, 4.0]
    assert clocks.age == pytest.approx(0.02)
    assert clocks.notices() == [
        'W_STAMP_ORDER: joint_states is 0.020 s older than the one before it, and was dropped'
    ]


def test_goals_that_never_go_stale_count_by_arrival_whatever_their_stamps(clocks):
    goals = [(0.0, 1.0), (0.0, 2.0), (-5.0, 3.0), (900.0, 4.0), (None, 5.0)]
    for age, x in goals:
        message = PointStamped()
        message.point.x = x
        if age is None:
            assert clocks.measurements.update('goal', message, clocks.now, clocks.steady)
        else:
            assert clocks.arrive('goal', message, age)
        assert clocks.measurements.state().goal[0] == x
    assert clocks.notices() == []


def test_a_goal_that_goes_stale_is_held_to_its_stamp():
    topics = {key: topic(key) for key in ('joint_states', 'tool_pose', 'command')}
    clocks = Clocks(make_spec(topics={**topics, 'goal': topic('goal', timeout=1.0)}))
    assert clocks.arrive('goal', PointStamped())
    assert not clocks.arrive('goal', PointStamped())
    assert not clocks.arrive('goal', PointStamped(), age=-0.2)
    assert clocks.measurements.state().refused['goal'].code == 'E_STAMP_FUTURE'


def test_a_type_without_header_is_dated_by_its_arrival_without_a_word():
    spec = make_spec(
        observation=[{'term': 'goal_velocity'}],
        topics={
            'goal_velocity': topic('goal_velocity', type='geometry_msgs/Twist'),
            'command': topic('command'),
        },
    )
    measurements = Measurements(spec)
    for steady in (1.0, 2.0):
        assert measurements.update('goal_velocity', Twist(), WALL + steady, steady)
        assert measurements.state().stamps == {'goal_velocity': steady}
    assert {notice.code for notice in measurements.take_notices()} <= {'W_OBS_RATE'}


def test_the_time_between_measurements_is_smoothed_on_the_steady_clock(clocks):
    for _ in range(100):
        clocks.steady += 0.02
        clocks.wall += 1.0
        clocks.joints(1.0, 2.0)
        clocks.joints(1.0, 2.0)  # a second time: not new
    assert clocks.measurements.intervals['joint_states'] == pytest.approx(0.02)
    clocks.steady += 0.03
    clocks.joints(1.0, 2.0)
    assert clocks.measurements.intervals['joint_states'] == pytest.approx(0.021)  # 0.9, 0.1
    clocks.steady += 3600.0
    clocks.joints(1.0, 2.0)  # a pause counts as the timeout, 0.1 s: 0.9 * 0.021 + 0.1 * 0.1
    assert clocks.measurements.intervals['joint_states'] == pytest.approx(0.0289)


def test_one_message_makes_no_interval(clocks):
    clocks.joints(1.0, 2.0)
    assert clocks.measurements.intervals == {}


def test_a_stamp_far_from_any_clock_is_stale_and_finite(clocks):
    assert clocks.joints(1.0, 2.0, age=clocks.now + 2_147_483_648.0)  # the oldest there is
    assert math.isfinite(clocks.age)
    fault = Guard(SPEC).find_fault(clocks.measurements.state(), clocks.steady)
    assert fault.code == 'E_OBS_STALE'
    assert np.isfinite(clocks.position).all()


@pytest.mark.fault('A13', 'ACTIVE', 'W_OBS_RATE')
def test_a_robot_at_60_percent_of_the_control_rate_is_followed_and_told_of():
    spec = make_spec(observation=[{'term': 'joint_position'}])  # 50 Hz; 40 Hz are enough
    controller = PolicyController(spec, lambda _: np.zeros(2, dtype=np.float32))
    clocks = Clocks(spec)
    clocks.joints(0.1, 0.2)
    assert controller.activate(clocks.measurements.state(), clocks.steady) is None
    codes: list[str] = []

    for i in range(60):
        clocks.steady += 1.0 / 30.0  # 30 Hz
        clocks.joints(0.1 + 0.001 * i, 0.2)
        step = controller.step(clocks.measurements.state(), clocks.steady)
        codes += [notice.code for notice in clocks.measurements.take_notices()]
        assert step.mode is Mode.ACTIVE

    assert set(codes) == {'W_OBS_RATE'}
