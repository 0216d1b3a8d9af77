"""Episodes of Gymnasium ids, for tests in this process and in fresh ones; imports little."""

import hashlib

import numpy as np
import pytest

from sim_training.env import make_env
from sim_training.gymnasium_env import GymnasiumEnv


def make(name: str) -> GymnasiumEnv:
    """Return an env, or skip the test where its package is not installed."""
    if 'Bullet' in name:
        pytest.importorskip('pybullet_envs_gymnasium')
    elif name.endswith('-v5'):
        pytest.importorskip('mujoco')
    env = make_env(name)
    assert isinstance(env, GymnasiumEnv)
    return env


def trace(env: GymnasiumEnv, seed: int, steps: int = 60) -> np.ndarray:
    """Return all that an episode tells, also beyond its end: (steps, observation and reward)."""
    random = np.random.default_rng(0)
    actions = env.contract.per_action(env.contract.action.upper)
    rows = [np.append(env.reset(seed=seed)[0].astype(np.float64), 0.0)]
    for _ in range(steps):
        observation, reward, *_ = env.step(actions * random.uniform(-1.0, 1.0, len(actions)))
        rows.append(np.append(observation.astype(np.float64), reward))
    return np.array(rows)


def digest(name: str) -> str:
    env = make(name)
    values = trace(env, seed=3)
    env.close()
    return hashlib.sha256(values.tobytes()).hexdigest()
