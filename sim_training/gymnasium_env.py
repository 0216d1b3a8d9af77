"""GymnasiumEnv: any Gymnasium id with a generated contract, so that its policy can be deployed."""

import re
import sys

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Space

from sac_ros.errors import UserError
from sac_ros.observation import observe
from sac_ros.spec import TaskSpec, spec_from_dict
from sac_ros.state import RobotState
from sim_training.env_error import EnvError, reward_number, told_errors
from sim_training.gymnasium_ids import make_by_id
from sim_training.silence import silence

DEFAULT_RATE = 50.0  # [Hz], for an env that does not tell how long its step is
TIMEOUT_PERIODS = 2  # an observation older than this is not acted on
LARGEST = float(np.finfo(np.float32).max)  # networks and replay are float32

Step = tuple[np.ndarray, float, bool, bool, dict[str, object]]


class GymnasiumEnv(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """A Gymnasium env that is also driven by commands and read as a RobotState, like SimEnv."""

    def __init__(self, name: str, render_mode: str | None = None) -> None:
        """Make the env `name`.  Raises UserError when it is unknown or its spaces do not fit."""
        with told_errors(f"env '{name}' cannot be made: "):
            env = make_by_id(name, render_mode)
        super().__init__(env)
        self._name = name
        try:
            check_spaces(name, env)
            self._settle()
            self.contract = generic_contract(name, env)
        except UserError:
            env.close()
            raise
        shape = (self.contract.observation_size,)
        self.observation_space = Box(-np.inf, np.inf, shape, np.float32)
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
        """Begin an episode.  Raises EnvError."""
        with told_errors():
            observation, info = self.env.reset(seed=seed, options=options)
            self._steps = 0
            self._measure(observation)
        return self._observe(), info

    def step(self, action: np.ndarray) -> Step:
        """Advance one control period under `action`, shape (action_size,).  Raises EnvError."""
        return self.send(np.asarray(action, dtype=np.float64))

    def send(self, command: np.ndarray) -> Step:
        """Advance one control period under `command`, shape (action_size,).  Raises EnvError."""
        action = command.astype(self.env.action_space.dtype)
        with told_errors():
            observation, reward, terminated, truncated, info = self.env.step(action)
            self._steps += 1
            self._measure(observation)
            reward = reward_number(reward)
            if 'is_success' in info:  # a float in some envs; most do not say
                info['is_success'] = bool(info['is_success'])
        return self._observe(), reward, bool(terminated), bool(truncated), info

    def render(self) -> np.ndarray:
        """Return a picture: uint8, shape (height, width, 3).  Raises EnvError."""
        with told_errors():
            return np.asarray(self.env.render(), np.uint8)

    def close(self) -> None:
        """Free what the env holds; what it raises then is told and costs nobody a result."""
        try:
            with told_errors(f"env '{self._name}' could not be closed: "):
                self.env.close()
        except EnvError as error:
            print(error, file=sys.stderr)

    def _settle(self) -> None:
        """Begin an episode that nobody plays.

        Those of pybullet_envs_gymnasium have no time step before, and count the floor as a part
        of the robot from their second episode on: the first would never come again.
        """
        with silence(), told_errors(f"env '{self._name}' cannot begin an episode: "):
            self.env.reset(seed=0)

    def _measure(self, observation: np.ndarray) -> None:
        vector = np.asarray(observation, dtype=np.float64)
        needed = self.env.observation_space.shape
        if vector.shape != needed:
            raise EnvError(
                f"env '{self._name}': its observation has shape {vector.shape}; needed: {needed}"
            )
        self.state = RobotState(vector=vector, stamps={'vector': self.time})

    def _observe(self) -> np.ndarray:
        with np.errstate(over='ignore'):  # what does not fit float32 becomes infinite
            return observe(self.contract, self.state, np.empty(0))


def generic_contract(name: str, env: gymnasium.Env) -> TaskSpec:
    """Return the contract of a Gymnasium env: one `vector` term, a `generic` action.

    It is named by the id under which the env is registered, without the package.  Raises UserError
    for other spaces than flat Boxes of numbers, that of the actions with finite bounds.
    """
    check_spaces(name, env)
    observations, actions = env.observation_space, env.action_space
    lower, upper = _bounds(actions)
    middle = [0.0 if low <= 0.0 <= high else (low + high) / 2.0 for low, high in
              zip(lower, upper, strict=True)]  # fmt: skip
    rate = _control_rate(env)
    return spec_from_dict(
        {
            'schema': 1,
            'name': _contract_name(env.unwrapped.spec.id if env.unwrapped.spec else name),
            'control_rate': rate,
            'observation': [{'term': 'vector', 'size': (observations.shape or (0,))[0]}],
            'action': {
                'interface': 'generic',
                'lower': lower,
                'upper': upper,
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


def check_spaces(name: str, env: gymnasium.Env) -> None:
    """Raise UserError, which says what is supported, if no contract can be made of an env."""
    for what, space in (('observations', env.observation_space), ('actions', env.action_space)):
        if not (_is_numbers(space) and len(space.shape or ()) == 1):
            raise UserError(
                f"env '{name}': its {what} are {_shown(space)}; a Box of floating-point numbers "
                'of shape (n,) is supported'
            )
    bounds = _bounds(env.action_space)
    if not all(abs(bound) <= LARGEST for side in bounds for bound in side):
        raise UserError(
            f"env '{name}': its actions are {_shown(env.action_space)}; bounds that are finite "
            'in float32 are supported'
        )


def _control_rate(env: gymnasium.Env) -> float:
    """Return the steps in a second of the env's world [Hz].

    Its `dt` says so exactly, in Bullet that of its scene; its frame rate for pictures is rounded
    (67 for 0.015 s) or free (30 for the 0.05 s of Pendulum-v1), so it comes second.
    """
    inner = env.unwrapped
    for owner in (inner, getattr(inner, 'scene', None)):
        dt = getattr(owner, 'dt', None)
        if isinstance(dt, int | float | np.floating) and dt > 0.0:
            return 1.0 / float(dt)
    rate = env.metadata.get('render_fps')
    return float(rate) if isinstance(rate, int | float) and rate > 0 else DEFAULT_RATE


def _contract_name(registered: str) -> str:
    """Return a name that a contract can have: an id may hold other characters."""
    name = re.sub(r'[^a-zA-Z0-9_.-]', '-', registered.rpartition(':')[2])
    return name if re.match(r'[a-zA-Z]', name) else f'env-{name}'


def _is_numbers(space: Space) -> bool:
    return isinstance(space, Box) and np.issubdtype(space.dtype, np.floating)


def _bounds(space: Space) -> tuple[list[float], list[float]]:
    """Return the lower and upper bounds of a Box."""
    low, high = space.low, space.high  # type: ignore[attr-defined]  # a Box: checked before
    return np.asarray(low, np.float64).tolist(), np.asarray(high, np.float64).tolist()


def _shown(space: Space) -> str:
    """Return a space for an error: in one line, and not all of a long one."""
    text = ' '.join(str(space).split())
    return text if len(text) <= 80 else f'{text[:77]}...'
