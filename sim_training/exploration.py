"""Noise of explored actions that goes on from step to step.

It depends on nothing but seed, episode and step, so that a run that is resumed in the middle of an
episode goes on with the same noise.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from sim_training.networks import Actor

BLOCK = 1_000  # steps that are drawn at once; every block is standard normal by itself
LONGEST_HOLD = 16  # [steps]
REDRAWN = 64  # [steps] after which noise becomes another function of the state


class Exploration:
    """Standard normal noise for the steps of episodes; 'white' is left to the agent."""

    def __init__(self, kind: str, seed: int) -> None:
        """Draw noise of the kind of SACConfig.exploration."""
        self._kind = kind
        self._seed = seed

    def noise(
        self, actor: Actor, observations: np.ndarray, moments: Sequence[tuple[int, int]]
    ) -> np.ndarray | None:
        """Return noise for each env, float32, (envs, action_size); None where it is white.

        `moments` are episode and step of each env, `observations` (envs, observation_size).
        """
        if self._kind == 'white':
            return None
        size = len(actor.action_middle)
        if self._kind == 'state':
            return self._of_state(actor, observations, moments)
        make = pink_noise if self._kind == 'pink' else repeated_noise
        rows = [
            make(self._seed, episode, step // BLOCK, size)[step % BLOCK]
            for episode, step in moments
        ]
        return np.stack(rows)

    @torch.no_grad()
    def _of_state(
        self, actor: Actor, observations: np.ndarray, moments: Sequence[tuple[int, int]]
    ) -> np.ndarray:
        """Return phi(s) E / |phi(s)| (Raffin et al. 2022, arXiv:2005.05719, equation 9).

        phi(s) are the features of the actor's last layer, E is normal and kept for some steps; the
        deviation is the actor's own, as for the other kinds.
        """
        features = actor.features(torch.from_numpy(observations)).numpy()
        size = len(actor.action_middle)
        rows = []
        for feature, (episode, step) in zip(features, moments, strict=True):
            generator = _generator(self._seed, episode, step // REDRAWN)
            matrix = generator.standard_normal((len(feature), size))
            rows.append(feature @ matrix / max(float(np.linalg.norm(feature)), 1e-6))
        return np.asarray(rows, np.float32)


@lru_cache(maxsize=64)
def pink_noise(seed: int, episode: int, block: int, size: int) -> np.ndarray:
    """Return noise of power 1 / f in a block (Eberhard et al. 2023, section 3), (BLOCK, size)."""
    generator = _generator(seed, episode, block)
    frequencies = np.fft.rfftfreq(BLOCK)
    amplitude = np.zeros(len(frequencies))
    amplitude[1:] = frequencies[1:] ** -0.5
    shape = (len(frequencies), size)
    spectrum = generator.standard_normal(shape) + 1j * generator.standard_normal(shape)
    # Parseval: what each frequency adds to the mean square.  All but the last stand for two, with
    # a real and an imaginary part each.
    spectrum[-1] = spectrum[-1].real
    power = 4.0 * amplitude**2
    power[-1] = amplitude[-1] ** 2
    noise = np.fft.irfft(amplitude[:, None] * spectrum, n=BLOCK, axis=0)
    return (noise * BLOCK / np.sqrt(power.sum())).astype(np.float32)


@lru_cache(maxsize=64)
def repeated_noise(seed: int, episode: int, block: int, size: int) -> np.ndarray:
    """Return noise held for k steps, k with probability ~ 1 / k^2 (FlashSAC), (BLOCK, size)."""
    generator = _generator(seed, episode, block)
    chances = 1.0 / np.arange(1, LONGEST_HOLD + 1) ** 2
    holds = 1 + generator.choice(LONGEST_HOLD, size=BLOCK, p=chances / chances.sum())
    values = generator.standard_normal((BLOCK, size)).astype(np.float32)
    return np.repeat(values, holds, axis=0)[:BLOCK]


def _generator(seed: int, episode: int, block: int) -> np.random.Generator:
    return np.random.default_rng([seed, episode, block])
