"""Playing an env: episodes that can be played again, and the score of the deterministic policy."""

import math
from collections.abc import Callable, Sequence

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from sac_ros.errors import UserError
from sim_training.env_error import EnvError, told_errors

# Resets of the evaluations during training; `sac-ros evaluate` has its own, from 1,000,000.
FIRST_EVALUATION_SEED = 2_000_000


class Rollout:
    """An env that is learned from.  Episode k of a run always begins from the same seed."""

    def __init__(self, env: gymnasium.Env, seed: int) -> None:
        """Take over an env; `begin` must come before the first `step`.  Raises UserError."""
        self.env = env
        self.seed = seed
        self.episode = 0  # number of the episode that is being played
        self.length = 0  # steps taken in it
        self.reward_sum = 0.0  # its undiscounted return so far
        self.observation = np.empty(0, np.float32)  # SI, shape (observation_size,)
        self._actions = action_space(env)

    def begin(self, episode: int) -> None:
        """Reset the env for an episode.  Raises EnvError."""
        self.observation = _reset(self.env, episode_seed(self.seed, episode))
        self.episode, self.length, self.reward_sum = episode, 0, 0.0

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        """Take one step; return reward, terminated, truncated.  Never resets.  Raises EnvError."""
        self.observation, reward, terminated, truncated = _step(self.env, self._actions, action)
        self.length += 1
        self.reward_sum += reward
        return reward, terminated, truncated

    def play_again(self, episode: int, actions: np.ndarray, observations: np.ndarray) -> bool:
        """Bring the env back into the middle of an episode by taking its steps once more.

        `actions` are those steps, in their own units, shape (steps, action_size), `observations`
        what was seen after each.  Returns False when the env did not do the same, bit for bit.
        """
        self.begin(episode)
        for action, expected in zip(actions, observations, strict=True):
            _, terminated, truncated = self.step(action)
            if terminated or truncated or not np.array_equal(self.observation, expected):
                return False
        return True


def evaluate(
    env: gymnasium.Env,
    exploit: Callable[[np.ndarray], np.ndarray],
    episodes: int,
    should_stop: Callable[[], bool],
) -> float | None:
    """Return the mean return over held-out episodes, the same ones each time; None if stopped.

    Raises EnvError.
    """
    actions, returns = action_space(env), []
    for seed in range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + episodes):
        observation = _reset(env, seed)
        reward_sum, is_over = 0.0, False
        while not is_over:
            if should_stop():
                return None
            action = exploit(observation)
            observation, reward, terminated, truncated = _step(env, actions, action)
            if not (math.isfinite(reward) and np.isfinite(observation).all()):
                raise EnvError(
                    f'the evaluation from seed {seed} met observation {observation} and reward '
                    f'{reward}; every number must be finite'
                )
            reward_sum += reward
            is_over = terminated or truncated
        returns.append(reward_sum)
    return float(np.mean(returns))


def episode_seed(seed: int, episode: int) -> int:
    """Return the reset seed of a training episode: from 2^31 up, away from every evaluation."""
    return 2**31 + int(np.random.SeedSequence([seed, episode]).generate_state(1)[0]) // 2


def action_space(env: gymnasium.Env) -> Box:
    """Return the action space if it is a finite one-dimensional Box.  Raises UserError."""
    space = env.action_space
    if not (isinstance(space, Box) and len(space.shape) == 1 and _is_real(space)):
        raise UserError(f'action space is {space}; supported: a Box of real numbers, shape (n,)')
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UserError(f'action space is {space}; supported: finite bounds only')
    return space


def observation_size(env: gymnasium.Env) -> int:
    """Return the length of the observation if it is a one-dimensional Box.  Raises UserError."""
    space = env.observation_space
    if not (isinstance(space, Box) and len(space.shape) == 1 and _is_real(space)):
        raise UserError(
            f'observation space is {space}; supported: a Box of real numbers, shape (n,)'
        )
    return int(space.shape[0])


def _reset(env: gymnasium.Env, seed: int) -> np.ndarray:
    """Return the first observation of an episode."""
    with told_errors():
        observation = np.asarray(env.reset(seed=seed)[0], np.float32)
    if not np.isfinite(observation).all():
        raise EnvError(f'the first observation is {observation}; every number must be finite')
    return observation


def final_score(returns: Sequence[float]) -> float:
    """Return what a training has come to: the mean of the final tenth of its evaluations."""
    last = returns[-math.ceil(len(returns) / 10) :]
    return math.fsum(last) / len(last)


def _step(
    env: gymnasium.Env, actions: Box, action: np.ndarray
) -> tuple[np.ndarray, float, bool, bool]:
    """Return observation, reward, terminated, truncated."""
    with told_errors():
        observation, reward, terminated, truncated, _ = env.step(_fitted(action, actions))
        values = np.asarray(observation, np.float32)
        return values, float(reward), bool(terminated), bool(truncated)


def _fitted(action: np.ndarray, space: Box) -> np.ndarray:
    """Return the action in the number type of the env, inside its bounds also after rounding."""
    fitted: np.ndarray = np.minimum(np.maximum(action.astype(space.dtype), space.low), space.high)
    return fitted


def _is_real(space: Box) -> bool:
    return np.issubdtype(space.dtype, np.floating)
