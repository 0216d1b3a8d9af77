"""Balance: a pole on a cart (pybullet_data's cartpole), pushed by a force on the cart."""

from pathlib import Path

import numpy as np

from sac_ros.spec import load_spec
from sim_training.tasks.task import Camera, Start, Task, Terms

SPEC = load_spec(Path(__file__).with_suffix('.yaml'))
MAX_ANGLE = 0.3  # [rad]: further down it counts as fallen
LOOKAHEAD = 0.5  # [s]: a drift costs when it begins, not when the end of the track is near
MAX_POSITION = 1.0  # [m]: end of the track; near enough that a drift is felt in time


def start(random: np.random.Generator) -> Start:
    """Begin near upright, near the middle, almost at rest."""
    return Start(
        joint_position=random.uniform([-0.3, -0.1], [0.3, 0.1]),
        joint_velocity=random.uniform(-0.1, 0.1, size=2),
    )


def reward(terms: Terms, action: np.ndarray) -> float:
    """Return 1 upright and at rest in the middle, less for leaning, drifting and pushing."""
    position, angle = terms['joint_position']
    heading = position + LOOKAHEAD * terms['joint_velocity'][0]  # where the cart is going
    # r = 1 - (angle / 0.3)^2 / 4 - min(1, (heading / 1 m)^2) / 2 - (F / 10 N)^2 / 20
    # Never below 0, so that it never pays to end the episode.
    lean, push = angle / MAX_ANGLE, action[0] / SPEC.action.upper
    return float(1.0 - 0.25 * lean**2 - 0.5 * min(1.0, heading**2) - 0.05 * push**2)


def terminated(terms: Terms) -> bool:
    """Tell whether the pole has fallen or the cart has left the track."""
    position, angle = terms['joint_position']
    return bool(abs(angle) > MAX_ANGLE or abs(position) > MAX_POSITION)


TASK = Task(
    spec=SPEC,
    urdf='cartpole.urdf',
    start=start,
    reward=reward,
    terminated=terminated,
    success=lambda terms: not terminated(terms),
    time_limit=500,  # 10 s
    substeps=4,  # 200 Hz physics
    training_steps=8_000,
    camera=Camera(target=(0.0, 0.0, 0.4), distance=2.0, yaw=0.0, pitch=-15.0),
    delay=(0, 1),
    noise={'joint_position': 0.001, 'joint_velocity': 0.01},
)
