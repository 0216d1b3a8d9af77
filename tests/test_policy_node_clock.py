"""What a policy node does when a simulation says what the time is."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import make_state

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import NodeProcess, running
from policy_nodes import LONE_NODE, SPEC, Arm, settle, start
from ros import Peer, wait_for
from rosgraph_msgs.msg import Clock

from sac_ros.control_step import Mode
from sac_ros.messages import time_message
from sac_ros.state_messages import state_message

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


class Simulation:
    """A simulated robot that lets one control period after the other pass when it is told to."""

    def __init__(self, peer: Peer, arm: Arm, *, has_stamps: bool) -> None:
        self._arm = arm
        self._has_stamps = has_stamps
        self._clock = peer.node.create_publisher(Clock, '/clock', 10)
        self._states = arm.publisher()

    def advance(self, period: int) -> None:
        """Say that it is the end of a period, and what the state is then."""
        now = period * SPEC.dt
        self._clock.publish(Clock(clock=time_message(now)))
        stamp = now if self._has_stamps else 0.0
        self._states.publish(state_message(SPEC, 'joint_states', make_state(), stamp))

    def tick(self, period: int) -> None:
        """Go on to a period and wait for its tick."""
        count = len(self._arm.records)
        self.advance(period)
        wait_for(lambda: len(self._arm.records) > count, f'the tick of period {period}')

    def advance_until(self, condition: Callable[[], object], period: int) -> None:
        """Let time pass from a period on, fewer than 100, until a condition holds."""
        for each in range(period, period + 100):
            self.advance(each)
            time.sleep(0.02)
            if condition():
                return
        pytest.fail(f'waited for 100 periods in vain; the newest step is {self._arm.newest()}')

    def activate(self, node: NodeProcess) -> int:
        """Let time pass until the node is active; return the last period."""
        period = 0

        def is_active() -> bool:
            nonlocal period
            period += 1
            self.advance(period)
            time.sleep(0.02)
            return 'active: the policy' in node.log()

        wait_for(is_active, 'activation on simulated time')
        return period

    def close(self, peer: Peer) -> None:
        """Leave the topics."""
        for publisher in (self._clock, self._states):
            peer.unpublish(publisher)


@pytest.fixture
def simulation(peer: Peer, lone_arm: Arm) -> Iterator[Simulation]:
    simulation = Simulation(peer, lone_arm, has_stamps=True)
    yield simulation
    simulation.close(peer)


@pytest.fixture
def stampless(peer: Peer, lone_arm: Arm) -> Iterator[Simulation]:
    simulation = Simulation(peer, lone_arm, has_stamps=False)
    yield simulation
    simulation.close(peer)


@pytest.mark.fault('G09', 'INACTIVE', 'E_CLOCK_ABSENT')
def test_simulated_time_that_nobody_tells_is_waited_for_aloud(model: Path, lone_arm: Arm):
    with running(*start(model=model, autostart=True, use_sim_time=True)) as node:
        lone_arm.send_states()
        node.wait_for_log('waiting: E_CLOCK_ABSENT: use_sim_time is true')
        settle()
        assert lone_arm.commands == []


@pytest.mark.fault('G10', 'SAFE', 'W_CLOCK_JUMP')
def test_with_simulated_time_the_ticks_follow_the_clock_also_when_it_begins_again(
    model: Path, lone_arm: Arm, simulation: Simulation
):
    with running(*start(model=model, autostart=True, use_sim_time=True)) as node:
        period = simulation.activate(node)
        for i in range(1, 101):  # ten times faster than the wall, if the machine can
            simulation.tick(period + i)
        first, last = lone_arm.steps()[-100], lone_arm.steps()[-1]
        assert last.sequence - first.sequence == 99
        assert last.stamp - first.stamp == pytest.approx(99 * 0.02)
        count = len(lone_arm.records)
        settle()  # the clock stands still, and so do we
        assert len(lone_arm.records) <= count + 1
        for again in range(1, 40):  # a bag that is played again
            simulation.advance(again)
            time.sleep(0.02)
        lone_arm.wait_for_mode(Mode.ACTIVE)
        steps = lone_arm.steps(count)
        codes = [step.fault.code for step in steps if step.fault]
        assert 'W_CLOCK_JUMP' in codes
        jump = next(s for s in steps if s.fault and s.fault.code == 'W_CLOCK_JUMP')
        assert jump.mode is Mode.SAFE
        assert steps[-1].mode is Mode.ACTIVE
        assert node.end(signal.SIGINT) == 0
        wait_for(lambda: not lone_arm.sent()[-1].any(), 'the stop command')
        assert 'Traceback' not in node.log()


def test_a_simulation_that_begins_again_is_heard_at_once_also_while_inactive(
    model: Path, peer: Peer, lone_arm: Arm, simulation: Simulation
):
    with running(*start(model=model, use_sim_time=True)):
        assert peer.change(LONE_NODE, 'configure')
        simulation.advance_until(lambda: lone_arm.call('preflight').success, 5000)
        simulation.advance_until(lambda: lone_arm.call('preflight').success, 1)


@pytest.mark.fault('G10', 'FAULT', 'E_ESTOP')
def test_a_simulation_that_begins_again_is_heard_at_once_also_after_an_emergency_stop(
    model: Path, lone_arm: Arm, simulation: Simulation
):
    with running(*start(model=model, autostart=True, use_sim_time=True)) as node:
        simulation.activate(node)
        simulation.tick(5000)
        assert lone_arm.call('estop').success
        simulation.tick(5001)
        lone_arm.wait_for_mode(Mode.FAULT, 'E_ESTOP')
        count = len(lone_arm.records)
        simulation.advance_until(lambda: lone_arm.call('reset').success, 1)
        assert {step.mode for step in lone_arm.steps(count)} == {Mode.FAULT}
        simulation.advance_until(lambda: lone_arm.newest().mode is Mode.ACTIVE, 500)
        stamps = np.array([step.stamp for step in lone_arm.steps(count)])
        assert len(np.unique(stamps)) == len(stamps)  # never two commands at a time


def test_a_state_without_a_stamp_makes_the_tick_of_the_clock_that_was_sent_before_it(
    model: Path, lone_arm: Arm, stampless: Simulation
):
    with running(*start(model=model, autostart=True, use_sim_time=True)) as node:
        begin = stampless.activate(node) + 1
        settle()
        count = len(lone_arm.records)
        periods = range(begin, begin + 300)
        for period in periods:
            stampless.tick(period)  # waits in vain when the state was taken for an earlier one
        stamps = [step.stamp for step in lone_arm.steps(count)]
        np.testing.assert_allclose(stamps, [period * SPEC.dt for period in periods], atol=1e-6)
