"""ros_graph.py: whom a node sees over real DDS, under which names, and what the report says."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from geometry_msgs.msg import PointStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from two_computers import (
    COMMANDS,
    DRIVER,
    RELIABLE,
    Computer,
    driver_node,
    eventually,
    facts_of,
    obstacle,
    policy_node,
)

from sac_ros.messages import COMMAND
from sac_ros.preflight import Endpoint, Facts
from sac_ros.ros_graph import command_rivals, node_name

pytest_plugins = ('two_computers',)
pytestmark = pytest.mark.ros


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
