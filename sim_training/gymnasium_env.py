"""GymnasiumEnv: any Gymnasium id with a generated contract, so that its policy can be deployed."""

import math
import re

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Space

from sac_ros.errors import UserError, nearest
from sac_ros.observation import observe
from sac_ros.spec import TaskSpec, spec_from_dict
from sac_ros.state import RobotState
from sim_training.tasks import task_names

DEFAULT_RATE = 50.0  # [Hz], for an env that does not tell how long its step is
TIMEOUT_PERIODS = 2  # an observation older than this is not acted on

Step = tuple[np.ndarray, float, bool, bool, dict[str, object]]


class GymnasiumEnv(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """A Gymnasium env that is also driven by commands and read as a RobotState, like SimEnv."""

    def __init__(self, name: str, render_mode: str | None = None) -> None:
        """Make the env `name`.  Raises UserError when it is unknown or its spaces do not fit."""
        try:
            env = gymnasium.make(name, render_mode=render_mode)
        except (gymnasium.error.Error, ImportError) as error:
            known = [known for known in (*task_names(), *gymnasium.registry) if known != name]
            raise UserError(
                f"'{name}' is no task that ships, no YAML file (for a task of your own) and no "
                f'env that can be made{nearest(name, known)} ({_one_line(error)})'
            ) from error
        super().__init__(env)
        self.contract = generic_contract(name, env)
        self.state = RobotState()
        self.goal: np.ndarray | None = None  # such an env keeps its goal to itself
        self._steps = 0

    @property
    def time(self) -> float:
        """Return the simulated time since the episode began [s]."""
        return self._steps * self.contract.dt

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[np.ndarray, dict[str, object]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._steps = 0
        self._measure(observation)
        return self._observe(), info

    def step(self, action: np.ndarray) -> Step:
        """Advance one control period under `action`, shape (action_size,)."""
        return self.send(np.asarray(action, dtype=np.float64))

    def send(self, command: np.ndarray) -> Step:
        """Advance one control period under `command`, shape (action_size,)."""
        space = self.env.action_space
        action = command.astype(space.dtype).reshape(space.shape or ())
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        self._measure(observation)
        if terminated or truncated:
            info.setdefault('is_success', not terminated)
        return self._observe(), float(reward), bool(terminated), bool(truncated), info

    def _measure(self, observation: np.ndarray) -> None:
        vector = np.asarray(observation, dtype=np.float64).ravel()
        self.state = RobotState(vector=vector, stamps={'vector': self.time})

    def _observe(self) -> np.ndarray:
        return observe(self.contract, self.state, np.empty(0))


def generic_contract(name: str, env: gymnasium.Env) -> TaskSpec:
    """Return the contract of a Gymnasium env: one `vector` term, a `generic` action.

    Raises UserError for spaces other than a flat Box of observations and a finite Box of actions.
    """
    observations, actions = env.observation_space, env.action_space
    _check_box(name, 'observations', observations)
    _check_box(name, 'actions', actions)
    lower, upper = np.asarray(actions.low, np.float64), np.asarray(actions.high, np.float64)  # type: ignore[attr-defined]  # a Box: checked above
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise UserError(f"env '{name}': its actions are unbounded; finite bounds are supported")
    rate = float(env.metadata.get('render_fps') or DEFAULT_RATE)
    middle = [0.0 if low <= 0.0 <= high else (low + high) / 2.0 for low, high in
              zip(lower.ravel(), upper.ravel(), strict=True)]  # fmt: skip
    return spec_from_dict(
        {
            'schema': 1,
            'name': re.sub(r'[^a-zA-Z0-9_.-]', '-', name),
            'control_rate': rate,
            'observation': [{'term': 'vector', 'size': math.prod(observations.shape or ())}],
            'action': {
                'interface': 'generic',
                'lower': lower.ravel().tolist(),
                'upper': upper.ravel().tolist(),
                'max_rate': '.inf',
                'stop': middle,
            },
            'topics': {
                'vector': {'name': 'observation', 'timeout': TIMEOUT_PERIODS / rate},
                'command': {'name': 'action'},
            },
        },
        f"contract of env '{name}'",
    )


def _check_box(name: str, what: str, space: Space) -> None:
    if not isinstance(space, Box) or not np.issubdtype(space.dtype, np.floating):
        raise UserError(
            f"env '{name}': its {what} are {space}; a Box of floating-point numbers is supported"
        )


def _one_line(error: BaseException) -> str:
    return ' '.join(str(error).split())
