"""A person who takes over from a running policy node, and smooth noise while it explores."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import NodeProcess, running
from policy_nodes import ACTION, BUSY, LONE_NODE, NODE, Arm, set_parameter, start
from rcl_interfaces.srv import GetParameters
from rclpy.publisher import Publisher
from ros import Peer, wait_for
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import ControlStep, Mode

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

WISH = (-0.5, 0.25)  # [rad/s], what the person wants
# Where the machine is busy the states of the test itself may be late.
PERSON = """
import sys
import time

import rclpy
from std_msgs.msg import Float64MultiArray

rclpy.init()
node = rclpy.create_node('person')
publisher = node.create_publisher(Float64MultiArray, sys.argv[1], 1)
while True:
    publisher.publish(Float64MultiArray(data=[-0.5, 0.25]))
    time.sleep(0.02)
"""


@pytest.fixture(scope='module')
def process(model: Path) -> Iterator[NodeProcess]:
    """Run the shared node with a longer timeout: the person's words may be late here too."""
    with running(*start('/arm', model=model, takeover_timeout=1.0)) as process:
        yield process


@pytest.fixture
def acting(configured: None, arm: Arm) -> Arm:
    """Return the robot while its policy acts at full speed."""
    arm.send_states()
    arm.activate()
    wait_for(lambda: arm.commands and arm.sent()[-1][0] == pytest.approx(ACTION[0]), 'full speed')
    return arm


@pytest.fixture
def takeover(peer: Peer, process: NodeProcess) -> Iterator[Publisher]:
    publisher = peer.node.create_publisher(Float64MultiArray, f'{NODE}/takeover', 1)
    yield publisher
    peer.unpublish(publisher)


def say(publisher: Publisher, *values: float) -> None:
    wait_for(lambda: publisher.get_subscription_count() > 0, 'the node listens')
    publisher.publish(Float64MultiArray(data=values))


def is_obeyed(arm: Arm) -> bool:
    newest = arm.newest()
    return newest is not None and newest.is_takeover and newest.command == pytest.approx(WISH)


def assert_in_order(steps: list[ControlStep]) -> None:
    """Assert that no tick is missing, that no limit is broken, and who has acted."""
    numbers = range(steps[0].sequence, steps[0].sequence + len(steps))
    assert [step.sequence for step in steps] == list(numbers)
    changes = np.abs(np.diff([step.command for step in steps], axis=0))
    assert changes.max() <= 5.0 * 0.02 + 1e-9  # max_rate * dt
    for step in steps:
        if step.mode is Mode.ACTIVE:
            wanted = WISH if step.is_takeover else ACTION
            np.testing.assert_array_equal(step.action, np.float32(wanted))


@pytest.mark.fault('F09', 'ACTIVE', '')
def test_a_person_takes_over_and_gives_back(peer: Peer, acting: Arm):
    says = [WISH]
    person = peer.stream(f'{NODE}/takeover', lambda: Float64MultiArray(data=says[-1]), rate=50.0)
    wait_for(lambda: is_obeyed(acting), 'the wish of the person')
    says.append(())
    wait_for(lambda: acting.sent()[-1] == pytest.approx(ACTION), 'the policy acts again')
    person.stop()

    steps = acting.steps()
    assert_in_order(steps)
    assert acting.codes() <= BUSY
    acted = [step.is_takeover for step in steps if step.mode is Mode.ACTIVE]
    first = acted.index(True)
    last = first + sum(acted)
    assert acted == [False] * first + [True] * (last - first) + [False] * (len(acted) - last)
    acting.wait_for_mode(Mode.ACTIVE)


@pytest.mark.fault('F10', 'SAFE', 'E_TAKEOVER_LOST')
def test_the_robot_is_stopped_when_the_process_of_the_person_is_killed(acting: Arm):
    with running('-c', PERSON, f'{NODE}/takeover') as person:
        wait_for(lambda: is_obeyed(acting), 'the wish of the person')
        person.end(signal.SIGKILL)
    acting.wait_for_mode(Mode.SAFE, 'E_TAKEOVER_LOST')
    wait_for(lambda: not acting.newest().command.any(), 'the stop command')
    count = len(acting.records)
    wait_for(lambda: len(acting.records) > count + 30, 'stop commands go on')

    steps = acting.steps()
    assert_in_order(steps)
    assert acting.codes() <= {*BUSY, 'E_TAKEOVER_LOST'}
    first = [step.is_takeover for step in steps].index(True)
    acted = [step for step in steps[first:] if step.mode is Mode.ACTIVE]
    assert all(step.is_takeover for step in acted)  # and the policy no more
    assert not any(step.command.any() for step in steps[count:])
    assert acting.call('reset').message == 'reset'
    wait_for(lambda: acting.sent()[-1] == pytest.approx(ACTION), 'the policy acts again')
    assert_in_order(acting.steps())


def test_a_message_that_is_no_action_is_refused_and_said(
    acting: Arm, takeover: Publisher, process: NodeProcess
):
    say(takeover, 0.1, 0.2, 0.3)
    process.wait_for_log('W_TAKEOVER_REFUSED: ~/takeover has 3 numbers; 2 are needed')
    assert not any(step.is_takeover for step in acting.steps())
    assert acting.codes() <= BUSY


def exploration_of(peer: Peer, node: str) -> float:
    request = GetParameters.Request(names=['exploration'])
    return peer.call(GetParameters, f'{node}/get_parameters', request).values[0].double_value


def test_exploration_is_smooth_and_bounded_and_ended_by_an_emergency_stop(peer: Peer, acting: Arm):
    assert_in_order(acting.steps())
    assert not set_parameter(peer, NODE, 'exploration', 1.5).successful
    assert not set_parameter(peer, NODE, 'exploration', float('nan')).successful
    assert set_parameter(peer, NODE, 'exploration', 0.2).successful
    count = len(acting.records)
    wait_for(lambda: len(acting.records) > count + 100, 'two seconds of exploration')
    asked = [step.action for step in acting.steps(count + 5) if step.mode is Mode.ACTIVE]
    actions = np.array(asked)
    # 0.2 of half the range, which is 1 rad/s; never more than twice that, and never out of bounds.
    assert 0.03 < actions[:, 0].std() < 0.4
    assert np.abs(actions).max() <= 1.0
    assert np.abs(np.abs(actions) - 0.9).max() <= 0.4 + 1e-6
    changes = np.abs(np.diff(acting.sent(), axis=0))
    assert changes.max() <= 5.0 * 0.02 + 1e-9  # max_rate * dt

    assert acting.call('estop').success
    wait_for(lambda: exploration_of(peer, NODE) == 0.0, 'the parameter says that it has ended')
    assert acting.call('reset').success
    acting.wait_for_mode(Mode.ACTIVE)
    count = len(acting.records)
    wait_for(lambda: len(acting.records) > count + 20, 'the policy alone')
    assert_in_order(acting.steps(count))

    assert set_parameter(peer, NODE, 'exploration', 0.1).successful  # set anew
    wait_for(lambda: not np.array_equal(acting.newest().action, np.float32(ACTION)), 'noise')
    assert set_parameter(peer, NODE, 'exploration', 0.0).successful


def test_nothing_is_explored_in_shadow_mode(model: Path, peer: Peer, lone_arm: Arm):
    with running(*start(model=model, autostart=True, shadow=True, exploration=0.5)) as node:
        lone_arm.send_states()
        node.wait_for_log('active: the policy looks on')
        node.wait_for_log("exploration is off: parameter 'exploration' is 0.0 now")
        assert exploration_of(peer, LONE_NODE) == 0.0
        result = set_parameter(peer, LONE_NODE, 'exploration', 0.1)
        assert not result.successful
        assert result.reason == (
            "'exploration' stays 0 in shadow mode: there is nothing to be learned from it"
        )
        looked_at = Arm(peer, '/lone', record='shadow_control_step')
        wait_for(lambda: len(looked_at.records) > 10, 'ticks')
        assert_in_order(looked_at.steps())
        looked_at.close()
