"""state.py: which topic brings which field."""

import dataclasses

import numpy as np
import pytest

from sac_ros.state import QUATERNIONS, SOURCES, RobotState, canonical, field_size


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


def test_the_sizes_of_the_fields() -> None:
    assert field_size('joint_effort', 7) == 7
    assert [field_size(name, 7) for name in QUATERNIONS] == [4, 4, 4]
    assert field_size('goal_velocity', 7) == field_size('imu_linear_acceleration', 7) == 3


@pytest.mark.parametrize(
    ('quaternion', 'same'),
    [
        ((0.1, -0.2, 0.3, 0.9), (0.1, -0.2, 0.3, 0.9)),
        ((0.1, -0.2, 0.3, -0.9), (-0.1, 0.2, -0.3, 0.9)),
        ((0.0, 0.0, 0.0, -1.0), (0.0, 0.0, 0.0, 1.0)),
        ((-0.6, 0.8, 0.0, 0.0), (0.6, -0.8, 0.0, 0.0)),  # half a turn: w does not tell
        ((0.0, 0.0, -1.0, -0.0), (0.0, 0.0, 1.0, 0.0)),
        ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),  # no orientation; the guard says so
    ],
)
def test_an_orientation_has_one_quaternion(quaternion, same) -> None:
    found = canonical(np.array(quaternion))

    assert found.tobytes() == np.array(same).tobytes()  # and no -0.0
    assert canonical(-np.array(quaternion)).tobytes() == found.tobytes()
