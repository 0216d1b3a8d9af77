"""spec.py: what follows from a contract: sizes, names, topics, message types."""

import json
import random

import numpy as np
import pytest
from builders import make_spec, topic
from pydantic import ValidationError

from sac_ros.spec import json_schema
from sac_ros.spec_rules import COMMAND_TYPES, SOURCE_TYPES
from sac_ros.state import SOURCES


def test_the_sizes_follow_from_the_terms_and_the_joints() -> None:
    spec = make_spec()

    assert [spec.term_size(term) for term in spec.observation] == [2, 2, 3, 2]
    assert spec.observation_size == 9
    assert spec.action_size == 2
    assert spec.action_names == ('shoulder', 'elbow')
    assert spec.dt == 0.02  # 1 / 50 Hz


def test_only_the_joints_that_are_named_are_driven() -> None:
    spec = make_spec(action_joints=['elbow'])

    assert spec.action_names == ('elbow',)
    assert spec.observation_size == 2 + 2 + 3 + 1  # the previous action has one element now


def test_a_twist_drives_its_axes() -> None:
    spec = make_spec(interface='twist', axes=['linear.x', 'angular.z'])

    assert spec.action_names == ('linear.x', 'angular.z')
    assert spec.command_type == 'geometry_msgs/TwistStamped'


def test_a_generic_action_has_as_many_elements_as_its_lower_bound() -> None:
    spec = make_spec(
        joints=[],
        observation=[{'term': 'vector', 'size': 11}],
        interface='generic',
        lower=[-1.0, -1.0, -1.0],
    )

    assert spec.action_names == ('action[0]', 'action[1]', 'action[2]')
    assert spec.observation_size == 11
    assert spec.sources == ('vector',)


def test_the_contract_reads_only_the_topics_that_its_terms_need() -> None:
    assert make_spec().sources == ('joint_states', 'tool_pose', 'goal')
    assert make_spec(observation=[{'term': 'joint_effort'}]).sources == ('joint_states',)
    assert make_spec(observation=[{'term': 'previous_action'}]).sources == ()


def test_one_number_stands_for_every_element_of_the_action() -> None:
    spec = make_spec()

    np.testing.assert_array_equal(spec.per_action(2.5), [2.5, 2.5])
    np.testing.assert_array_equal(spec.per_action((1.0, 2.0)), [1.0, 2.0])
    with pytest.raises(ValueError, match='read-only'):
        spec.per_action(2.5)[0] = 0.0


def test_a_topic_without_a_type_gets_the_usual_one() -> None:
    spec = make_spec(
        topics={
            'joint_states': topic('joint_states'),
            'tool_pose': topic('tool_pose', type='geometry_msgs/PointStamped'),
            'goal': topic('goal'),
            'command': topic('command', type='sensor_msgs/JointState'),
        }
    )

    assert spec.source_type('joint_states') == 'sensor_msgs/JointState'
    assert spec.source_type('tool_pose') == 'geometry_msgs/PointStamped'
    assert spec.source_type('goal') == 'geometry_msgs/PointStamped'
    assert spec.command_type == 'sensor_msgs/JointState'
    assert make_spec().command_type == 'std_msgs/Float64MultiArray'


def test_a_contract_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match='frozen'):
        make_spec().control_rate = 100.0


def test_every_interface_and_source_has_a_message_type() -> None:
    interfaces = json.loads(json_schema())['$defs']['ActionSpec']['properties']['interface'][
        'enum'
    ]

    assert set(COMMAND_TYPES) == set(interfaces)
    assert set(SOURCE_TYPES) == set(SOURCES)
    assert all(COMMAND_TYPES.values())
    assert all(SOURCE_TYPES.values())


def test_the_order_of_the_sources_does_not_depend_on_the_order_of_the_terms() -> None:
    terms: list[object] = [{'term': name} for name in ('goal', 'joint_position', 'tool_position')]
    for seed in range(5):
        random.Random(seed).shuffle(terms)
        assert make_spec(observation=terms).sources == ('joint_states', 'tool_pose', 'goal')
