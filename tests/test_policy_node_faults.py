"""What a policy node does when its robot's state or its own process go wrong."""

import signal
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from node_process import NodeProcess, running
from policy_nodes import BUSY, LONE_NODE, NODE, Arm, settle, start, wait_for_values
from rclpy.serialization import serialize_message
from ros import Peer, policy_status, values_of, wait_for
from sensor_msgs.msg import JointState

from sac_ros.control_step import Mode

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


@pytest.mark.fault('A08', 'INACTIVE', 'E_OBS_MISSING_JOINT')
def test_an_absent_joint_keeps_the_node_inactive_and_is_named_everywhere(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    def without_elbow() -> JointState:
        return JointState(name=['shoulder', 'gripper'], position=[0.0, 0.0], velocity=[0.0, 0.0])

    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    arm.send_states(without_elbow)
    text = (
        "E_OBS_MISSING_JOINT: joint 'elbow' is absent from joint_states: "
        "it has 'shoulder', 'gripper'"
    )
    found = wait_for_values(diagnostics, NODE, 'the code', code='E_OBS_MISSING_JOINT')
    assert found['message'] == f'inactive: {text}'
    status = policy_status(diagnostics, NODE)
    assert status is not None
    assert status.level == DiagnosticStatus.WARN
    assert not peer.change(NODE, 'activate')
    process.wait_for_log(f'not activated: {text}')


def test_a_joint_that_vanishes_while_active_ends_in_safe_and_in_the_log(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    names = ['shoulder', 'elbow']
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')

    def states_of_names() -> JointState:
        message = arm.joint_states()
        message.name = list(names)
        return message

    arm.send_states(states_of_names)
    arm.activate()
    names[1] = 'wrist'
    arm.wait_for_mode(Mode.SAFE, 'E_OBS_MISSING_JOINT')
    wait_for_values(diagnostics, NODE, 'SAFE', state='safe', code='E_OBS_MISSING_JOINT')
    status = policy_status(diagnostics, NODE)
    assert status is not None
    assert status.level == DiagnosticStatus.ERROR
    assert int(values_of(status)['count.E_OBS_MISSING_JOINT']) > 1
    process.wait_for_log("safe: E_OBS_MISSING_JOINT: joint 'elbow' is absent from joint_states")
    lines = [line for line in process.log().splitlines() if 'safe: E_OBS_MISSING_JOINT' in line]
    assert len(lines) <= 2  # not fifty a second


@pytest.mark.fault('A11', 'SAFE', 'E_OBS_STALE')
def test_a_lost_state_brings_stop_commands_each_period_until_it_is_back(
    configured: None, arm: Arm
):
    states = arm.send_states()
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    states.stop()
    arm.wait_for_mode(Mode.SAFE, 'E_OBS_STALE')
    count = len(arm.records)
    wait_for(lambda: len(arm.records) > count + 30, 'stop commands go on without a state')
    safe = arm.steps(count + 15)
    assert all(step.mode is Mode.SAFE for step in safe)
    np.testing.assert_array_equal([step.command for step in safe], np.zeros((len(safe), 2)))
    periods = np.diff([step.stamp for step in safe])
    assert np.median(periods) == pytest.approx(0.02, rel=0.1)
    arm.send_states()
    arm.wait_for_mode(Mode.ACTIVE)


ROBOT = """
import os
import sys
import time
import rclpy
from sensor_msgs.msg import JointState

rclpy.init()
node = rclpy.create_node('robot')
while not os.path.exists(sys.argv[1]):  # it is its turn: to begin takes a second or two
    time.sleep(0.01)
publisher = node.create_publisher(JointState, '/lone/joint_states', 1)
while True:
    message = JointState(name=['shoulder', 'elbow'], position=[0.1, -0.2], velocity=[0.3, -0.4])
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.02)
"""


@pytest.mark.fault('A11', 'SAFE', 'E_OBS_STALE')
def test_twenty_robots_that_are_killed_are_each_stopped_for_before_another_one_is_followed(
    model: Path, peer: Peer, lone_arm: Arm, tmp_path: Path
):
    """In ticks, not in seconds: after the last state, how many commands went on as before?"""
    turns = [tmp_path / str(kill) for kill in range(20)]
    with running(*start(model=model, autostart=True)) as node, ExitStack() as stack:

        def robot_of(turn: Path) -> NodeProcess:
            return stack.enter_context(running('-c', ROBOT, str(turn)))

        following = robot_of(turns[0])
        for kill, turn in enumerate(turns):
            robot = following
            turn.touch()
            lone_arm.wait_for_mode(Mode.ACTIVE)
            count = len(lone_arm.records)
            enough = count + 3 + kill
            wait_for(lambda enough=enough: len(lone_arm.records) > enough, 'control')
            if kill + 1 < len(turns):
                following = robot_of(turns[kill + 1])
            robot.process.kill()
            lone_arm.wait_for_mode(Mode.SAFE, 'E_OBS_STALE')
            steps = lone_arm.steps(count)
            last = max(i for i, step in enumerate(steps) if step.mode is Mode.ACTIVE)
            stopping = steps[last + 1 :]
            assert {step.mode for step in stopping} == {Mode.SAFE}
            codes = {step.fault.code for step in stopping if step.fault}
            assert {'E_OBS_STALE'} <= codes <= BUSY
            assert (np.diff([step.command[0] for step in steps[last:]]) <= 0.0).all()
        assert node.process.poll() is None


@pytest.mark.fault('A28', 'ACTIVE', '')
def test_garbage_on_the_wire_neither_kills_nor_moves(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    arm.send_states()
    arm.activate()
    publisher = arm.publisher()
    whole = serialize_message(arm.joint_states())
    random = np.random.default_rng(0)
    garbage = [whole[:k] for k in range(4, len(whole), 7)]  # cut
    garbage += [b'\x00\x01\x00\x00' + random.bytes(200) for _ in range(20)]
    garbage += [whole[:20] + b'\xff\xff\xff\x7f' + whole[24:]]  # 2^31 - 1 names
    for data in garbage:
        publisher.publish(data)
    count = len(arm.records)
    wait_for(lambda: len(arm.records) > count + 30, 'control goes on')
    assert process.process.poll() is None
    peer.unpublish(publisher)
    arm.wait_for_mode(Mode.ACTIVE)


@pytest.mark.fault('G06', 'SAFE', '')
def test_a_node_that_was_frozen_for_two_seconds_stops_first_and_sends_no_burst(
    configured: None, process: NodeProcess, arm: Arm
):
    arm.send_states()
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    process.process.send_signal(signal.SIGSTOP)
    settle()
    settle()
    settle()
    count = len(arm.records)
    process.process.send_signal(signal.SIGCONT)
    wait_for(lambda: len(arm.records) > count + 20, 'commands')
    steps = arm.steps(count)
    assert steps[0].mode is Mode.SAFE
    assert steps[0].fault is not None
    assert steps[0].fault.code in ('E_TICK_LATE', 'E_OBS_STALE')
    seconds = steps[19].stamp - steps[0].stamp
    assert seconds > 19 * 0.02 * 0.5  # twenty periods, not one moment
    arm.wait_for_mode(Mode.ACTIVE)


@pytest.mark.fault('G17', 'ACTIVE', 'W_RT_DENIED')
def test_without_the_right_to_real_time_the_node_says_so_and_works(
    model: Path, peer: Peer, lone_arm: Arm
):
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    with running(*start(model=model, autostart=True, realtime_priority=50)) as node:
        lone_arm.send_states()
        lone_arm.wait_for_mode(Mode.ACTIVE)
        if 'W_RT_DENIED' not in node.log():
            pytest.skip('this user may have real-time priority: nothing is denied')
        wait_for_values(diagnostics, LONE_NODE, 'the warning', **{'count.W_RT_DENIED': '1'})
