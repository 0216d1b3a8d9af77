"""The simulated robot on real topics: frozen until it is driven, scored, reset, given goals."""

import copy
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from geometry_msgs.msg import PointStamped, PoseStamped
from node_process import parameters, running
from rclpy.qos import QoSProfile
from ros import Peer, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from sac_ros.messages import LATCHED, RESULTS, stamp_of
from sim_training.physics import NOMINAL, Physics
from sim_training.robot_node import SimNode
from sim_training.run import RunCommand, sim_parameters
from sim_training.tasks import load_task

pytestmark = pytest.mark.ros

BALANCE, REACH = load_task('balance').spec, load_task('reach').spec
FORCE = '/sim/forward_effort_controller/commands'
VELOCITY = '/sim/forward_velocity_controller/commands'


@pytest.fixture(scope='module')
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def simulate(peer: Peer) -> Iterator[Callable[..., SimNode]]:
    """Return a function that starts a simulated robot, served by the peer's thread."""
    made: list[SimNode] = []

    def start(**values: object) -> SimNode:
        arguments = [*parameters(**values), '-r', '__ns:=/sim', '-r', '/clock:=clock']
        made.append(SimNode(context=peer.context, arguments=arguments))
        peer.executor.add_node(made[-1])
        return made[-1]

    yield start

    def end(node: SimNode) -> None:
        peer.executor.remove_node(node)
        node.close()
        node.destroy_node()

    while made:
        peer.do(end, made.pop())


def positions(messages: list[JointState]) -> np.ndarray:
    return np.array([list(message.position) for message in messages])


def command(*values: float) -> Callable[[], Float64MultiArray]:
    return lambda: Float64MultiArray(data=list(values))


def test_the_robot_waits_for_its_first_command_and_then_moves(simulate, peer: Peer):
    states = peer.listen(JointState, '/sim/joint_states')
    simulate(task='balance')
    wait_for(lambda: len(states) > 10, 'states')
    assert states[-1].name == list(BALANCE.joints)
    assert np.ptp(positions(states), axis=0).tolist() == [0.0, 0.0]  # frozen, noise and all
    stamps = [stamp_of(message) for message in states]
    assert (np.diff(stamps) > 0.0).all()
    push = peer.stream(FORCE, command(5.0), 50.0)
    wait_for(lambda: states[-1].position[0] > states[0].position[0] + 0.05, 'the cart moves')
    push.stop()


def test_an_episode_ends_with_a_result_and_the_next_one_waits(simulate, peer: Peer):
    states = peer.listen(JointState, '/sim/joint_states')
    results = peer.listen(String, '/sim/sim_node/episode', RESULTS)
    simulate(task='balance', real_time_factor=2.0)
    push = peer.stream(FORCE, command(10.0), 100.0)
    wait_for(lambda: len(results) >= 1, 'the result of an episode')
    push.stop()
    result = json.loads(results[0].data)
    assert result['episode'] == 1
    assert result['terminated'] is True  # pushed with full force, the pole falls soon
    assert result['success'] is False
    assert 5 < result['length'] < 200
    assert 0.0 < result['return'] < result['length']
    assert set(result['latency_ms']) == {'p50', 'p99', 'max'}
    assert 0 <= result['missed'] < result['length']

    def stands_still() -> bool:
        return np.ptp(positions(states[-10:]), axis=0).tolist() == [0.0, 0.0]

    wait_for(stands_still, 'an episode that no command has come to')


def test_reset_begins_another_episode_at_once(simulate, peer: Peer):
    states = peer.listen(JointState, '/sim/joint_states')
    simulate(task='balance', seed=3)
    wait_for(lambda: len(states) > 3, 'states')
    before = positions(states)[-1]
    for number in (2, 3):
        response = peer.call(Trigger, '/sim/sim_node/reset', Trigger.Request())
        assert (response.success, response.message) == (True, f'episode {number} begins')
    count = len(states)
    wait_for(lambda: len(states) > count + 3, 'states')
    assert abs(positions(states)[-1] - before).min() > 0.0


def test_the_same_seed_makes_the_same_start(simulate, peer: Peer):
    starts = []
    for _ in range(2):
        states = peer.listen(JointState, '/sim/joint_states')
        node = simulate(task='balance', seed=11)
        wait_for(lambda states=states: len(states) > 3, 'states')
        starts.append(positions(states)[-1])
        peer.executor.remove_node(node)
    np.testing.assert_array_equal(starts[0], starts[1])


def test_bad_commands_are_refused_and_move_nothing(simulate, peer: Peer):
    states = peer.listen(JointState, '/sim/joint_states')
    simulate(task='balance')
    publisher = peer.node.create_publisher(Float64MultiArray, FORCE, 1)
    wait_for(lambda: publisher.get_subscription_count() == 1, 'the reader of commands')
    for data in ([], [1.0, 2.0], [float('nan')], [float('inf')]):
        publisher.publish(Float64MultiArray(data=data))
        count = len(states)
        wait_for(lambda count=count: len(states) > count + 3, 'states')
    assert np.ptp(positions(states), axis=0).max() == 0.0


def test_goals_are_drawn_latched_and_taken_from_others(simulate, peer: Peer):
    goals = peer.listen(PointStamped, '/sim/goal', LATCHED)
    poses = peer.listen(PoseStamped, '/sim/tool_pose')
    node = simulate(task='reach')
    wait_for(lambda: goals and poses, 'a goal and the tool')
    assert goals[0].header.frame_id == poses[0].header.frame_id == 'panda_link0'
    assert 0.3 <= goals[0].point.x <= 0.6
    publisher = peer.node.create_publisher(PointStamped, '/sim/goal', 1)
    wait_for(lambda: publisher.get_subscription_count() >= 1, 'the reader of goals')

    wish = PointStamped()
    wish.header.frame_id = 'camera'
    wish.point.x, wish.point.y, wish.point.z = 0.5, 0.125, 0.25
    publisher.publish(wish)
    wish.header.frame_id = 'panda_link0'
    publisher.publish(wish)
    wait_for(lambda: node._env.goal.tolist() == [0.5, 0.125, 0.25], 'the goal is taken')
    late = peer.listen(PointStamped, '/sim/goal', LATCHED)
    wait_for(lambda: late and late[-1].point.x == 0.5, 'a late listener gets the new goal')
    time.sleep(0.2)
    assert node._env.goal.tolist() == [0.5, 0.125, 0.25]
    count = len(goals)
    time.sleep(0.2)
    assert len(goals) == count  # goals do not go round in circles
    other = copy.deepcopy(goals[-1])
    other.point.x = 0.4375  # stamped as the newest one: simulated time stands still in between
    publisher.publish(other)
    wait_for(lambda: node._env.goal[0] == 0.4375, 'a goal with the stamp of our own is taken')
    wait_for(lambda: len(goals) > count, 'it is published')
    count = len(goals)
    peer.call(Trigger, '/sim/sim_node/reset', Trigger.Request())
    wait_for(lambda: len(goals) > count, 'the next episode draws a goal')
    assert goals[-1].point.x != 0.5


def test_a_robot_that_differs_is_simulated_by_parameters(simulate, peer: Peer):
    states = peer.listen(JointState, '/sim/joint_states')
    node = simulate(task='reach', **{'physics.motor': "['panda_joint1=0.5', 'panda_joint4=0']"})
    assert node._physics() == Physics(motor={'panda_joint1': 0.5, 'panda_joint4': 0.0})
    turn = peer.stream(VELOCITY, command(*[0.2] * 7), 50.0)
    wait_for(lambda: states and states[-1].position[1] > states[0].position[1] + 0.05, 'a motion')
    turn.stop()
    moved = positions(states[-1:])[0] - positions(states[:1])[0]
    assert moved[0] == pytest.approx(0.5 * moved[1], abs=0.01)  # noise: 1 mrad
    assert moved[3] == pytest.approx(0.0, abs=0.01)


def test_the_parameters_of_sac_ros_run_are_what_the_simulated_robot_reads(simulate):
    physics = Physics(1.5, 0.25, {'slider_to_cart': 0.5}, 0.04, 'cartpole_long.urdf')
    task = 'balance'
    command = RunCommand(Path('model.onnx'), real_time_factor=2.0, physics=physics)
    assert simulate(**sim_parameters(command, task))._physics() == physics
    assert simulate(task=task)._physics() == NOMINAL


def test_the_clock_goes_on_over_episodes_and_dates_the_states(simulate, peer: Peer):
    clocks = peer.listen(Clock, '/sim/clock')
    states = peer.listen(JointState, '/sim/joint_states')
    simulate(task='balance', publish_clock=True, real_time_factor=4.0)
    wait_for(lambda: len(clocks) > 20, 'the clock')
    peer.call(Trigger, '/sim/sim_node/reset', Trigger.Request())
    count = len(clocks)
    wait_for(lambda: len(clocks) > count + 20 and len(states) > 20, 'the clock goes on')
    times = np.array([clock.clock.sec + clock.clock.nanosec * 1e-9 for clock in list(clocks)])
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-9)
    assert times[0] > 0.0  # ROS takes 0 for no time
    stamps = {round(stamp_of(message) / 0.02) for message in states}
    assert stamps & {round(time / 0.02) for time in times}


@pytest.mark.parametrize('publish_clock', [False, True])
def test_a_late_period_is_made_up_for_only_by_a_robot_in_real_time(
    simulate, peer: Peer, publish_clock: bool
):
    node = simulate(task='balance', publish_clock=publish_clock, real_time_factor=0.01)

    def rest_after_late_period() -> float:
        time.sleep(1.0)  # of a period of 2 s
        node._on_time()
        return node._timer.time_until_next_call() * 1e-9

    assert (peer.do(rest_after_late_period) > 1.5) is publish_clock


def test_it_ends_after_its_episodes_and_warns_once_when_commands_stop(peer: Peer):
    results = peer.listen(String, '/sim/sim_node/episode', QoSProfile(depth=10))
    words = parameters(task='reach', episodes=1, real_time_factor=10.0)
    publisher = peer.node.create_publisher(Float64MultiArray, VELOCITY, 1)
    with running('-m', 'sim_training.sim_node', *words, '-r', '__ns:=/sim') as node:
        wait_for(lambda: publisher.get_subscription_count() == 1, 'the reader of commands')
        wait_for(lambda: peer.node.count_publishers('/sim/sim_node/episode') == 1, 'results')
        publisher.publish(Float64MultiArray(data=[float('nan')] * 7))
        node.wait_for_log('command refused: the command for panda_joint1 is nan')
        publisher.publish(Float64MultiArray(data=[0.0] * 7))
        assert node.process.wait(30.0) == 0
        wait_for(lambda: len(results) == 1, 'the result')
        result = json.loads(results[0].data)
        # One command in 150 periods; the robot stood still under it and reached nothing.
        assert (result['length'], result['missed']) == (150, 149)
        assert (result['terminated'], result['success']) == (False, False)
        lines = [line for line in node.log().splitlines() if 'no new command for 0.5 s' in line]
        assert len(lines) == 1


@pytest.mark.parametrize(
    ('values', 'text'),
    [
        ({'task': 'balanse'}, 'balanse'),
        ({'seed': -1}, 'seed'),
        ({'real_time_factor': 0.0}, 'real_time_factor'),
        ({'physics.payload': -1.0}, 'physics.payload is -1.0; 0 to 100 [kg] is needed'),
        ({'physics.motor': '[cart]'}, "'cart' is not name=number, such as panda_joint4=0.6"),
    ],
)
def test_a_bad_parameter_is_told_in_one_line(values, text):
    with running('-m', 'sim_training.sim_node', *parameters(**values)) as node:
        assert node.process.wait(30.0) == 1
        lines = [line for line in node.log().splitlines() if line.startswith('sim_node: ')]
        assert len(lines) == 1
        assert text in lines[0]
        assert 'Traceback' not in node.log()


def test_without_ros_it_says_in_one_line_what_to_install(tmp_path: Path):
    (tmp_path / 'rclpy.py').write_text("raise ModuleNotFoundError('no', name='rclpy')\n")
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n' + (
        'from sim_training.sim_node import main\nsys.exit(main())\n'
    )
    with running('-c', code) as node:
        assert node.process.wait(30.0) == 1
        assert node.log().startswith("sim_node: ROS 2 is needed and 'rclpy' is missing: ")
        assert "pip install '.[ros]'" in node.log()
        assert len(node.log().splitlines()) == 1


def test_ctrl_c_ends_it_cleanly():
    with running('-m', 'sim_training.sim_node', *parameters(task='balance')) as node:
        node.wait_for_log("simulated robot of 'balance' at 50 Hz")
        assert node.end(signal.SIGINT) == 0
        assert 'Traceback' not in node.log()
