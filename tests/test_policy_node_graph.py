"""What a policy node does when nobody on the network fits it, or somebody else is in its place."""

from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import NodeProcess, running
from policy_nodes import LONE_NODE, NODE, SPEC, Arm, settle, start
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros import Peer, wait_for
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import Mode

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


@pytest.mark.fault('G13', 'INACTIVE', 'W_WAITING_FOR')
def test_without_a_robot_the_node_is_not_activated_and_says_what_it_waits_for(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    assert not peer.change(NODE, 'activate')
    assert peer.state(NODE) == 'inactive'
    process.wait_for_log('not activated: W_WAITING_FOR: nobody publishes /arm/joint_states')


@pytest.mark.fault('A25', 'INACTIVE', 'E_QOS_INCOMPATIBLE')
def test_a_reader_that_asks_for_more_than_the_robot_offers_is_told_so(
    model: Path, peer: Peer, lone_arm: Arm
):
    words = ['-p', 'qos_overrides./lone/joint_states.subscription.reliability:=reliable']
    publisher = peer.node.create_publisher(
        JointState,
        '/lone/joint_states',
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
    )
    with running(*start(model=model), *words) as node:
        assert peer.change(LONE_NODE, 'configure')
        wait_for(lambda: 'E_QOS' in lone_arm.call('preflight').message, 'the report')
        assert not peer.change(LONE_NODE, 'activate')
        node.wait_for_log('not activated: E_QOS_INCOMPATIBLE')
        assert 'reliability BEST_EFFORT offered, RELIABLE requested' in node.log()
    peer.unpublish(publisher)


@pytest.mark.fault('A26', 'INACTIVE', 'E_TYPE_INCOMPATIBLE')
def test_a_topic_of_another_type_is_told_so(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    other = Peer()  # one participant cannot have two types on a topic
    other.node.create_publisher(Imu, '/arm/joint_states', 1)
    wait_for(lambda: 'E_TYPE' in arm.call('preflight').message, 'the report')
    assert not peer.change(NODE, 'activate')
    process.wait_for_log('not activated: E_TYPE_INCOMPATIBLE')
    assert 'is sensor_msgs/Imu, sensor_msgs/JointState is needed' in process.log()
    other.close()


@pytest.mark.fault('G18', 'INACTIVE', 'W_NO_SINK')
def test_commands_that_nobody_would_hear_are_not_begun(model: Path, peer: Peer, lone_arm: Arm):
    peer.forget(lone_arm.commands)
    with running(*start(model=model)) as node:
        lone_arm.send_states()
        assert peer.change(LONE_NODE, 'configure')
        wait_for(lambda: 'joint_states from' in lone_arm.call('preflight').message, 'the state')
        assert not peer.change(LONE_NODE, 'activate')
        node.wait_for_log('not activated: W_NO_SINK: nobody listens to /lone/arm/commands')


@pytest.mark.fault('G18', 'ACTIVE', 'W_NO_SINK')
def test_a_listener_that_goes_is_told_while_active_also_of_a_remapped_topic(
    model: Path, peer: Peer, lone_arm: Arm
):
    elsewhere = peer.listen_to_commands(SPEC, '/driver/commands')
    lone_arm.send_states()
    words = ['-r', 'arm/commands:=/driver/commands']
    with running(*start(model=model, autostart=True), *words) as node:
        peer.forget(lone_arm.commands)  # nobody is where the contract would send to
        lone_arm.wait_for_mode(Mode.ACTIVE)
        wait_for(lambda: len(elsewhere) > 50, 'a second of commands, five looks')
        assert 'nobody listens' not in node.log()[node.log().index('active: the policy') :]
        peer.forget(elsewhere)
        node.wait_for_log('W_NO_SINK: nobody listens to /driver/commands any more')
        lone_arm.wait_for_mode(Mode.ACTIVE)


def test_nobody_is_told_while_inactive_that_nobody_listens(model: Path, peer: Peer, lone_arm: Arm):
    peer.forget(lone_arm.commands)
    with running(*start(model=model)) as node:
        assert peer.change(LONE_NODE, 'configure')
        settle()  # two looks
        settle()
        assert 'W_NO_SINK' not in node.log()


@pytest.mark.fault('A27', 'SAFE', 'E_CMD_CONFLICT')
def test_a_second_commander_is_not_fought_with(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    arm.send_states()
    rival = peer.node.create_publisher(Float64MultiArray, '/arm/arm/commands', 1)
    wait_for(lambda: 'E_CMD_CONFLICT' in arm.call('preflight').message, 'the rival is seen')
    assert not peer.change(NODE, 'activate')
    process.wait_for_log(
        'not activated: E_CMD_CONFLICT: /arm/arm/commands is also published by /peer'
    )
    peer.unpublish(rival)
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    rival = peer.node.create_publisher(Float64MultiArray, '/arm/arm/commands', 1)
    arm.wait_for_mode(Mode.SAFE, 'E_CMD_CONFLICT')
    wait_for(lambda: not arm.newest().command.any(), 'the stop command')
    peer.unpublish(rival)
    arm.wait_for_mode(Mode.ACTIVE)


@pytest.mark.fault('G14', 'INACTIVE', 'E_CMD_CONFLICT')
def test_a_second_copy_of_the_node_does_not_start(
    configured: None, model: Path, peer: Peer, arm: Arm
):
    arm.send_states()
    arm.activate()
    with running(*start('/arm', model=model, autostart=True, discovery_time=3.5)) as twin:
        twin.wait_for_log('waiting: E_CMD_CONFLICT')
        arm.wait_for_mode(Mode.SAFE, 'E_CMD_CONFLICT')  # nor does the first one go on
        settle()
        assert 'active: the policy' not in twin.log()
    arm.wait_for_mode(Mode.ACTIVE)
