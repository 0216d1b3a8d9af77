"""preflight.py: who publishes what is needed, who listens, and who commands as well."""

import dataclasses

import pytest
from builders import make_spec, topic
from ready_robot import (
    CONTROLLER,
    FACTS,
    GOAL,
    JOINT_STATES,
    changed_facts,
    detail,
    only_fault,
    published,
)

from sac_ros.preflight import Endpoint, first_obstacle, preflight


@pytest.mark.fault('G13', 'INACTIVE', 'W_WAITING_FOR')
@pytest.mark.parametrize(
    ('source', 'kind'),
    [
        ('joint_states', 'sensor_msgs/JointState'),
        ('tool_pose', 'geometry_msgs/PoseStamped'),
    ],
)
def test_a_source_that_nobody_publishes_forbids_activation(source: str, kind: str) -> None:
    assert only_fault(changed_facts(published(source)), f'{source}: publisher') == (
        f'W_WAITING_FOR: nobody publishes /arm/{source} ({kind})'
    )


def test_a_goal_that_stays_valid_is_waited_for_until_it_has_come() -> None:
    facts = changed_facts(published('goal'), arrived={'joint_states', 'tool_pose'})

    assert only_fault(facts, 'goal: publisher') == (
        'W_WAITING_FOR: nobody publishes /arm/goal (geometry_msgs/PointStamped)'
    )


def test_a_goal_that_stays_valid_needs_no_publisher_once_it_has_come() -> None:
    assert detail(changed_facts(published('goal')), 'goal: publisher') == (
        '/arm/goal has come and stays valid; nobody publishes it now'
    )


@pytest.mark.fault('A26', 'INACTIVE', 'E_TYPE_INCOMPATIBLE')
def test_a_source_of_another_type_forbids_activation() -> None:
    facts = changed_facts(published('tool_pose', Endpoint('/tracker', 'geometry_msgs/Pose')))

    assert only_fault(facts, 'tool_pose: publisher') == (
        'E_TYPE_INCOMPATIBLE: /arm/tool_pose from /tracker is geometry_msgs/Pose, '
        'geometry_msgs/PoseStamped is needed'
    )


def test_the_type_that_the_contract_names_is_the_one_that_is_needed() -> None:
    topics = {key: topic(key) for key in ('joint_states', 'tool_pose', 'goal', 'command')}
    topics['tool_pose']['type'] = 'geometry_msgs/PointStamped'
    checks = preflight(make_spec(topics=topics), FACTS, is_shadow=False)

    assert str(first_obstacle(checks)) == (
        'E_TYPE_INCOMPATIBLE: /arm/tool_pose from /broadcaster is geometry_msgs/PoseStamped, '
        'geometry_msgs/PointStamped is needed'
    )


@pytest.mark.fault('A25', 'INACTIVE', 'E_QOS_INCOMPATIBLE')
def test_a_source_that_offers_too_little_quality_forbids_activation() -> None:
    problem = 'reliability BEST_EFFORT offered, RELIABLE requested'
    endpoint = dataclasses.replace(JOINT_STATES, qos_problem=problem)

    assert only_fault(
        changed_facts(published('joint_states', endpoint)), 'joint_states: publisher'
    ) == (f'E_QOS_INCOMPATIBLE: /arm/joint_states from /robot_driver: {problem}')


def test_one_publisher_that_fits_is_enough_and_the_others_are_named() -> None:
    problem = 'durability VOLATILE offered, TRANSIENT_LOCAL requested'
    facts = changed_facts(
        published(
            'goal',
            Endpoint('/navigation', 'geometry_msgs/PoseStamped'),
            dataclasses.replace(GOAL, node='/tracker', qos_problem=problem),
            GOAL,
        )
    )

    assert detail(facts, 'goal: publisher') == (
        '/arm/goal from /operator, geometry_msgs/PointStamped; '
        'but /navigation is geometry_msgs/PoseStamped, geometry_msgs/PointStamped is needed; '
        f'/tracker: {problem}'
    )


def test_when_no_publisher_fits_all_of_them_are_named() -> None:
    facts = changed_facts(
        published(
            'goal',
            dataclasses.replace(GOAL, qos_problem='deadline unlimited offered, 1 s requested'),
            Endpoint('/navigation', 'geometry_msgs/PoseStamped'),
        )
    )

    assert only_fault(facts, 'goal: publisher') == (
        'E_QOS_INCOMPATIBLE: /arm/goal from '
        '/operator: deadline unlimited offered, 1 s requested; '
        '/navigation is geometry_msgs/PoseStamped, geometry_msgs/PointStamped is needed'
    )


@pytest.mark.fault('G18', 'INACTIVE', 'W_NO_SINK')
def test_commands_that_nobody_listens_to_forbid_activation() -> None:
    assert only_fault(changed_facts(listeners=[]), 'command: listener') == (
        'W_NO_SINK: nobody listens to /arm/commands (std_msgs/Float64MultiArray)'
    )


def test_a_listener_that_cannot_hear_us_forbids_activation() -> None:
    wrong = Endpoint('/controller', 'trajectory_msgs/JointTrajectory')
    problem = 'durability VOLATILE offered, TRANSIENT_LOCAL requested'
    deaf = dataclasses.replace(CONTROLLER, qos_problem=problem)

    assert only_fault(changed_facts(listeners=[wrong]), 'command: listener') == (
        'E_TYPE_INCOMPATIBLE: /arm/commands to /controller is trajectory_msgs/JointTrajectory, '
        'std_msgs/Float64MultiArray is needed'
    )
    assert only_fault(changed_facts(listeners=[deaf]), 'command: listener') == (
        f'E_QOS_INCOMPATIBLE: /arm/commands to /controller: {problem}'
    )


@pytest.mark.fault('A27', 'INACTIVE', 'E_CMD_CONFLICT')
def test_others_who_command_the_robot_forbid_activation_and_are_named() -> None:
    facts = changed_facts(rivals=['/old_controller', 'another /arm/policy_node'])

    assert only_fault(facts, 'command: rivals') == (
        'E_CMD_CONFLICT: /arm/commands is also published by '
        '/old_controller, another /arm/policy_node'
    )
