"""ros_graph.py: which ends of a topic fit each other by type and quality, seen over real DDS."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from two_computers import (
    DRIVER,
    RELIABLE,
    Computer,
    driver_node,
    eventually,
    facts_of,
    obstacle,
    policy_node,
)

from sac_ros.messages import STATE
from sac_ros.ros_graph import qos_problem

pytest_plugins = ('two_computers',)
pytestmark = pytest.mark.ros

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
AUTOMATIC = LivelinessPolicy.AUTOMATIC


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
