"""Episodes that repeat themselves, for tests in this process and in fresh ones; imports little."""

import dataclasses
import hashlib

import numpy as np

from sim_training.env import SimEnv
from sim_training.tasks import load_task
from sim_training.tasks.task import Start, Task

PERIODS = 60


def actions(env: SimEnv) -> list[np.ndarray]:
    """Return the same actions each time: small enough for a pole to stay up meanwhile."""
    spec = env.contract
    random = np.random.default_rng(0)
    spread = 0.2 * spec.per_action(spec.action.upper)
    shape = (PERIODS, spec.action_size)
    return list((spread * random.uniform(-1.0, 1.0, shape)).astype(np.float32))


def trace(env: SimEnv, seed: int) -> np.ndarray:
    """Return the observations of an episode's first periods, shape (PERIODS + 1, n)."""
    first, _ = env.reset(seed=seed)
    return np.array([first, *(env.step(action)[0] for action in actions(env))])


def digest(values: np.ndarray) -> str:
    """Return a hash of an array, for comparing bit by bit across processes."""
    return hashlib.sha256(values.tobytes()).hexdigest()


def still_balance(delay: tuple[int, int] = (0, 0)) -> Task:
    """Return balance upright, at rest, without noise."""
    start = Start(joint_position=np.zeros(2), joint_velocity=np.zeros(2))
    return dataclasses.replace(
        load_task('balance'), start=lambda random: start, noise={}, delay=delay
    )
