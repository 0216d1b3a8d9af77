"""Gymnasium envs that break down, made by name also in the processes of a cluster."""

import os
import signal

import gymnasium
import numpy as np


class Breaking(gymnasium.Wrapper):
    """A pendulum in which step number `step` raises, kills its process or observes infinity."""

    def __init__(self, what: str, step: int, render_mode: str | None = None) -> None:
        super().__init__(gymnasium.make('Pendulum-v1', render_mode=render_mode))
        self.what, self.breaks_at, self.steps = what, step, 0

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, *rest = self.env.step(action)
        self.steps += 1
        if self.steps == self.breaks_at:
            if self.what == 'die':
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == 'raise':
                raise ZeroDivisionError('float division\nby zero')
            observation = observation * np.inf
        return (observation, *rest)


for name, what, step in (
    ('Raising-v0', 'raise', 70), ('Infinite-v0', 'infinity', 70), ('Deadly-v0', 'die', 2)
):  # fmt: skip
    gymnasium.register(name, entry_point=Breaking, kwargs={'what': what, 'step': step})
