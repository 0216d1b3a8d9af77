"""The observation terms: name -> size, fields, unit and the function that reads a RobotState.

A new term is one row here and one test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sac_ros.state import SOURCES, RobotState

Value = Callable[[RobotState, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Term:
    """One named slice of the observation."""

    size: int | Literal['joints', 'actions', 'declared']  # elements, or where the number is found
    fields: tuple[str, ...]  # of RobotState, that it reads: they are guarded before it is asked
    unit: str
    value: Value  # (state, previous command) -> array, or None when it was not measured

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the topics of the contract that must be fresh for it."""
        return tuple(source for source, names in SOURCES.items() if set(names) & set(self.fields))


def _goal_from_tool(state: RobotState, previous: np.ndarray) -> np.ndarray | None:
    if state.goal is None or state.tool_position is None:
        return None
    return state.goal - state.tool_position


def _goal_in_base(state: RobotState, previous: np.ndarray) -> np.ndarray | None:
    if state.goal is None or state.base_position is None or state.base_orientation is None:
        return None
    # R(q)^T (goal - base), q the orientation of the base
    return _world_to_body(state.base_orientation) @ (state.goal - state.base_position)


def _projected_gravity(state: RobotState, previous: np.ndarray) -> np.ndarray | None:
    if state.imu_orientation is None:
        return None
    # R(q)^T (0, 0, -1), q the orientation of the IMU
    return -_world_to_body(state.imu_orientation)[:, 2]


def _world_to_body(orientation: np.ndarray) -> np.ndarray:
    """Return R(q)^T, which turns a vector of the fixed frame into one of the body's, (3, 3)."""
    x, y, z, w = orientation.tolist()
    # R(q) of a unit quaternion q = w + x i + y j + z k (Euler-Rodrigues), transposed
    return np.array(
        (
            (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
            (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
            (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)),
        )
    )


def _measured(field: str, size: int | Literal['joints'], unit: str) -> Term:
    """Return the term that is a field of RobotState as it is."""
    return Term(size, (field,), unit, lambda state, _: getattr(state, field))


TERMS: dict[str, Term] = {
    'joint_position': _measured('joint_position', 'joints', 'rad or m'),
    'joint_velocity': _measured('joint_velocity', 'joints', 'rad/s or m/s'),
    'joint_effort': _measured('joint_effort', 'joints', 'N m or N'),
    'tool_position': _measured('tool_position', 3, 'm'),
    'tool_orientation': _measured('tool_orientation', 4, 'x, y, z, w'),
    'base_position': _measured('base_position', 3, 'm'),
    'base_orientation': _measured('base_orientation', 4, 'x, y, z, w'),
    'base_linear_velocity': _measured('base_linear_velocity', 3, 'm/s'),
    'base_angular_velocity': _measured('base_angular_velocity', 3, 'rad/s'),
    'imu_orientation': _measured('imu_orientation', 4, 'x, y, z, w'),
    'imu_angular_velocity': _measured('imu_angular_velocity', 3, 'rad/s'),
    'imu_linear_acceleration': _measured('imu_linear_acceleration', 3, 'm/s^2'),
    'projected_gravity': Term(3, ('imu_orientation',), '1', _projected_gravity),
    'goal': _measured('goal', 3, 'm'),
    'goal_from_tool': Term(3, ('goal', 'tool_position'), 'm', _goal_from_tool),
    'goal_in_base': Term(3, ('goal', 'base_position', 'base_orientation'), 'm', _goal_in_base),
    'goal_velocity': _measured('goal_velocity', 3, 'm/s, rad/s'),
    # The action as it was carried out: the command of the last period, after limits.  It is the
    # memory of the rate limiter, without which the task would not be Markov.
    'previous_action': Term('actions', (), "the action's", lambda _, previous: previous),
    'vector': Term('declared', ('vector',), "the env's", lambda s, _: s.vector),
}
