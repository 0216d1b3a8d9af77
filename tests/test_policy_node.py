"""The policy node as a process on real topics: its states, its silence, its commands."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import NodeProcess, running
from policy_nodes import ACTION, LONE_NODE, NODE, SPEC, Arm, settle, start
from rcl_interfaces.srv import DescribeParameters
from ros import Peer, wait_for
from std_msgs.msg import String

from sac_ros.control_step import ControlStep, Mode
from sac_ros.messages import LATCHED
from sac_ros.parameters import PARAMETERS

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


def test_the_node_walks_through_the_states_of_a_lifecycle(model: Path, peer: Peer, lone_arm: Arm):
    with running(*start(model=model)) as node:
        lone_arm.send_states()
        assert peer.state(LONE_NODE) == 'unconfigured'
        assert peer.change(LONE_NODE, 'configure')
        assert peer.state(LONE_NODE) == 'inactive'
        lone_arm.activate()
        assert peer.state(LONE_NODE) == 'active'
        assert peer.change(LONE_NODE, 'deactivate')
        assert peer.state(LONE_NODE) == 'inactive'
        assert peer.change(LONE_NODE, 'cleanup')
        assert peer.state(LONE_NODE) == 'unconfigured'
        assert peer.change(LONE_NODE, 'configure')
        lone_arm.activate()
        wait_for(lambda: len(lone_arm.commands) > 20, 'commands')
        assert peer.change(LONE_NODE, 'shutdown active')
        assert peer.state(LONE_NODE) == 'finalized'
        np.testing.assert_array_equal(lone_arm.sent()[-1], [0.0, 0.0])
        assert node.end(signal.SIGTERM) == 0


def test_nothing_is_sent_before_activation_and_after_deactivation(
    configured: None, peer: Peer, arm: Arm
):
    arm.send_states()
    wait_for(lambda: peer.node.count_publishers('/arm/arm/commands') == 1, 'the publisher')
    settle()
    assert arm.commands == arm.records == []
    arm.activate()
    wait_for(lambda: len(arm.commands) > 20, 'commands')
    assert peer.change(NODE, 'deactivate')
    wait_for(lambda: not arm.sent()[-1].any(), 'the stop command')
    count = len(arm.commands)
    settle()
    assert len(arm.commands) == count


def test_commands_grow_and_stop_as_fast_as_max_rate_allows(configured: None, peer: Peer, arm: Arm):
    arm.send_states()
    wait_for(lambda: peer.node.count_publishers('/arm/arm/commands') == 1, 'the publisher')
    arm.activate()
    wait_for(lambda: len(arm.commands) > 30, 'commands')
    assert peer.change(NODE, 'deactivate')
    wait_for(lambda: not arm.sent()[-1].any(), 'the stop command')
    sent = arm.sent()
    assert np.abs(np.diff(sent, axis=0)).max() <= 0.1 + 1e-12  # 5 rad/s^2 * 0.02 s
    np.testing.assert_allclose(sent.max(axis=0), [0.9, 0.0], atol=1e-7)
    np.testing.assert_allclose(sent[-10:, 0], np.arange(9, -1, -1) / 10, atol=1e-6)


def test_each_control_step_tells_what_was_sent(configured: None, peer: Peer, arm: Arm):
    arm.send_states()
    wait_for(lambda: peer.node.count_publishers(f'{NODE}/control_step') == 1, 'the publisher')
    arm.activate()
    wait_for(lambda: len(arm.records) > 20 and len(arm.commands) > 20, 'control steps')
    previous = np.array([1.0, -1.0]) * 0.9  # reached after nine periods, if none is late

    def whole() -> list[ControlStep]:
        seen = [step for step in arm.steps() if step.observation is not None]
        acting = [step for step in seen if step.mode is Mode.ACTIVE]  # none is late
        return [step for step in acting if np.allclose(step.observation[4:], previous)]

    wait_for(lambda: len(whole()) > 5, 'steps at the full action')
    read = {step.sequence: step for step in arm.steps()}
    step = whole()[0]
    assert step.observation is not None
    assert step.action is not None
    np.testing.assert_allclose(step.observation, [0.1, -0.2, 0.3, -0.4, *previous], atol=1e-6)
    np.testing.assert_allclose(step.action, ACTION)
    np.testing.assert_allclose(step.command, previous, atol=1e-6)
    assert step.command.tolist() in arm.sent().tolist()
    assert sorted(read) == list(range(min(read), max(read) + 1))
    now = peer.node.get_clock().now().nanoseconds * 1e-9
    assert 0.0 <= now - step.stamp < 60.0  # on the clock of the computer, as recorders have it


@pytest.mark.fault('A14', 'ACTIVE', '')
def test_a_state_of_500_hertz_makes_one_command_in_ten(configured: None, arm: Arm):
    sent: list[None] = []

    def counted() -> object:
        sent.append(None)
        return arm.joint_states()

    arm.send_states(counted, rate=500.0)
    arm.activate()
    wait_for(lambda: len(arm.records) > 5, 'control steps')
    first, count = len(arm.records), len(sent)
    wait_for(lambda: len(arm.records) >= first + 100, 'control steps')
    states = len(sent) - count
    steps = arm.steps(first)
    # In time, not in states: a busy machine may send fewer than 500 a second.
    rate = (len(steps) - 1) / (steps[-1].stamp - steps[0].stamp)
    assert 25.0 < rate < 55.0
    assert states > 150


def test_the_node_listens_to_the_topics_of_its_terms_and_to_no_other(configured: None, peer: Peer):
    topics = peer.node.get_subscriber_names_and_types_by_node('policy_node', '/arm')
    heard = {name for name, _ in topics} - {'/parameter_events'}
    own = {f'{NODE}/{name}' for name in ('estop', 'takeover', 'candidate', 'episode_return')}
    assert heard == {'/arm/joint_states', *own}


def test_the_model_in_use_is_told_to_whoever_comes_later(configured: None, peer: Peer):
    told: list[String] = peer.listen(String, f'{NODE}/policy_info', LATCHED)
    wait_for(lambda: told, 'the latched word about the model')
    info = json.loads(told[-1].data)
    assert info['spec'] == json.loads(SPEC.to_json())
    assert len(info['sha256']) == 64
    assert 'golden' not in info['origin']


def test_parameters_explain_themselves(process: NodeProcess, peer: Peer):
    request = DescribeParameters.Request(names=list(PARAMETERS))
    descriptors = peer.call(DescribeParameters, f'{NODE}/describe_parameters', request).descriptors
    found = {descriptor.name: descriptor for descriptor in descriptors}
    assert all(len(descriptor.description) > 30 for descriptor in descriptors)
    assert {name for name, one in found.items() if one.read_only} == {
        'autostart',
        'discovery_time',
        'expected_sha256',
        'learning_folder',
        'realtime_priority',
        'takeover_timeout',
    }
    assert found['speed_scale'].floating_point_range[0].to_value == 1.0
    assert found['realtime_priority'].integer_range[0].to_value == 98
