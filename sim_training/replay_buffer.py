"""Past transitions in a ring of preallocated float32 arrays.  No learning, no files."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sac_ros.errors import UserError


class Batch(NamedTuple):
    """Transitions drawn from the buffer, float32, one row each."""

    observation: Tensor  # SI, shape (count, observation_size)
    unit_action: Tensor  # [-1, 1], shape (count, action_size)
    reward: Tensor  # shape (count,)
    next_observation: Tensor  # SI, the one seen before any reset, shape (count, observation_size)
    terminated: Tensor  # 1.0 where the task itself ended; truncation is 0.0; shape (count,)


class ReplayBuffer:
    """The last `capacity` transitions, one array for each field of a `Batch`."""

    def __init__(self, capacity: int, observation_size: int, action_size: int) -> None:
        """Reserve the arrays; memory is taken only as rows are first written (np.zeros)."""
        self.capacity = capacity
        self.size = 0
        self.cursor = 0  # the row that the next transition is written to
        self.arrays: dict[str, np.ndarray] = {
            'observation': np.zeros((capacity, observation_size), np.float32),
            'unit_action': np.zeros((capacity, action_size), np.float32),
            'reward': np.zeros(capacity, np.float32),
            'next_observation': np.zeros((capacity, observation_size), np.float32),
            'terminated': np.zeros(capacity, np.float32),
        }
        self._tensors = Batch(**{n: torch.from_numpy(a) for n, a in self.arrays.items()})

    def add(
        self,
        observation: np.ndarray,
        unit_action: np.ndarray,
        reward: float,
        next_observation: np.ndarray,
        terminated: bool,
    ) -> None:
        """Store one transition in place of the oldest, or nothing if a value is not finite."""
        fields = (observation, unit_action, reward, next_observation, terminated)
        with np.errstate(over='ignore'):  # what does not fit float32 becomes infinite: see below
            values = [np.asarray(field, np.float32) for field in fields]
        for (name, array), value in zip(self.arrays.items(), values, strict=True):
            if value.shape != array.shape[1:]:
                raise UserError(f'{name} has shape {value.shape}; needed: {array.shape[1:]}')
            if not np.isfinite(value).all():
                raise UserError(f'{name} is {value}; every number must be finite in float32')
        for array, value in zip(self.arrays.values(), values, strict=True):
            array[self.cursor] = value
        self.cursor = (self.cursor + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, generator: np.random.Generator, count: int) -> Batch:
        """Draw `count` transitions uniformly, with replacement."""
        if self.size == 0:
            raise UserError('the replay buffer is empty; a transition is needed to draw from it')
        rows = torch.from_numpy(generator.integers(0, self.size, count))
        return Batch(*(torch.index_select(tensor, 0, rows) for tensor in self._tensors))

    def newest(self, count: int) -> Batch:
        """Return the last `count` transitions, oldest first; `count` is at most `size`."""
        rows = torch.arange(self.cursor - count, self.cursor) % self.capacity
        return Batch(*(torch.index_select(tensor, 0, rows) for tensor in self._tensors))

    def stored(self) -> dict[str, np.ndarray]:
        """Return the rows that are in use, in the order of the ring: what a checkpoint keeps."""
        return {name: array[: self.size] for name, array in self.arrays.items()}

    def restore(self, stored: dict[str, np.ndarray], cursor: int) -> None:
        """Undo `stored`: take over its rows and go on writing at `cursor`."""
        self.size = len(stored['reward'])
        self.cursor = cursor
        for name, array in self.arrays.items():
            array[: self.size] = stored[name]
