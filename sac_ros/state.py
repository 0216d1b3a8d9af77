"""RobotState: every measured quantity, its unit, frame and shape: the unit table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sac_ros.fault import Fault

# Which topic of the contract brings which fields of RobotState.
SOURCES: dict[str, tuple[str, ...]] = {
    'joint_states': ('joint_position', 'joint_velocity', 'joint_effort'),
    'tool_pose': ('tool_position', 'tool_orientation'),
    'odometry': (
        'base_position',
        'base_orientation',
        'base_linear_velocity',
        'base_angular_velocity',
    ),
    'imu': ('imu_orientation', 'imu_angular_velocity', 'imu_linear_acceleration'),
    'goal': ('goal',),
    'goal_velocity': ('goal_velocity',),
    'vector': ('vector',),
}
# Unit quaternions (x, y, z, w); q and -q are the same orientation, and w >= 0 is the one in use.
QUATERNIONS = ('tool_orientation', 'base_orientation', 'imu_orientation')


@dataclass(frozen=True)
class RobotState:
    """What was measured last.  SI units, REP 103 frames; `None` means: not measured.

    Joint vectors are always in the order of `TaskSpec.joints`, whatever order a message had.
    """

    joint_position: np.ndarray | None = None  # [rad] or [m], shape (joints,)
    joint_velocity: np.ndarray | None = None  # [rad/s] or [m/s], shape (joints,)
    joint_effort: np.ndarray | None = None  # [N m] or [N], shape (joints,)
    tool_position: np.ndarray | None = None  # [m] in the goal's frame, shape (3,)
    tool_orientation: np.ndarray | None = None  # (x, y, z, w) in the goal's frame, shape (4,)
    base_position: np.ndarray | None = None  # [m] in the odometry's frame, shape (3,)
    base_orientation: np.ndarray | None = None  # (x, y, z, w) in the odometry's frame, shape (4,)
    base_linear_velocity: np.ndarray | None = None  # [m/s] in the base's own frame, shape (3,)
    base_angular_velocity: np.ndarray | None = None  # [rad/s] in the base's own frame, shape (3,)
    imu_orientation: np.ndarray | None = None  # (x, y, z, w) in a frame with z up, shape (4,)
    imu_angular_velocity: np.ndarray | None = None  # [rad/s] in the sensor's frame, shape (3,)
    imu_linear_acceleration: np.ndarray | None = None  # [m/s^2] in the sensor's frame, shape (3,)
    goal: np.ndarray | None = None  # what the user wishes: [m] in a fixed frame, shape (3,)
    goal_velocity: np.ndarray | None = None  # wished: x, y [m/s], yaw [rad/s] of the base, (3,)
    vector: np.ndarray | None = None  # a whole observation of a Gymnasium env, its own units
    # source -> measured at [s], by the clock that ages are counted on
    stamps: Mapping[str, float] = field(default_factory=dict)
    # source -> why its newest message was refused
    refused: Mapping[str, Fault] = field(default_factory=dict)


def canonical(quaternion: np.ndarray) -> np.ndarray:
    """Return the same orientation with w >= 0: one observation for q and -q, to the last bit.

    Where w is 0, the first of x, y, z that is not is made positive.
    """
    x, y, z, w = quaternion.tolist()
    sign = next((value for value in (w, x, y, z) if value != 0.0), 1.0)
    return (-quaternion if sign < 0.0 else quaternion) + 0.0  # and no -0.0


def field_size(name: str, joints: int) -> int:
    """Return the number of elements of a field of RobotState other than `vector`."""
    if name.startswith('joint_'):
        return joints
    return 4 if name in QUATERNIONS else 3
