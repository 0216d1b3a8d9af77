"""terms.py: every term reads what it says, and says when it was not measured."""

import dataclasses

import numpy as np
import pytest
from builders import make_spec, make_state

from sac_ros.guard import Guard
from sac_ros.state import SOURCES, RobotState
from sac_ros.terms import TERMS, Term

PREVIOUS = np.array([0.5, -0.5])
HALF = np.sqrt(0.5)  # sin and cos of 45 degrees: a quarter turn as a quaternion
STATE = make_state(
    joint_effort=(7.0, 8.0),
    tool_orientation=(0.0, 0.0, 0.6, 0.8),
    base_position=(0.5, -0.9, 0.1),
    base_orientation=(0.0, 0.0, HALF, HALF),  # turned left by 90 degrees
    base_linear_velocity=(0.4, 0.0, -0.1),
    base_angular_velocity=(0.0, 0.1, 0.9),
    imu_orientation=(HALF, 0.0, 0.0, HALF),  # lies on its right side: its y points up
    imu_angular_velocity=(0.2, 0.3, 0.4),
    imu_linear_acceleration=(0.0, 9.81, 0.0),
    goal_velocity=(0.5, 0.0, -0.25),
    vector=(1.0, 2.0, 3.0, 4.0),
)
VALUES = {  # what each term reads from STATE
    'joint_position': (0.1, -0.2),
    'joint_velocity': (0.3, -0.4),
    'joint_effort': (7.0, 8.0),
    'tool_position': (0.3, 0.0, 0.4),
    'tool_orientation': (0.0, 0.0, 0.6, 0.8),
    'base_position': (0.5, -0.9, 0.1),
    'base_orientation': (0.0, 0.0, HALF, HALF),
    'base_linear_velocity': (0.4, 0.0, -0.1),
    'base_angular_velocity': (0.0, 0.1, 0.9),
    'imu_orientation': (HALF, 0.0, 0.0, HALF),
    'imu_angular_velocity': (0.2, 0.3, 0.4),
    'imu_linear_acceleration': (0.0, 9.81, 0.0),
    'projected_gravity': (0.0, -1.0, 0.0),  # where its y points up, down is -y
    'goal': (0.5, 0.1, 0.1),
    'goal_from_tool': (0.2, 0.1, -0.3),  # (0.5, 0.1, 0.1) - (0.3, 0.0, 0.4)
    'goal_in_base': (1.0, 0.0, 0.0),  # 1 m along y of the world, which is ahead of the base
    'goal_velocity': (0.5, 0.0, -0.25),
    'previous_action': (0.5, -0.5),
    'vector': (1.0, 2.0, 3.0, 4.0),
}


@pytest.mark.parametrize('name', TERMS)
def test_a_term_reads_its_quantity(name: str) -> None:
    value = TERMS[name].value(STATE, PREVIOUS)

    assert value is not None
    np.testing.assert_allclose(value, VALUES[name], rtol=0.0, atol=1e-15)


@pytest.mark.parametrize('name', [name for name in TERMS if TERMS[name].sources])
def test_a_term_that_was_not_measured_has_no_value(name: str) -> None:
    assert TERMS[name].value(RobotState(), PREVIOUS) is None


def test_the_way_to_the_goal_needs_both_of_its_ends() -> None:
    term = TERMS['goal_from_tool']

    assert term.value(make_state(goal=None), PREVIOUS) is None
    assert term.value(make_state(tool_position=None), PREVIOUS) is None


@pytest.mark.parametrize('missing', ['goal', 'base_position', 'base_orientation'])
def test_the_goal_as_the_base_sees_it_needs_goal_and_pose(missing: str) -> None:
    state = dataclasses.replace(STATE, **{missing: None})

    assert TERMS['goal_in_base'].value(state, PREVIOUS) is None


@pytest.mark.parametrize(
    ('axis', 'degrees', 'gravity'),
    [
        ((1.0, 0.0, 0.0), 0.0, (0.0, 0.0, -1.0)),  # upright
        ((1.0, 0.0, 0.0), 30.0, (0.0, -0.5, -np.sqrt(0.75))),  # rolled to the right
        ((0.0, 1.0, 0.0), 30.0, (0.5, 0.0, -np.sqrt(0.75))),  # nose down
        ((0.0, 0.0, 1.0), 30.0, (0.0, 0.0, -1.0)),  # turned: gravity does not tell
        ((1.0, 0.0, 0.0), 180.0, (0.0, 0.0, 1.0)),  # upside down
    ],
)
def test_gravity_is_seen_from_the_imu(axis, degrees: float, gravity) -> None:
    half = np.radians(degrees) / 2.0
    orientation = (*(np.array(axis) * np.sin(half)), np.cos(half))

    value = TERMS['projected_gravity'].value(make_state(imu_orientation=orientation), PREVIOUS)

    np.testing.assert_allclose(value, gravity, rtol=0.0, atol=1e-15)


def test_what_the_base_sees_turned_back_is_the_goal() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        orientation = random.normal(size=4)
        orientation /= np.linalg.norm(orientation)
        x, y, z, w = orientation
        goal = random.normal(size=3)
        state = make_state(goal=goal, base_position=(0.0,) * 3, base_orientation=orientation)
        value = TERMS['goal_in_base'].value(state, PREVIOUS)
        # the way back by the other formula: v + 2 w (u x v) + 2 u x (u x v) = goal
        axis = np.array((x, y, z))
        turned = np.cross(axis, value)
        back = value + 2.0 * w * turned + 2.0 * np.cross(axis, turned)
        np.testing.assert_allclose(back, goal, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize('name', TERMS)
def test_a_term_has_a_unit_and_names_topics_that_exist(name: str) -> None:
    assert TERMS[name].unit
    assert set(TERMS[name].sources) <= set(SOURCES)


def test_every_measured_field_is_a_term_that_waits_for_the_topic_which_brings_it() -> None:
    for source, fields in SOURCES.items():
        for name in fields:
            assert TERMS[name].sources == (source,)


def test_a_derived_term_is_guarded_by_the_fields_that_it_reads(monkeypatch):
    """One row in TERMS is enough: what it reads is demanded, checked and refused by name."""
    sine = Term('joints', ('joint_position',), '-', lambda s, _: np.sin(s.joint_position))
    monkeypatch.setitem(TERMS, 'joint_position_sine', sine)
    spec = make_spec(observation=[{'term': 'joint_position_sine'}], limits={})
    guard = Guard(spec)
    assert spec.sources == ('joint_states',)
    assert guard.find_fault(make_state(), 0.0) is None
    missing = guard.find_fault(make_state(joint_position=None), 0.0)
    assert str(missing) == 'E_OBS_MISSING_FIELD: joint_states brings no joint_position'
    nan = guard.find_fault(make_state(joint_position=(0.1, np.nan)), 0.0)
    assert str(nan) == 'E_OBS_NONFINITE: joint_position of elbow is nan'
