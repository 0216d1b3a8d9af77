"""RobotState: every measured quantity, its unit, frame and shape: the unit table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sac_ros.fault import Fault

# Which topic of the contract brings which fields of RobotState.
SOURCES: dict[str, tuple[str, ...]] = {
    'joint_states': ('joint_position', 'joint_velocity', 'joint_effort'),
    'tool_pose': ('tool_position',),
    'goal': ('goal',),
    'vector': ('vector',),
}


@dataclass(frozen=True)
class RobotState:
    """What was measured last.  SI units, REP 103 frames; `None` means: not measured.

    Joint vectors are always in the order of `TaskSpec.joints`, whatever order a message had.
    """

    joint_position: np.ndarray | None = None  # [rad] or [m], shape (joints,)
    joint_velocity: np.ndarray | None = None  # [rad/s] or [m/s], shape (joints,)
    joint_effort: np.ndarray | None = None  # [N m] or [N], shape (joints,)
    tool_position: np.ndarray | None = None  # [m] in the goal's frame, shape (3,)
    goal: np.ndarray | None = None  # what the user wishes: [m] in a fixed frame, shape (3,)
    vector: np.ndarray | None = None  # a whole observation of a Gymnasium env, its own units
    stamps: Mapping[str, float] = field(default_factory=dict)  # source -> measured at [s]
    # source -> why its newest message was refused
    refused: Mapping[str, Fault] = field(default_factory=dict)
