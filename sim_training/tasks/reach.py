"""Reach: the tool of a Franka Panda (pybullet_data) goes to a goal, driven by joint velocities."""

import math
from pathlib import Path

import numpy as np

from sac_ros.spec import load_spec
from sim_training.tasks.task import Camera, Start, Task, Terms

SPEC = load_spec(Path(__file__).with_suffix('.yaml'))
READY = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])  # [rad], the arm's ready pose
GOAL_LOWER = np.array([0.30, -0.30, 0.20])  # [m] in panda_link0: a box in front of the arm
GOAL_UPPER = np.array([0.60, 0.30, 0.60])
TOLERANCE = 0.02  # [m]: nearer than this the goal is reached


def start(random: np.random.Generator) -> Start:
    """Begin around the ready pose with a goal anywhere in the box."""
    return Start(
        joint_position=READY + random.uniform(-0.3, 0.3, size=7),
        joint_velocity=np.zeros(7),
        goal=random.uniform(GOAL_LOWER, GOAL_UPPER),
    )


def reward(terms: Terms, action: np.ndarray) -> float:
    """Return more for being near, much more for being there, a little less for moving."""
    distance = _distance(terms)
    # r = exp(-(d / 5 cm)^2) - d - 0.05 mean(v^2)
    effort = float(action.dot(action)) / len(action)
    return math.exp(-((distance / 0.05) ** 2)) - distance - 0.05 * effort


def success(terms: Terms) -> bool:
    """Tell whether the tool is within 2 cm of the goal."""
    return _distance(terms) <= TOLERANCE


def _distance(terms: Terms) -> float:
    """Return how far the tool is from the goal [m]."""
    gap = terms['goal_from_tool']
    return math.sqrt(gap.dot(gap))  # a third of the time of np.linalg.norm


TASK = Task(
    spec=SPEC,
    urdf='franka_panda/panda.urdf',
    start=start,
    reward=reward,
    terminated=lambda terms: False,
    success=success,
    time_limit=150,  # 3 s
    substeps=5,  # 250 Hz physics
    training_steps=80_000,
    camera=Camera(target=(0.2, 0.0, 0.4), distance=1.2, yaw=50.0, pitch=-25.0),
    tool_link='panda_grasptarget',
    delay=(1, 2),
    noise={'joint_position': 0.001, 'joint_velocity': 0.01, 'tool_position': 0.001},
)
