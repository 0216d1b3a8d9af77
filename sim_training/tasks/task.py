"""Task: a contract and what only its simulation knows: robot, start, reward, noise, delay."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sac_ros.spec import TaskSpec

Terms = Mapping[str, np.ndarray]  # observation terms by name, as `split_observation` returns them


@dataclass(frozen=True)
class Start:
    """How an episode begins."""

    joint_position: np.ndarray  # [rad] or [m], shape (joints,)
    joint_velocity: np.ndarray  # [rad/s] or [m/s], shape (joints,)
    goal: np.ndarray | None = None  # [m] in the base frame, shape (3,)


@dataclass(frozen=True)
class Camera:
    """Where a video is filmed from; angles in degrees, as PyBullet takes them."""

    target: tuple[float, float, float]  # [m]
    distance: float  # [m]
    yaw: float
    pitch: float


@dataclass(frozen=True)
class Task:
    """Everything that training needs.  `reward`, `terminated` and `success` see only observation
    terms and the action, so the same functions can score the real robot.
    """

    spec: TaskSpec
    urdf: str  # a file of pybullet_data, or a path
    start: Callable[[np.random.Generator], Start]
    reward: Callable[[Terms, np.ndarray], float]  # (terms after the action, command sent)
    terminated: Callable[[Terms], bool]  # the episode ends here and has no future
    success: Callable[[Terms], bool]  # asked of the last, noise-free observation
    time_limit: int  # [control periods]; then the episode is truncated
    substeps: int  # physics steps in one control period
    training_steps: int  # control periods that training needs by default
    camera: Camera
    tool_link: str | None = None  # the link whose position is `tool_position`
    delay: tuple[int, int] = (0, 0)  # [periods] from command to motor, drawn for each episode
    noise: Mapping[str, float] = field(default_factory=dict)  # RobotState field -> std, its unit
