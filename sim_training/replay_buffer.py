"""Past transitions in a ring of preallocated float32 arrays.  No learning, no files."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sac_ros.errors import UserError

# What is stored of a step.
COLUMNS = ('observation', 'unit_action', 'reward', 'next_observation', 'terminated')
Transition = tuple[np.ndarray, np.ndarray, float, np.ndarray, bool]


class Batch(NamedTuple):
    """Transitions to learn from, float32, one row each."""

    observation: Tensor  # SI, shape (count, observation_size)
    unit_action: Tensor  # [-1, 1], shape (count, action_size)
    reward: Tensor  # of one step, or the discounted sum of n; shape (count,)
    next_observation: Tensor  # SI, the one seen before any reset, shape (count, observation_size)
    # What the value of next_observation is multiplied by: gamma^n, and 0.0 where the task itself
    # has ended (truncation is no end); shape (count,)
    discount: Tensor


class ReplayBuffer:
    """The last `capacity` transitions, one array for each thing that was seen in a step."""

    def __init__(
        self,
        capacity: int,
        observation_size: int,
        action_size: int,
        gamma: float,
        n_step: int = 1,
        stride: int = 1,
    ) -> None:
        """Reserve the arrays; memory is taken only as rows are first written (np.zeros).

        Up to `n_step` steps of an episode are drawn as one transition, discounted by `gamma`; the
        step after one of the same env is `stride` rows behind it: the number of envs in turn.
        Raises UserError where there is no memory for them.
        """
        self.capacity = capacity
        self.gamma = gamma
        self.n_step = n_step
        self.stride = stride
        self.size = 0
        self.cursor = 0  # the row that the next transition is written to
        observations, actions = (capacity, observation_size), (capacity, action_size)
        shapes = (observations, actions, capacity, observations, capacity)
        try:
            self.arrays = {
                name: np.zeros(shape, np.float32)
                for name, shape in zip(COLUMNS, shapes, strict=True)
            }
        except MemoryError as error:
            raise UserError(
                f'a replay of {capacity} transitions needs more memory than this machine has; '
                'choose a smaller replay_capacity'
            ) from error
        self._tensors = [torch.from_numpy(array) for array in self.arrays.values()]

    def add(
        self,
        observation: np.ndarray,
        unit_action: np.ndarray,
        reward: float,
        next_observation: np.ndarray,
        terminated: bool,
    ) -> None:
        """Store one transition in place of the oldest.

        Raises UserError, and stores nothing, where a value is not finite.
        """
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
        observation, unit_action, reward, next_observation, terminated = self._rows(rows)
        discount = torch.full_like(reward, self.gamma)
        is_open = terminated == 0.0
        for _ in range(self.n_step - 1):
            rows = (rows + self.stride) % self.capacity
            begins, _, more, ends, is_end = self._rows(rows)
            # The step after is the one that begins where this one has ended; there is none where
            # an episode was cut off, or where the newest step is.
            is_open = is_open & (rows < self.size) & (begins == next_observation).all(dim=1)
            reward = torch.where(is_open, reward + discount * more, reward)
            discount = torch.where(is_open, discount * self.gamma, discount)
            next_observation = torch.where(is_open[:, None], ends, next_observation)
            terminated = torch.where(is_open, is_end, terminated)
            is_open = is_open & (terminated == 0.0)
        return Batch(
            observation, unit_action, reward, next_observation, discount * (1.0 - terminated)
        )

    def newest(self, count: int) -> dict[str, Tensor]:
        """Return the last `count` steps, oldest first; `count` is at most `size`."""
        rows = torch.arange(self.cursor - count, self.cursor) % self.capacity
        return dict(zip(self.arrays, self._rows(rows), strict=True))

    def stored(self) -> dict[str, np.ndarray]:
        """Return the rows that are in use, in the order of the ring: what a checkpoint keeps."""
        return {name: array[: self.size] for name, array in self.arrays.items()}

    def restore(self, stored: dict[str, np.ndarray], cursor: int) -> None:
        """Undo `stored`: take over its rows, one array after the other, and go on at `cursor`.

        What is taken over is gone from `stored`, so that a replay is hardly ever there twice.
        """
        self.size = len(stored['reward'])
        self.cursor = cursor
        for name, array in self.arrays.items():
            array[: self.size] = stored.pop(name)

    def _rows(self, rows: Tensor) -> list[Tensor]:
        """Return the rows of every array."""
        return [torch.index_select(tensor, 0, rows) for tensor in self._tensors]


def sample_shares(
    parts: Sequence[tuple[ReplayBuffer, int]], generator: np.random.Generator, batches: int
) -> Batch:
    """Draw batches of which each has so many rows of each part; one behind the other."""
    drawn = [part.sample(generator, batches * count) for part, count in parts if count]
    if len(drawn) == 1:
        return drawn[0]
    return Batch(
        *(
            torch.cat([field.unflatten(0, (batches, -1)) for field in fields], dim=1).flatten(0, 1)
            for fields in zip(*drawn, strict=True)
        )
    )
