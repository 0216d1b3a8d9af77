"""Envs that go wrong, under ids by which any process can make them: 'odd_envs:Raises-v0'."""

import sys
import time
from abc import ABC, abstractmethod

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space

BREAKS_AT = 30  # the step, counted over all episodes
OWN = object()  # the reward of the pendulum itself


class Breaks(PendulumEnv, ABC):
    """A pendulum in which a certain step goes wrong."""

    steps = 0

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        if self.steps == BREAKS_AT:
            self.break_down()
        return super().step(action)

    @abstractmethod
    def break_down(self) -> None:
        """Do the wrong thing."""


class Raises(Breaks):
    """It raises an error of two lines."""

    def break_down(self) -> None:
        raise ZeroDivisionError('float division\nby zero')


class Exits(Breaks):
    """It ends the program."""

    def break_down(self) -> None:
        sys.exit(3)


class Hangs(Breaks):
    """It does not come back."""

    def break_down(self) -> None:
        time.sleep(10_000.0)


class Dawdles(PendulumEnv):
    """It takes half a second for a step."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        time.sleep(0.5)
        return super().step(action)


class NeverCloses(PendulumEnv):
    """It raises an error when it is closed."""

    def close(self) -> None:
        raise RuntimeError('display already gone')


class Forgets(PendulumEnv):
    """Its randomness does not come from the seed."""

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed, options=options)
        self.state = np.random.default_rng().uniform(-1.0, 1.0, 2)
        return self._get_obs(), {}


class Tells(PendulumEnv):
    """From a certain step on it tells `reward`, or sees `observation`."""

    steps = 0

    def __init__(
        self,
        render_mode: str | None = None,
        reward: object = OWN,
        observation: list[float] | None = None,
        begin: int = BREAKS_AT,
        end: int = 10**9,
    ) -> None:
        super().__init__(render_mode)
        self.reward, self.observation = reward, observation
        self.begin, self.end = begin, end

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        observation, reward, *rest = super().step(action)
        if self.begin <= self.steps < self.end and self.reward is not OWN:
            reward = self.reward
        if self.steps >= self.begin and self.observation is not None:
            observation = np.array(self.observation)
        return (observation, reward, *rest)


class Succeeds(PendulumEnv):
    """It says so, by a number."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        *step, info = super().step(action)
        return (*step, {**info, 'is_success': np.float64(1.0)})


class HasSpaces(PendulumEnv):
    """Its spaces are others than those of a pendulum."""

    def __init__(
        self,
        render_mode: str | None = None,
        observations: Space | None = None,
        actions: Space | None = None,
    ) -> None:
        super().__init__(render_mode)
        self.observation_space = observations or self.observation_space
        self.action_space = actions or self.action_space


class CannotBegin(PendulumEnv):
    """It cannot begin episode number `episode`."""

    episodes = 0

    def __init__(
        self,
        render_mode: str | None = None,
        episode: int = 1,
        error: BaseException = RuntimeError('no simulator at this port'),  # noqa: B008
    ) -> None:
        super().__init__(render_mode)
        self.episode, self.error = episode, error

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict]:
        self.episodes += 1
        if self.episodes >= self.episode:
            raise self.error
        return super().reset(seed=seed, options=options)


class CannotBeMade(PendulumEnv):
    """Its file is not there."""

    def __init__(self, render_mode: str | None = None) -> None:
        raise FileNotFoundError(2, 'No such file', 'robot.xml')


class ExitsWhenMade(PendulumEnv):
    """It ends the program, by the word for an interactive one."""

    def __init__(self, render_mode: str | None = None) -> None:
        exit()


class Blind(PendulumEnv):
    """It renders nothing, and takes no `render_mode`."""

    metadata = {}  # noqa: RUF012 (as Gymnasium writes it)

    def __init__(self) -> None:
        super().__init__()


class OnScreen(PendulumEnv):
    """It has a window, and no pictures."""

    metadata = {'render_modes': ['human']}  # noqa: RUF012 (as Gymnasium writes it)


class Slow(PendulumEnv):
    """It takes 0.25 s for a step, and has no frame rate."""

    metadata = {'render_modes': ['rgb_array']}  # noqa: RUF012 (as Gymnasium writes it)

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.dt = np.float32(0.25)


class Timeless(Slow):
    """It does not tell how long a step takes."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        del self.dt


IMAGES = Box(0, 255, (96, 96, 3), np.uint8)
MANY = np.linspace(-2.0, -1.0, 60)  # bounds that fill more than a line
KINDS: dict[str, tuple[type[PendulumEnv], dict[str, object]]] = {
    'Raises': (Raises, {}),
    'Exits': (Exits, {}),
    'Hangs': (Hangs, {}),
    'Dawdles': (Dawdles, {}),
    'Forgets': (Forgets, {}),
    'CannotBeMade': (CannotBeMade, {}),
    'ExitsWhenMade': (ExitsWhenMade, {}),
    'CannotBegin': (CannotBegin, {}),
    'ExitsAtReset': (CannotBegin, {'error': SystemExit('no licence')}),
    'CannotBeginAgain': (CannotBegin, {'episode': 3}),
    'Succeeds': (Succeeds, {}),
    'RewardNan': (Tells, {'reward': np.nan}),
    'RewardInf': (Tells, {'reward': -np.inf}),
    'RewardNone': (Tells, {'reward': None}),
    'RewardOfTwo': (Tells, {'reward': np.float64([1, 2])}),
    'Reward1e300': (Tells, {'reward': 1e300}),
    'Reward1e9': (Tells, {'reward': 1e9, 'begin': 1}),
    'RewardOnce1e9': (Tells, {'reward': 1e9, 'begin': 100, 'end': 101}),
    'NoRewardAtFirst': (Tells, {'reward': 0.0, 'begin': 1, 'end': 100}),
    'SeesNan': (Tells, {'observation': [0.0, np.nan, 0.0]}),
    'Sees1e300': (Tells, {'observation': [0.0, 0.0, 1e300]}),
    'SeesMore': (Tells, {'observation': [0.0] * 4}),
    'Integers': (HasSpaces, {'observations': Box(0, 9, (3,), np.int64)}),
    'Images': (HasSpaces, {'observations': IMAGES}),
    'Dict': (HasSpaces, {'observations': Dict({'image': IMAGES, 'goal': Box(-1.0, 1.0, (3,))})}),
    'Matrix': (HasSpaces, {'observations': Box(-1.0, 1.0, (2, 2))}),
    'DiscreteActions': (HasSpaces, {'actions': Discrete(3)}),
    'MultiDiscreteActions': (HasSpaces, {'actions': MultiDiscrete([3, 2])}),
    'IntegerActions': (HasSpaces, {'actions': Box(0, 9, (2,), np.int32)}),
    'MatrixActions': (HasSpaces, {'actions': Box(-1.0, 1.0, (2, 2))}),
    'Unbounded': (HasSpaces, {'actions': Box(-np.inf, np.inf, (2,))}),
    'HalfBounded': (HasSpaces, {'actions': Box(np.float32([0, -np.inf]), np.float32([1, 1]))}),
    'FarBounded': (HasSpaces, {'actions': Box(-1e300, 1e300, (2,), np.float64)}),
    'NoActions': (HasSpaces, {'actions': Box(-1.0, 1.0, (0,))}),
    'ManyUnbounded': (HasSpaces, {'actions': Box(MANY, np.full(60, np.inf), dtype=np.float64)}),
    'Blind': (Blind, {}),
    'OnScreen': (OnScreen, {}),
    'Slow': (Slow, {}),
    'NeverCloses': (NeverCloses, {}),
    'Timeless': (Timeless, {}),
    'place/2nd_Arm': (PendulumEnv, {}),
}
gymnasium.register('Endless-v0', entry_point=PendulumEnv)
for name, (env, options) in KINDS.items():
    gymnasium.register(f'{name}-v0', entry_point=env, max_episode_steps=200, kwargs=options)
