"""terms.py: every term reads what it says, and says when it was not measured."""

import numpy as np
import pytest
from builders import make_spec, make_state

from sac_ros.guard import Guard
from sac_ros.state import SOURCES, RobotState
from sac_ros.terms import TERMS, Term

PREVIOUS = np.array([0.5, -0.5])
STATE = make_state(joint_effort=(7.0, 8.0), vector=(1.0, 2.0, 3.0, 4.0))
VALUES = {  # what each term reads from STATE
    'joint_position': (0.1, -0.2),
    'joint_velocity': (0.3, -0.4),
    'joint_effort': (7.0, 8.0),
    'tool_position': (0.3, 0.0, 0.4),
    'goal': (0.5, 0.1, 0.1),
    'goal_from_tool': (0.2, 0.1, -0.3),  # (0.5, 0.1, 0.1) - (0.3, 0.0, 0.4)
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
