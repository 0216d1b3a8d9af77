"""Two computers on one network: the one of the policy node, and the one of its robot.

A test module takes the fixtures by `pytest_plugins = ('two_computers',)`.
"""

import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from builders import make_spec, topic
from geometry_msgs.msg import PointStamped
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from ros import WAIT
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from sac_ros.messages import COMMAND, GOAL, STATE
from sac_ros.preflight import Facts, first_obstacle, preflight
from sac_ros.ros_graph import collect_facts

SPEC = make_spec(
    observation=[{'term': 'joint_position'}, {'term': 'goal', 'size': 3}],
    topics={key: topic(key) for key in ('joint_states', 'goal', 'command')},
)
COMMANDS = 'arm/commands'  # as in the contract
RELIABLE = QoSProfile(depth=1)
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
    assert found == wanted, f'found {found}; wanted {wanted}'
