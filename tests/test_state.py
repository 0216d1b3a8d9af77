"""state.py: which topic brings which field."""

import dataclasses

import pytest

from sac_ros.state import SOURCES, RobotState


def test_every_measured_field_comes_from_exactly_one_topic() -> None:
    measured = [field.name for field in dataclasses.fields(RobotState)]
    brought = [name for fields in SOURCES.values() for name in fields]

    assert sorted([*brought, 'stamps', 'refused']) == sorted(measured)


def test_a_new_state_has_measured_nothing_and_shares_nothing_with_another() -> None:
    state = RobotState()

    assert all(getattr(state, name) is None for fields in SOURCES.values() for name in fields)
    assert state.stamps == {}
    assert state.refused == {}
    assert state.stamps is not RobotState().stamps


def test_a_state_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RobotState().goal = None  # type: ignore[misc]
