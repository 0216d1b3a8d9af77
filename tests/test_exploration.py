"""Noise of explored actions: its size, its colour, and that nothing but the moment decides it."""

import numpy as np
import pytest
import torch

from sim_training.exploration import BLOCK, REDRAWN, Exploration, pink_noise, repeated_noise
from sim_training.networks import Actor

torch.set_num_threads(1)
KINDS = ('pink', 'repeated', 'state')


def make_actor(hidden: int = 16) -> Actor:
    torch.manual_seed(0)
    return Actor(3, (16, hidden), np.array([-1.0, -1.0]), np.array([1.0, 1.0]))


def noise(kind: str, *moments: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return the noise of envs that are at these episodes and steps, in one and the same state."""
    observations = np.ones((len(moments), 3), np.float32)
    drawn = Exploration(kind, seed).noise(make_actor(), observations, moments)
    assert drawn is not None
    return drawn


def test_white_noise_is_left_to_the_agent():
    observations = np.ones((1, 3), np.float32)
    assert Exploration('white', 0).noise(make_actor(), observations, [(0, 0)]) is None


@pytest.mark.parametrize('kind', KINDS)
def test_noise_has_a_row_for_each_env_in_float32_and_unit_variance(kind: str):
    drawn = noise(kind, *((episode, 7) for episode in range(3_000)))
    assert drawn.shape == (3_000, 2)
    assert drawn.dtype == np.float32
    # 3,000 draws: the standard error of the mean is 0.018, that of the deviation 0.013.
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=0.08)
    np.testing.assert_allclose(drawn.std(axis=0), 1.0, atol=0.06)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.08  # elements of the action know nothing of each


@pytest.mark.parametrize('kind', KINDS)
def test_seed_episode_and_step_decide_all_whoever_asks_and_however_often(kind: str):
    moments = [(0, 3), (1, 3), (0, BLOCK + 3), (5, 2 * REDRAWN)]
    together = noise(kind, *moments)
    for row, moment in zip(together, moments, strict=True):
        # Features of the state are rounded otherwise in another number of rows.
        np.testing.assert_allclose(noise(kind, moment)[0], row, rtol=1e-5 * (kind == 'state'))
    assert len(np.unique(together, axis=0)) == len(moments)
    assert (noise(kind, *moments, seed=1) != together).all()


def test_the_power_of_pink_noise_falls_by_one_over_the_frequency():
    blocks = np.stack([pink_noise(3, episode, 0, 2) for episode in range(300)])
    assert blocks.shape == (300, BLOCK, 2)
    assert (blocks**2).mean() == pytest.approx(1.0, abs=0.05)
    power = (np.abs(np.fft.rfft(blocks, axis=1)) ** 2).mean(axis=(0, 2))
    frequencies = np.fft.rfftfreq(BLOCK)
    assert power[0] < 1e-3 * power[1]  # no block has a mean
    slope, _ = np.polyfit(np.log(frequencies[1:-1]), np.log(power[1:-1]), 1)
    assert slope == pytest.approx(-1.0, abs=0.03)


def test_repeated_noise_is_held_for_up_to_sixteen_steps_and_mostly_for_few():
    values = np.concatenate([repeated_noise(3, episode, 0, 1)[:, 0] for episode in range(100)])
    edges = np.flatnonzero(np.diff(values)) + 1
    holds = np.diff(edges)
    holds = holds[np.diff(edges // BLOCK) == 0]  # those that no end of a block has cut short
    assert holds.max() == 16
    # P(k) ~ 1 / k^2 for k up to 16, where the sum of them is 1.5843
    shares = np.bincount(holds, minlength=17)[1:] / len(holds)
    expected = 1.0 / np.arange(1, 17) ** 2 / 1.5843
    np.testing.assert_allclose(shares, expected, atol=0.01)


@pytest.mark.parametrize('kind', ['pink', 'repeated'])
def test_every_block_of_a_long_episode_is_drawn_anew(kind: str):
    first = noise(kind, *((0, step) for step in range(BLOCK)))
    second = noise(kind, *((0, BLOCK + step) for step in range(BLOCK)))
    assert (first != second).mean() > 0.99
    assert (second**2).mean() == pytest.approx(1.0, abs=0.5)


def test_noise_of_the_state_is_a_function_of_it_until_it_is_drawn_anew():
    same = noise('state', *((2, step) for step in range(REDRAWN)))
    assert (same == same[0]).all()
    after = noise('state', (2, REDRAWN), (2, REDRAWN + 1))
    assert (after[0] == after[1]).all()
    assert (after[0] != same[0]).all()


def test_noise_of_the_state_is_linear_in_the_features_and_not_in_their_size():
    actor, other = make_actor(), Exploration('state', 0)
    observations = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    moments = [(0, 0), (0, 1)]
    first = other.noise(actor, observations, moments)
    assert (first[0] != first[1]).all()
    with torch.no_grad():  # features ten times as large
        actor.body.weights[1] *= 10.0
        actor.body.biases[1] *= 10.0
    np.testing.assert_allclose(other.noise(actor, observations, moments), first, rtol=1e-4)
    features = actor.features(torch.from_numpy(observations)).detach().numpy().astype(np.float64)
    matrix = np.random.default_rng([0, 0, 0]).standard_normal((16, 2))
    by_hand = features @ matrix / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(first, by_hand, rtol=1e-4)
