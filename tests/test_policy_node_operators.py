"""What an operator can do to a policy node: stop, reset, disable, slow down, look only."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import NodeProcess, running
from policy_nodes import LONE_NODE, NODE, SPEC, Arm, set_parameter, settle, start
from ros import Peer, wait_for
from std_msgs.msg import Bool, Float64MultiArray

from sac_ros.control_step import ControlStep, Mode
from sac_ros.messages import LATCHED

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


@pytest.mark.parametrize('way', ['service', 'topic'])
def test_an_emergency_stop_lasts_until_reset(configured: None, peer: Peer, arm: Arm, way: str):
    arm.send_states()
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    if way == 'service':
        assert arm.call('estop').success
    else:
        estop = peer.node.create_publisher(Bool, f'{NODE}/estop', 1)
        wait_for(lambda: estop.get_subscription_count() > 0, 'the node listens')
        estop.publish(Bool(data=True))
    arm.wait_for_mode(Mode.FAULT, 'E_ESTOP')
    wait_for(lambda: not arm.newest().command.any(), 'the stop command')
    if way == 'topic':
        estop.publish(Bool(data=False))  # letting go is no reset
    count = len(arm.records)
    wait_for(lambda: len(arm.records) > count + 30, 'stop commands go on')
    stopped = arm.steps(count)
    assert {step.fault.code for step in stopped if step.fault} == {'E_ESTOP'}
    assert not any(step.command.any() for step in stopped)
    assert arm.call('reset').message == 'reset'
    arm.wait_for_mode(Mode.ACTIVE)
    changes = np.abs(np.diff([step.command for step in arm.steps()], axis=0))
    assert changes.max() <= 5.0 * 0.02 + 1e-12  # max_rate * dt, into the stop and out of it


def test_an_emergency_stop_forbids_activation_until_reset(configured: None, peer: Peer, arm: Arm):
    arm.send_states()
    arm.activate()
    assert peer.change(NODE, 'deactivate')
    assert arm.call('estop').success
    assert not peer.change(NODE, 'activate')
    assert arm.call('reset').success
    arm.activate()


def test_the_services_say_when_there_is_nothing_to_reset(process: NodeProcess, arm: Arm):
    for answer in (arm.call('reset'), arm.enable(False), arm.call('preflight')):
        assert not answer.success
        assert answer.message.startswith('not configured')


def assert_stopped_until_reset(peer: Peer, arm: Arm) -> None:
    """Assert that only a reset lets the configured node be activated, and activate it."""
    wait_for(lambda: 'E_ESTOP' in arm.call('preflight').message, 'the stop in the report')
    assert not peer.change(NODE, 'activate')
    assert arm.call('reset').message == 'reset'
    arm.activate()


@pytest.mark.parametrize('way', ['service', 'topic'])
def test_an_emergency_stop_before_configure_is_kept_and_forbids_activation_until_reset(
    process: NodeProcess, peer: Peer, arm: Arm, way: str
):
    before = process.log().count('emergency stop: ')
    if way == 'service':
        answer = arm.call('estop')
        kept = 'kept, not configured: no command is being sent; ~/reset takes it back'
        assert (answer.success, answer.message) == (True, kept)
    else:
        button = peer.node.create_publisher(Bool, f'{NODE}/estop', 1)
        wait_for(lambda: button.get_subscription_count() >= 2, 'the node listens')
        button.publish(Bool(data=True))
    wait_for(lambda: process.log().count('emergency stop: ') > before, 'the stop in the log')
    assert peer.change(NODE, 'configure')
    arm.send_states()
    assert_stopped_until_reset(peer, arm)
    assert peer.change(NODE, 'deactivate')
    assert peer.change(NODE, 'cleanup')


def test_an_emergency_stop_before_configure_is_taken_back_by_reset(
    process: NodeProcess, peer: Peer, arm: Arm
):
    assert arm.call('estop').success
    assert arm.call('reset').message == 'reset'
    assert arm.call('reset').message == 'not configured: there is nothing to reset'
    assert peer.change(NODE, 'configure')
    arm.send_states()
    arm.activate()
    assert peer.change(NODE, 'deactivate')
    assert peer.change(NODE, 'cleanup')


@pytest.mark.parametrize('way', ['service', 'topic'])
def test_an_emergency_stop_outlives_cleanup_until_reset(
    process: NodeProcess, peer: Peer, arm: Arm, way: str
):
    assert peer.change(NODE, 'configure')
    arm.send_states()
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    button = peer.node.create_publisher(Bool, f'{NODE}/estop', LATCHED)
    if way == 'service':
        assert arm.call('estop').success
    else:
        button.publish(Bool(data=True))
    arm.wait_for_mode(Mode.FAULT, 'E_ESTOP')
    for change in ('deactivate', 'cleanup', 'configure'):  # as for a model of another contract
        assert peer.change(NODE, change)
    assert_stopped_until_reset(peer, arm)
    assert peer.change(NODE, 'deactivate')
    assert peer.change(NODE, 'cleanup')
    assert arm.call('reset').message == 'not configured: there is nothing to reset'
    peer.unpublish(button)


def test_a_button_that_was_latched_before_the_node_began_keeps_it_from_starting_by_itself(
    model: Path, peer: Peer, lone_arm: Arm
):
    button = peer.node.create_publisher(Bool, f'{LONE_NODE}/estop', LATCHED)
    button.publish(Bool(data=True))
    lone_arm.send_states()
    with running(*start(model=model, autostart=True, discovery_time=3.5)) as node:
        node.wait_for_log('emergency stop: ~/estop says true')
        node.wait_for_log('autostart has ended after an emergency stop')
        assert lone_arm.call('reset').message == 'reset'
        settle()  # whatever a reset may start
        assert lone_arm.commands == []
        lone_arm.activate()
        lone_arm.wait_for_mode(Mode.ACTIVE)
    peer.unpublish(button)


def test_a_stop_that_is_said_again_and_again_is_logged_once_until_reset(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    def lines() -> int:
        return process.log().count('emergency stop: ')

    arm.send_states()
    arm.activate()
    before = lines()
    button = peer.stream(f'{NODE}/estop', lambda: Bool(data=True), 100.0)
    arm.wait_for_mode(Mode.FAULT, 'E_ESTOP')
    settle()  # fifty more, twice each
    button.stop()
    assert lines() == before + 1
    settle()
    assert arm.call('reset').success
    assert arm.call('estop').success
    wait_for(lambda: lines() == before + 2, 'another stop in the log')
    assert arm.call('reset').success


def test_disabled_the_robot_is_stopped_and_enabled_the_policy_acts_again(
    configured: None, arm: Arm
):
    arm.send_states()
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    answer = arm.enable(False)
    assert (answer.success, answer.message) == (True, 'disabled: the stop command is being sent')
    arm.wait_for_mode(Mode.SAFE, 'W_DISABLED')
    wait_for(lambda: not arm.newest().command.any(), 'the stop command')
    assert arm.call('estop').success
    arm.wait_for_mode(Mode.FAULT, 'E_ESTOP')
    assert arm.call('reset').message.startswith('not reset: W_DISABLED')
    assert arm.newest().mode is Mode.FAULT
    assert arm.enable(True).success
    assert arm.call('reset').success
    arm.wait_for_mode(Mode.ACTIVE)


def test_the_speed_is_scaled_from_the_next_tick_on(configured: None, peer: Peer, arm: Arm):
    arm.send_states()
    arm.activate()
    wait_for(lambda: arm.commands and arm.sent()[-1][0] > 0.89, 'full speed')
    assert set_parameter(peer, NODE, 'speed_scale', 0.5).successful
    wait_for(lambda: arm.sent()[-1][0] == pytest.approx(0.45), 'half the speed')
    assert not set_parameter(peer, NODE, 'speed_scale', 1.5).successful
    assert not set_parameter(peer, NODE, 'speed_scale', float('nan')).successful
    assert set_parameter(peer, NODE, 'speed_scale', 1.0).successful
    wait_for(lambda: arm.sent()[-1][0] > 0.89, 'full speed again')


def test_a_start_is_ramped_where_nobody_says_otherwise(model: Path, lone_arm: Arm):
    def acting() -> list[ControlStep]:
        """Return what was sent since the ramp began; a state that is late begins it anew."""
        steps = lone_arm.steps()
        stops = [i for i, step in enumerate(steps) if step.mode is Mode.SAFE]
        last = max(stops, default=-1)
        return [step for step in steps[last + 1 :] if step.mode is Mode.ACTIVE]

    with running(*start(model=model, autostart=True, ramp_time=2.0)):
        lone_arm.send_states()
        wait_for(lambda: len(acting()) >= 105, 'two seconds of commands')
        steps = acting()
    # 100 periods of ramp: a tenth, a half, all of 0.9 rad/s
    commands = [steps[number - 1].command[0] for number in (10, 50, 100, 105)]
    assert commands == pytest.approx([0.09, 0.45, 0.9, 0.9], abs=1e-6)


def test_in_shadow_mode_the_robot_hears_nothing_and_the_operator_everything(
    model: Path, peer: Peer, lone_arm: Arm
):
    shadow = peer.listen_to_commands(SPEC, f'{LONE_NODE}/shadow_command')
    other = peer.node.create_publisher(Float64MultiArray, '/lone/arm/commands', 1)
    looked_at = Arm(peer, '/lone', record='shadow_control_step')
    with running(*start(model=model, autostart=True, shadow=True)) as node:
        lone_arm.send_states()
        full = pytest.approx(0.9)
        wait_for(
            lambda: max((message.data[0] for message in list(shadow)), default=0.0) == full,
            'the shadow commands of the model, beside another controller',
        )
        node.wait_for_log('shadow mode: no command is sent')
        assert lone_arm.commands == []
        assert peer.node.count_publishers('/lone/arm/commands') == 1  # the other one
        looked_at.wait_for_mode(Mode.ACTIVE)
        assert lone_arm.records == []  # no learner takes these for ticks that have moved the robot
    looked_at.close()
    peer.unpublish(other)
    assert list(shadow[-1].data) == pytest.approx([0.0, 0.0])  # it has stopped for itself too


def test_shadow_mode_cannot_be_left_under_a_configured_node(configured: None, peer: Peer):
    result = set_parameter(peer, NODE, 'shadow', True)
    assert not result.successful
    assert result.reason == "'shadow' is read by configure: deactivate, clean up first"


@pytest.mark.fault('C16', 'refused', '')
@pytest.mark.parametrize('name', ['upper', 'action.upper', 'max_rate', 'limits', 'autostart'])
def test_no_parameter_changes_what_the_contract_says(
    configured: None, peer: Peer, arm: Arm, name: str
):
    arm.send_states()
    arm.activate()
    assert not set_parameter(peer, NODE, name, 9.0).successful
    arm.wait_for_mode(Mode.ACTIVE)


def test_nothing_moves_while_the_operator_only_looks_at_the_preflight_report(
    configured: None, arm: Arm
):
    answer = arm.call('preflight')
    assert not answer.success
    assert 'W_WAITING_FOR' in answer.message
    arm.send_states()
    wait_for(lambda: arm.call('preflight').success, 'everything is there')
    assert arm.call('preflight').message.endswith('ready to activate')
    settle()
    assert arm.commands == []
