"""The simulated robot shows the state that ends an episode, as a real one would; on real topics.

The test turns the simulated robot's clock by hand, so that no period passes unseen.
"""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import parameters
from ros import Peer, wait_for
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from sac_ros.messages import RESULTS, stamp_of
from sim_training.env import SimEnv
from sim_training.robot_node import SimNode
from sim_training.tasks import load_task

pytestmark = pytest.mark.ros

PUSH = 10.0  # [N]: under it the pole falls within half a second


class Simulation:
    """A simulated cart-pole, what it shows, and whoever drives it."""

    def __init__(self, peer: Peer, **values: object) -> None:
        arguments = [*parameters(task='balance', publish_clock=True, **values), '-r', '__ns:=/sim']
        self.node = SimNode(context=peer.context, arguments=[*arguments, '-r', '/clock:=clock'])
        for timer in self.node.timers:
            timer.cancel()
        self.peer = peer
        self.states = peer.listen(JointState, '/sim/joint_states')
        self.results = peer.listen(String, '/sim/sim_node/episode', RESULTS)
        topic = '/sim/forward_effort_controller/commands'
        self.commands = peer.node.create_publisher(Float64MultiArray, topic, 1)
        peer.executor.add_node(self.node)
        wait_for(lambda: self.commands.get_subscription_count() == 1, 'the reader of commands')
        wait_for(lambda: peer.node.count_publishers('/sim/joint_states') == 1, 'states')

    def close(self) -> None:
        self.peer.do(self._end)
        for messages in (self.states, self.results):
            self.peer.forget(messages)
        self.peer.unpublish(self.commands)

    def _end(self) -> None:
        self.peer.executor.remove_node(self.node)
        self.node.close()
        self.node.destroy_node()

    def show(self) -> JointState:
        """Let one period pass, and return the state that is shown after it."""
        count = len(self.states)
        self.peer.do(self.node._advance)
        wait_for(lambda: len(self.states) > count, 'a state')
        return self.states[-1]

    def push(self) -> None:
        """Send a command, and wait until it has been taken."""
        self.commands.publish(Float64MultiArray(data=[PUSH]))
        wait_for(lambda: self.node._has_new_command, 'the command')

    def push_in_vain(self) -> None:
        """Send a command of which nothing can be seen, and wait until it has been looked at."""
        self.commands.publish(Float64MultiArray(data=[-PUSH]))
        assert self.commands.wait_for_all_acked()
        for _ in range(10):  # chores take turns with callbacks
            self.peer.do(lambda: None)
        assert not self.node._has_new_command

    def play(self, periods: int) -> list[JointState]:
        """Answer states by a push, after which the episode must be over; return what was shown."""
        count = len(self.results)
        shown = [self.show()]
        for _ in range(periods):
            assert len(self.results) == count
            self.push()
            shown.append(self.show())
        wait_for(lambda: len(self.results) == count + 1, 'the result')
        return shown


@pytest.fixture(scope='module')
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def simulate(peer: Peer) -> Iterator[Callable[..., Simulation]]:
    made: list[Simulation] = []

    def start(**values: object) -> Simulation:
        made.append(Simulation(peer, **values))
        return made[-1]

    yield start
    for simulation in made:
        simulation.close()


def positions(states: list[JointState]) -> np.ndarray:
    return np.array([state.position for state in states])


def episode_of_the_env(seed: int) -> tuple[np.ndarray, float]:
    """Return the positions of the same episode in the env, first and last state too; its return"""
    env = SimEnv(load_task('balance'))
    env.reset(seed=seed)
    rows, total, is_over = [env.state.joint_position], 0.0, False
    while not is_over:
        _, reward, terminated, truncated, _ = env.send(np.array([PUSH]))
        rows.append(env.state.joint_position)
        total, is_over = total + reward, terminated or truncated
    env.close()
    return np.array(rows), total


def test_each_state_of_an_episode_is_shown_once_the_one_that_ends_it_too(simulate):
    simulation = simulate(seed=5)
    for episode in (1, 2):
        expected, total = episode_of_the_env(seed=4 + episode)
        shown = simulation.play(len(expected) - 1)
        np.testing.assert_array_equal(positions(shown), expected)
        assert np.abs(positions(shown)[-1, 1]) > 0.3  # the pole has fallen
        result = json.loads(simulation.results[-1].data)
        assert (result['episode'], result['length']) == (episode, len(shown) - 1)
        assert result['return'] == total
        assert (result['terminated'], result['success'], result['missed']) == (True, False, 0)
        assert result['ended_at'] == pytest.approx(stamp_of(shown[-1]), abs=1e-9)
    stamps = [stamp_of(state) for state in simulation.states]
    assert [round(later - earlier, 9) for earlier, later in pairwise(stamps)] == [0.02] * (
        len(stamps) - 1
    )


def test_commands_that_answer_the_last_state_move_nothing_and_do_not_count(simulate):
    simulation = simulate(seed=7)
    last = simulation.play(len(episode_of_the_env(seed=7)[0]) - 1)[-1]
    for _ in range(2):
        simulation.push_in_vain()
    first = simulation.show()
    assert np.abs(np.subtract(first.position, last.position)).max() > 0.05
    expected, _ = episode_of_the_env(seed=8)
    again = [first, simulation.show(), simulation.show()]  # it waits for a command of its own
    np.testing.assert_array_equal(positions(again), expected[[0, 0, 0]])
    simulation.push()
    np.testing.assert_array_equal(simulation.show().position, expected[1])
    assert len(simulation.results) == 1


def test_after_the_last_episode_its_last_state_stays(simulate):
    simulation = simulate(seed=5, episodes=1)
    last = simulation.play(len(episode_of_the_env(seed=5)[0]) - 1)[-1]
    assert simulation.node.is_finished
    simulation.push_in_vain()
    assert simulation.show().position == last.position
    assert len(simulation.results) == 1


def test_a_reset_ends_an_episode_that_has_moved_in_the_state_shown_last(simulate):
    simulation = simulate(seed=5)
    simulation.show()
    assert simulation.peer.call(Trigger, '/sim/sim_node/reset', Trigger.Request()).success
    simulation.show()
    assert simulation.results == []  # nothing had moved
    simulation.push()
    last = simulation.show()
    assert simulation.peer.call(Trigger, '/sim/sim_node/reset', Trigger.Request()).success
    wait_for(lambda: len(simulation.results) == 1, 'the result of what was given up')
    result = json.loads(simulation.results[0].data)
    assert (result['episode'], result['length']) == (2, 1)
    assert (result['terminated'], result['success']) == (False, False)
    assert result['ended_at'] == pytest.approx(stamp_of(last), abs=1e-9)
    expected, _ = episode_of_the_env(seed=7)
    np.testing.assert_array_equal(simulation.show().position, expected[0])
