"""One side of `sac-ros bench train`; its arguments: side, seconds, threads, device.

Prints its updates per second as JSON in the last line.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Literal

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box

OBSERVATIONS, ACTIONS, HIDDEN, BATCH = 26, 6, 256, 256
STORED = 1_000  # transitions in the replay
AT_ONCE = 10  # updates between two looks at the clock

Updates = Callable[[], object]  # does AT_ONCE updates
Precision = Literal['float32', 'bfloat16']


def main() -> None:
    """Measure the side that the command line names."""
    side, seconds, threads, device = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if device == 'cpu' and hasattr(os, 'sched_setaffinity'):  # XLA has as many threads as cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    torch.set_num_threads(threads)
    print(json.dumps(rate(MAKERS[side](device), seconds)))


def rate(updates: Updates, seconds: float) -> float:
    """Return how many updates a second are done, the first ones left out."""
    for _ in range(3):
        updates()
    count, begin = 0, _time()
    while (passed := _time() - begin) < seconds:
        updates()
        count += AT_ONCE
    return count / passed


def _time() -> float:
    """Return the time [s] when a GPU, if one is in use, has done what it was given."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


class Nowhere(gymnasium.Env[np.ndarray, np.ndarray]):
    """An env of the right size in which nothing happens, for peers that need one."""

    observation_space = Box(-10.0, 10.0, (OBSERVATIONS,), np.float32)
    action_space = Box(-1.0, 1.0, (ACTIONS,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[np.ndarray, dict[str, object]]:
        """Begin anywhere."""
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, object]]:
        """Go anywhere."""
        return self.observation_space.sample(), float(action[0]), False, False, {}


def make_ours(is_compiled: bool, device: str = 'cpu', precision: Precision = 'float32') -> Updates:
    """Return updates of our SAC, each with a batch from the replay, as in training."""
    from sim_training.replay_buffer import ReplayBuffer
    from sim_training.sac import SAC
    from sim_training.sac_config import SACConfig

    config = SACConfig(precision=precision)
    agent = SAC(config, OBSERVATIONS, -np.ones(ACTIONS), np.ones(ACTIONS), 0, device)
    if is_compiled:
        agent.compile()
    replay = ReplayBuffer(STORED, OBSERVATIONS, ACTIONS, gamma=0.99)
    generator = np.random.default_rng(0)
    for _ in range(STORED):
        before, after = generator.standard_normal((2, OBSERVATIONS))
        replay.add(before, generator.uniform(-1.0, 1.0, ACTIONS), 1.0, after, False)

    def updates() -> None:
        for _ in range(AT_ONCE):
            agent.update(replay.sample(generator, BATCH))

    return updates


def make_stable_baselines3(device: str) -> Updates:
    """Return updates of Stable-Baselines3."""
    from stable_baselines3 import SAC

    model = SAC('MlpPolicy', Nowhere(), learning_starts=STORED, buffer_size=STORED, device=device)
    model.learn(STORED)
    return lambda: model.train(gradient_steps=AT_ONCE, batch_size=BATCH)


def make_sbx(_device: str) -> Updates:
    """Return updates of SBX, one for each call as in training with one update a step.

    JAX computes on the GPU wherever it was installed for one.
    """
    from sbx import SAC

    model = SAC('MlpPolicy', Nowhere(), learning_starts=STORED, buffer_size=STORED)
    model.learn(STORED)

    def updates() -> None:
        for _ in range(AT_ONCE):
            model.train(gradient_steps=1, batch_size=BATCH)

    return updates


def make_matmuls(device: str) -> Updates:
    """Return the matrix products of an update, into memory that is there already."""
    actor = [OBSERVATIONS, HIDDEN, HIDDEN, 2 * ACTIONS]
    critic = [OBSERVATIONS + ACTIONS, HIDDEN, HIDDEN, 1]
    torch.set_default_device(device)
    products = [
        *_forward(actor, 1), *_forward(critic, 2),  # the target
        *_forward(critic, 2), *_weights(critic, 2), *_inputs(critic[1:], 2),  # the critics
        *_forward(actor, 1), *_forward(critic, 2), *_inputs(critic, 2),  # the actor, through them
        *_weights(actor, 1), *_inputs(actor[1:], 1),
    ]  # fmt: skip

    def updates() -> None:
        for _ in range(AT_ONCE):
            for product in products:
                product()

    return updates


def _forward(sizes: list[int], networks: int) -> list[Updates]:
    return [_product(networks, BATCH, i, o) for i, o in itertools.pairwise(sizes)]


def _weights(sizes: list[int], networks: int) -> list[Updates]:
    return [_product(networks, i, BATCH, o) for i, o in itertools.pairwise(sizes)]


def _inputs(sizes: list[int], networks: int) -> list[Updates]:
    return [_product(networks, BATCH, o, i) for i, o in itertools.pairwise(sizes)]


def _product(networks: int, rows: int, inner: int, columns: int) -> Updates:
    left, right = torch.randn(networks, rows, inner), torch.randn(networks, inner, columns)
    out = torch.empty(networks, rows, columns)
    return lambda: torch.bmm(left, right, out=out)


MAKERS: dict[str, Callable[[str], Updates]] = {
    'matmuls': make_matmuls,
    'sac_ros': lambda device: make_ours(True, device),
    'sac_ros eager': lambda device: make_ours(False, device),
    'sac_ros bfloat16': lambda device: make_ours(True, device, 'bfloat16'),
    'stable_baselines3': make_stable_baselines3,
    'sbx': make_sbx,
}

if __name__ == '__main__':
    main()
