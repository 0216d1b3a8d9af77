"""ros_graph.py: what a node sees of others over real DDS, and what the report makes of it."""

import time
from collections.abc import Callable, Iterator

import pytest
from builders import make_spec, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

import rclpy
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo
from ros import WAIT
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from sac_ros.messages import COMMAND, GOAL, STATE
from sac_ros.preflight import Endpoint, Facts, first_obstacle, preflight
from sac_ros.ros_graph import collect_facts, command_rivals, node_name, qos_problem

pytestmark = pytest.mark.ros

SPEC = make_spec(
    observation=[{'term': 'joint_position'}, {'term': 'goal', 'size': 3}],
    topics={key: topic(key) for key in ('joint_states', 'goal', 'command')},
)
COMMANDS = 'arm/commands'  # as in the contract
RELIABLE = QoSProfile(depth=1)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
AUTOMATIC = LivelinessPolicy.AUTOMATIC
DRIVER = '/robot/driver'


class Computer:
    """A context of its own: its nodes are strangers to those of other contexts."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(args=[], context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self._nodes: list[LifecycleNode] = []  # a node that nobody holds is destroyed

    def node(self, name: str, *arguments: str) -> LifecycleNode:
        """Return a new node; whoever only looks at others need not be spun."""
        words = ['--ros-args', *arguments] if arguments else None
        node = LifecycleNode(name, context=self.context, namespace='/robot', cli_args=words)
        self._nodes.append(node)
        return node

    def close(self) -> None:
        for node in self._nodes:
            node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def here() -> Iterator[Computer]:
    computer = Computer()
    yield computer
    computer.close()


@pytest.fixture
def there() -> Iterator[Computer]:
    computer = Computer()
    yield computer
    computer.close()


def policy_node(computer: Computer, *arguments: str, state: QoSProfile = STATE) -> LifecycleNode:
    """Return a node on the topics of SPEC, in the ways in which the policy node is."""
    node = computer.node('policy_node', *arguments)
    node.create_subscription(JointState, 'joint_states', print, state)
    for qos in reversed(GOAL):  # the reader that hears everybody comes last
        node.create_subscription(PointStamped, 'goal', print, qos)
    node.create_lifecycle_publisher(Float64MultiArray, COMMANDS, COMMAND)
    return node


def driver_node(
    computer: Computer,
    *,
    state: QoSProfile = RELIABLE,
    goal_type: type = PointStamped,
    command_type: type = Float64MultiArray,
    command: QoSProfile = RELIABLE,
) -> LifecycleNode:
    """Return a node that publishes what SPEC needs and listens to its commands."""
    node = computer.node('driver')
    node.create_publisher(JointState, 'joint_states', state)
    node.create_publisher(goal_type, 'goal', RELIABLE)
    node.create_subscription(command_type, COMMANDS, print, command)
    return node


def facts_of(node: Node) -> Facts:
    """Return the facts, with nothing wrong in what is measured; only the goal has not come."""
    return collect_facts(
        node,
        SPEC,
        arrived={'joint_states'},
        intervals={'joint_states': 0.01},
        state_fault=None,
        discovery_rest=0.0,
    )


def obstacle(node: Node) -> str:
    """Return why the node must not be activated, or nothing."""
    fault = first_obstacle(preflight(SPEC, facts_of(node), is_shadow=False))
    return '' if fault is None else str(fault)


def eventually(find: Callable[[], object], wanted: object) -> None:
    """Wait until `find` returns what is wanted; DDS takes its time to introduce nodes."""
    end = time.monotonic() + WAIT
    while (found := find()) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    assert found == wanted


def test_a_robot_that_is_ready_is_seen_as_it_is(here: Computer, there: Computer) -> None:
    node = policy_node(here)
    driver_node(there)

    wanted = Facts(
        topics={
            'joint_states': '/robot/joint_states',
            'goal': '/robot/goal',
            'command': '/robot/arm/commands',
        },
        publishers={
            'joint_states': [Endpoint(DRIVER, 'sensor_msgs/JointState')],
            'goal': [Endpoint(DRIVER, 'geometry_msgs/PointStamped')],
        },
        listeners=[Endpoint(DRIVER, 'std_msgs/Float64MultiArray')],
        rivals=[],
        arrived={'joint_states'},
        intervals={'joint_states': 0.01},
        state_fault=None,
        clock='system',
        discovery_rest=0.0,
    )
    eventually(lambda: facts_of(node), wanted)
    assert obstacle(node) == ''


@pytest.mark.fault('G13', 'INACTIVE', 'W_WAITING_FOR')
def test_without_anybody_the_first_source_is_waited_for_by_its_full_name(here: Computer) -> None:
    node = policy_node(here, '-r', 'joint_states:=/left/joints')

    assert obstacle(node) == (
        'W_WAITING_FOR: nobody publishes /left/joints (sensor_msgs/JointState)'
    )


@pytest.mark.fault('G18', 'INACTIVE', 'W_NO_SINK')
def test_our_own_ends_of_the_command_topic_do_not_count(here: Computer, there: Computer) -> None:
    node = policy_node(here)
    node.create_subscription(Float64MultiArray, COMMANDS, print, COMMAND)
    driver = there.node('driver')
    driver.create_publisher(JointState, 'joint_states', RELIABLE)
    driver.create_publisher(PointStamped, 'goal', RELIABLE)

    eventually(
        lambda: obstacle(node),
        'W_NO_SINK: nobody listens to /robot/arm/commands (std_msgs/Float64MultiArray)',
    )
    assert facts_of(node).rivals == []


def test_topics_whose_names_are_swapped_are_remapped_once(here: Computer, there: Computer) -> None:
    # The contract's goal is found on /robot/joint_states, and the other way round.
    node = policy_node(here, '-r', 'joint_states:=goal', '-r', 'goal:=joint_states')
    driver = there.node('driver')
    driver.create_publisher(JointState, 'goal', RELIABLE)
    driver.create_publisher(PointStamped, 'joint_states', RELIABLE)
    driver.create_subscription(Float64MultiArray, COMMANDS, print, COMMAND)

    eventually(lambda: obstacle(node), '')
    assert facts_of(node).topics['joint_states'] == '/robot/goal'


@pytest.mark.fault('A25', 'INACTIVE', 'E_QOS_INCOMPATIBLE')
@pytest.mark.parametrize(
    ('offered', 'requested', 'problem'),
    [
        (BEST_EFFORT, RELIABLE, 'reliability BEST_EFFORT offered, RELIABLE requested'),
        (RELIABLE, LATCHED, 'durability VOLATILE offered, TRANSIENT_LOCAL requested'),
    ],
)
def test_a_reader_that_asks_for_more_than_is_offered_is_told_the_policy(
    here: Computer, there: Computer, offered: QoSProfile, requested: QoSProfile, problem: str
) -> None:
    node = policy_node(here, state=requested)
    driver_node(there, state=offered)

    eventually(
        lambda: obstacle(node),
        f'E_QOS_INCOMPATIBLE: /robot/joint_states from {DRIVER}: {problem}',
    )


@pytest.mark.fault('A25', 'INACTIVE', 'E_QOS_INCOMPATIBLE')
def test_a_listener_that_asks_for_more_than_we_offer_is_told_the_policy(
    here: Computer, there: Computer
) -> None:
    node = policy_node(here)
    driver_node(there, command=LATCHED)

    eventually(
        lambda: obstacle(node),
        f'E_QOS_INCOMPATIBLE: /robot/arm/commands to {DRIVER}: '
        'durability VOLATILE offered, TRANSIENT_LOCAL requested',
    )


def test_one_of_the_three_readers_of_a_goal_hears_every_publisher(
    here: Computer, there: Computer
) -> None:
    node = policy_node(here)
    for name, qos in (('tracker', BEST_EFFORT), ('operator', RELIABLE), ('planner', LATCHED)):
        there.node(name).create_publisher(PointStamped, 'goal', qos)

    eventually(
        lambda: {(one.node, one.qos_problem) for one in facts_of(node).publishers['goal']},
        {('/robot/tracker', None), ('/robot/operator', None), ('/robot/planner', None)},
    )


@pytest.mark.fault('A26', 'INACTIVE', 'E_TYPE_INCOMPATIBLE')
def test_a_publisher_of_another_type_is_named_with_it(here: Computer, there: Computer) -> None:
    node = policy_node(here)
    driver_node(there, goal_type=PoseStamped)

    eventually(
        lambda: obstacle(node),
        f'E_TYPE_INCOMPATIBLE: /robot/goal from {DRIVER} is geometry_msgs/PoseStamped, '
        'geometry_msgs/PointStamped is needed',
    )


@pytest.mark.fault('A26', 'INACTIVE', 'E_TYPE_INCOMPATIBLE')
def test_a_listener_of_another_type_is_named_with_it(here: Computer, there: Computer) -> None:
    node = policy_node(here)
    driver_node(there, command_type=String)

    eventually(
        lambda: obstacle(node),
        f'E_TYPE_INCOMPATIBLE: /robot/arm/commands to {DRIVER} is std_msgs/String, '
        'std_msgs/Float64MultiArray is needed',
    )


@pytest.mark.fault('A27', 'INACTIVE', 'E_CMD_CONFLICT')
def test_another_node_that_commands_the_robot_is_named_until_it_leaves(
    here: Computer, there: Computer
) -> None:
    node = policy_node(here)
    driver_node(there)
    rival = there.node('old_controller')
    for _ in range(2):  # is named once all the same
        rival.create_publisher(Float64MultiArray, COMMANDS, RELIABLE)

    eventually(lambda: node.count_publishers('/robot/arm/commands'), 3)
    eventually(
        lambda: obstacle(node),
        'E_CMD_CONFLICT: /robot/arm/commands is also published by /robot/old_controller',
    )
    eventually(lambda: command_rivals(node, COMMANDS), ['/robot/old_controller'])
    rival.destroy_node()
    eventually(lambda: command_rivals(node, COMMANDS), [])
    eventually(lambda: obstacle(node), '')


@pytest.mark.fault('A27 G14', 'INACTIVE', 'E_CMD_CONFLICT')
def test_a_second_copy_of_our_node_is_seen_though_it_bears_our_name(
    here: Computer, there: Computer
) -> None:
    first, second = policy_node(here), policy_node(there)
    driver_node(there)

    for find in (lambda: obstacle(first), lambda: obstacle(second)):
        eventually(
            find,
            'E_CMD_CONFLICT: /robot/arm/commands is also published by another /robot/policy_node',
        )


def test_a_copy_that_sends_no_commands_sees_the_one_that_does(
    here: Computer, there: Computer
) -> None:
    policy_node(there)
    shadow = here.node('policy_node')

    eventually(lambda: command_rivals(shadow, COMMANDS), ['another /robot/policy_node'])


@pytest.mark.fault('G09', 'INACTIVE', 'E_CLOCK_ABSENT')
def test_simulated_time_is_absent_until_the_clock_is_heard(
    here: Computer, there: Computer
) -> None:
    node = policy_node(here, '-p', 'use_sim_time:=true')
    executor = SingleThreadedExecutor(context=here.context)
    executor.add_node(node)
    assert obstacle(node) == (
        'E_CLOCK_ABSENT: use_sim_time is true, and /clock has said nothing yet'
    )
    clock = there.node('simulator').create_publisher(Clock, '/clock', RELIABLE)

    def clock_now() -> str:
        message = Clock()
        message.clock.sec = 1
        clock.publish(message)
        executor.spin_once(timeout_sec=0.01)
        return facts_of(node).clock

    eventually(clock_now, 'simulated')
    assert obstacle(node).startswith('W_WAITING_FOR')


def test_a_node_that_dds_cannot_name_yet_counts_all_the_same() -> None:
    stranger = TopicEndpointInfo('_NODE_NAME_UNKNOWN_', '_NODE_NAMESPACE_UNKNOWN_')

    assert node_name(stranger) == 'a node of unknown name'
    assert node_name(TopicEndpointInfo('driver', '/')) == '/driver'
    assert node_name(TopicEndpointInfo('driver', '/left/arm')) == '/left/arm/driver'


@pytest.mark.parametrize('offered', [BEST_EFFORT, RELIABLE, LATCHED])
def test_a_reader_that_asks_for_nothing_matches_every_publisher(offered: QoSProfile) -> None:
    assert qos_problem(offered, STATE) is None
    assert qos_problem(offered, offered) is None


@pytest.mark.parametrize(
    ('requested', 'problem'),
    [
        (
            QoSProfile(depth=1, deadline=Duration(seconds=0.5)),
            'deadline unlimited offered, 0.5 s requested',
        ),
        (
            QoSProfile(depth=1, liveliness=LivelinessPolicy.MANUAL_BY_TOPIC),
            'liveliness AUTOMATIC offered, MANUAL_BY_TOPIC requested',
        ),
        (
            QoSProfile(depth=1, liveliness_lease_duration=Duration(seconds=2)),
            'liveliness_lease_duration unlimited offered, 2 s requested',
        ),
    ],
)
def test_each_policy_that_asks_for_more_is_named(requested: QoSProfile, problem: str) -> None:
    assert qos_problem(QoSProfile(depth=1, liveliness=AUTOMATIC), requested) == problem


def test_all_policies_that_ask_for_more_are_named() -> None:
    assert qos_problem(BEST_EFFORT, LATCHED) == (
        'reliability BEST_EFFORT offered, RELIABLE requested; '
        'durability VOLATILE offered, TRANSIENT_LOCAL requested'
    )
