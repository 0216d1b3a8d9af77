"""Gymnasium envs that break down, made by name also in the processes of a cluster."""

import gymnasium
import numpy as np


class Breaking(gymnasium.Wrapper):
    """A pendulum in which step number `step` raises, or observes infinity."""

    def __init__(self, what: str, step: int, render_mode: str | None = None) -> None:
        super().__init__(gymnasium.make('Pendulum-v1', render_mode=render_mode))
        self.what, self.breaks_at, self.steps = what, step, 0

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, *rest = self.env.step(action)
        self.steps += 1
        if self.steps == self.breaks_at:
            if self.what == 'raise':
                raise ZeroDivisionError('float division\nby zero')
            observation = observation * np.inf
        return (observation, *rest)


for name, what in (('Raising-v0', 'raise'), ('Infinite-v0', 'infinity')):
    gymnasium.register(name, entry_point=Breaking, kwargs={'what': what, 'step': 70})
