"""What the stamps of messages, their rate and their end can do to a robot.

Real messages, on the wire, through Measurements and PolicyController, on a virtual clock.
"""

import math

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from builtin_interfaces.msg import Time
from message_robot import (
    EVERYTHING,
    Robot,
    assert_held_once_then_safe_until_it_ends,
    assert_unharmed,
    code_of,
    state_at,
)

from sac_ros.control_step import Mode
from sac_ros.messages import stamp_of, time_message
from sac_ros.state import SOURCES

pytestmark = pytest.mark.ros


@pytest.mark.fault('A12', 'SAFE', 'E_OBS_STALE')
@pytest.mark.parametrize(
    'source', [source for source in SOURCES if EVERYTHING.topics[source].timeout != math.inf]
)
def test_one_of_several_topics_that_stops_is_named_and_the_robot_stands(source):
    robot = Robot()
    assert_unharmed([robot.tick() for _ in range(3)])
    timeout = EVERYTHING.topics[source].timeout
    steps = [robot.tick(**{source: lambda message: None}) for _ in range(80)]
    last_good = int(timeout / robot.spec.dt + 1e-6)  # ticks for which the last message is fresh
    assert_unharmed(steps[: last_good - 1])
    assert {step.mode for step in steps[last_good:]} == {Mode.SAFE}
    assert {code_of(step) for step in steps[last_good:]} == {'E_OBS_STALE'}
    assert steps[last_good].fault.text.startswith(f'{source} is ')
    np.testing.assert_array_equal(steps[-1].command, np.zeros(3))
    assert robot.tick().fault is None
    assert [robot.tick().mode for _ in range(9)][-1] is Mode.ACTIVE


@pytest.mark.fault('A14', 'ACTIVE', '')
def test_of_a_flood_at_1_khz_the_latest_wins():
    plain, flooded = Robot(), Robot()
    for _ in range(20):
        expected = plain.tick()
        flooded.ticks += 1
        for i in range(20):  # 20 messages in a period of 20 ms
            for source, message in flooded.messages().items():
                if source == 'joint_states' and i < 19:
                    message.position = [9.0, 9.0, 9.0]  # beyond its limits, and never seen
                if hasattr(message, 'header'):
                    message.header.stamp = time_message(flooded.now - 0.001 * (19 - i))
                flooded.send(source, message)
        step = flooded.step()
        assert_unharmed([step])
        assert step.command.tobytes() == expected.command.tobytes()
    assert flooded.notices() == []


@pytest.mark.fault('A15', 'ACTIVE', 'W_STAMP_ZERO')
def test_messages_without_a_stamp_are_dated_by_their_arrival_and_told_once():
    def spoil(message):
        message.header.stamp = Time()
        return message

    plain, robot = Robot(), Robot()
    spoiled = dict.fromkeys(('joint_states', 'tool_pose', 'goal'), spoil)
    steps = [robot.tick(**spoiled) for _ in range(20)]
    assert_unharmed(steps)
    expected = [plain.tick() for _ in range(20)]
    np.testing.assert_array_equal(steps[-1].command, expected[-1].command)
    assert robot.notices() == [
        'W_STAMP_ZERO: joint_states has no stamp: its arrival dates it',
        'W_STAMP_ZERO: tool_pose has no stamp: its arrival dates it',
    ]
    robot.tick(**spoiled)
    assert robot.notices() == []
    stopped = [robot.tick(joint_states=lambda message: None) for _ in range(10)]
    assert (stopped[-1].mode, code_of(stopped[-1])) == (Mode.SAFE, 'E_OBS_STALE')


def in_the_future(message):
    message.header.stamp = time_message(stamp_of(message) + 10.0)
    return message


@pytest.mark.fault('A16', 'SAFE', 'E_STAMP_FUTURE')
@pytest.mark.parametrize('source', ['joint_states', 'tool_pose', 'odometry', 'imu'])
def test_stamps_in_the_future_stop_the_robot(source):
    text = assert_held_once_then_safe_until_it_ends(
        Robot(), 'E_STAMP_FUTURE', **{source: in_the_future}
    )
    assert text == f'{source} is stamped 10.000 s in the future (limit 0.05 s)'


@pytest.mark.fault('A16', 'ACTIVE', 'E_STAMP_FUTURE')
def test_one_message_from_the_future_does_not_outrank_the_good_ones_after_it():
    robot = Robot()
    steps = [
        robot.tick(),
        robot.tick(joint_states=in_the_future),
        *(robot.tick() for _ in range(20)),
    ]
    assert [step.mode for step in steps] == [Mode.ACTIVE, Mode.HOLD] + [Mode.ACTIVE] * 20
    assert [code_of(step) for step in steps] == ['', 'E_STAMP_FUTURE'] + [''] * 20
    np.testing.assert_array_equal(
        robot.measurements.state().joint_position, state_at(robot.ticks).joint_position
    )


@pytest.mark.fault('A17', 'ACTIVE', 'W_STAMP_ORDER')
def test_a_message_that_was_overtaken_does_not_turn_the_state_back():
    plain, robot = Robot(), Robot()
    late = None
    for _ in range(20):
        expected = plain.tick()
        robot.ticks += 1
        messages = robot.messages()
        for source, message in messages.items():
            assert robot.send(source, message)
        if late is not None:
            assert not robot.send('joint_states', late)
        late = messages['joint_states']
        step = robot.step()
        assert_unharmed([step])
        assert step.command.tobytes() == expected.command.tobytes()
    assert robot.notices() == [
        'W_STAMP_ORDER: joint_states is 0.020 s older than the one before it, and was dropped'
    ]


@pytest.mark.fault('A18', 'SAFE', 'E_OBS_STALE')
@pytest.mark.parametrize('source', ['joint_states', 'tool_pose', 'odometry', 'imu'])
def test_a_message_that_is_sent_again_and_again_is_not_fresh(source):
    robot = Robot()
    assert_unharmed([robot.tick() for _ in range(3)])
    last = robot.messages()[source]
    steps = [robot.tick(**{source: lambda message: last}) for _ in range(20)]
    assert_unharmed(steps[:4])  # not older than 0.1 s
    assert {step.mode for step in steps[6:]} == {Mode.SAFE}
    assert {code_of(step) for step in steps[6:]} == {'E_OBS_STALE'}
    assert steps[-1].fault.text == f'{source} is 0.400 s old (limit 0.1 s)'
    assert robot.notices() == []
