"""Envs that go wrong, under ids by which any process can make them: 'odd_envs:Raises-v0'."""

import time
from abc import ABC, abstractmethod

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv

BREAKS_AT = 30  # the step, counted over all episodes


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


class Hangs(Breaks):
    """It does not come back."""

    def break_down(self) -> None:
        time.sleep(10_000.0)


class Forgets(PendulumEnv):
    """Its randomness does not come from the seed."""

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed, options=options)
        self.state = np.random.default_rng().uniform(-1.0, 1.0, 2)
        return self._get_obs(), {}


for env in (Raises, Hangs, Forgets):
    gymnasium.register(f'{env.__name__}-v0', entry_point=env, max_episode_steps=200)
